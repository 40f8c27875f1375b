// Guests in other modes than the host's (SDM 3C 27.3.1, 27.3.2.1, 28.3.1): 32-bit protected mode,
// compatibility mode, virtual-8086 mode, PAE paging with PDPTEs of the VMCS; with "unrestricted guest"
// real mode and protected mode without paging.
//
// exit: cpuid GUEST_RIP=code32 GUEST_EFER=0/0x500 GUEST_CS_ACCESS_RIGHTS=0xc09b
// exit: cpuid GUEST_RIP=code32 GUEST_EFER=0x500/0x500 GUEST_CS_ACCESS_RIGHTS=0xc09b
// exit: exception_or_nmi GUEST_RIP=0 EXIT_INTERRUPTION_INFO=0x80000b0d GUEST_RFLAGS=0x33002/0x33002
// exit: cpuid GUEST_RIP=code32 GUEST_PDPTE0=NPDPTE GUEST_CR4=0x26a0
// exit: cpuid GUEST_RIP=0 GUEST_CR0=0x30/0x80000001 GUEST_EFER=0/0x500
// exit: cpuid GUEST_RIP=code32 GUEST_CR0=0x00000031/0x80000001
#include "host.inc"
    .globl NPDPTE
    .set NPDPTE, SPARE + 0x1001
.macro SEGMENT name, selector, base, limit, rights
    SET_FIELD GUEST_\name\()_SELECTOR, \selector
    SET_FIELD GUEST_\name\()_BASE, \base
    SET_FIELD GUEST_\name\()_LIMIT, \limit
    SET_FIELD GUEST_\name\()_ACCESS_RIGHTS, \rights
.endm
.macro REAL_SEGMENTS base, rights
    SEGMENT ES, (\base) >> 4, \base, 0xffff, \rights
    SEGMENT CS, (\base) >> 4, \base, 0xffff, \rights
    SEGMENT SS, (\base) >> 4, \base, 0xffff, \rights
    SEGMENT DS, (\base) >> 4, \base, 0xffff, \rights
    SEGMENT FS, (\base) >> 4, \base, 0xffff, \rights
    SEGMENT GS, (\base) >> 4, \base, 0xffff, \rights
.endm
.macro FLAT_SEGMENTS code
    SEGMENT ES, DATA_FLAT, 0, 0xffffffff, 0xc093
    SEGMENT CS, CODE32, 0, 0xffffffff, \code
    SEGMENT SS, DATA_FLAT, 0, 0xffffffff, 0xc093
    SEGMENT DS, DATA_FLAT, 0, 0xffffffff, 0xc093
    SEGMENT FS, DATA_FLAT, 0, 0xffffffff, 0xc093
    SEGMENT GS, DATA_FLAT, 0, 0xffffffff, 0xc093
.endm
// Protected mode with 4 MiB pages: entry 0 of the directory.
.macro LEGACY_MODE
    SET_CONTROL ENTRY_CONTROLS, 0x490, 0x8000
    SET_FIELD GUEST_EFER, 0
    mov dword ptr [SPARE], 0x87
    SET_FIELD GUEST_CR3, SPARE
    SET_FIELD GUEST_CR4, 0x2010             // VMXE, PSE
.endm
start:
    call prepare
    LEGACY_MODE
    FLAT_SEGMENTS 0xc09b
    RUN code32
    // Compatibility mode.
    SET_ENTRY 0
    SET_FIELD GUEST_EFER, 0xd01
    SET_FIELD GUEST_CR3, PML4
    SET_FIELD GUEST_CR4, 0x26a0
    RUN code32
    // Virtual-8086 mode with IOPL 3: HLT is #GP.
    LEGACY_MODE
    REAL_SEGMENTS 0x10000, 0xf3
    mov byte ptr [0x10000], 0xf4
    SET_FIELD GUEST_RFLAGS, 0x23002
    SET_FIELD EXCEPTION_BITMAP, 0x2000
    lea rax, [rip + leave_v86]
    mov [ON_EXIT], rax
    SET_FIELD GUEST_RIP, 0
    call run_guest
    mov qword ptr [ON_EXIT], 0
    // PAE paging under EPT: CR3 is not read, the fields are.
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT
    SET_FIELD GUEST_CR3, 0
    SET_FIELD GUEST_CR4, 0x26a0
    SET_FIELD GUEST_PDPTE0, NPDPTE
    mov dword ptr [NPDPTE - 1], 0x83
    RUN code32
    // Real mode.
    SET_SECONDARY EPT + (1 << 7)
    SET_FIELD GUEST_CR0, 0x30
    SET_FIELD GUEST_CR4, 0x2000
    REAL_SEGMENTS 0x10000, 0x93
    mov dword ptr [0x10000], 0x9090a20f     // CPUID
    lea rax, [rip + leave_real]
    mov [ON_EXIT], rax
    SET_FIELD GUEST_RIP, 0
    call run_guest
    mov qword ptr [ON_EXIT], 0
    // Protected mode without paging.
    SET_FIELD GUEST_CR0, 0x31
    FLAT_SEGMENTS 0xc09b
    RUN code32
    FINISH
leave_v86:
    SET_FIELD GUEST_RFLAGS, 2
    FLAT_SEGMENTS 0xc09b
    mov qword ptr [REGISTERS + 15 * 8], offset leave32
    ret
leave_real:
    SET_FIELD GUEST_CR0, 0x31
    FLAT_SEGMENTS 0xc09b
    mov qword ptr [REGISTERS + 15 * 8], offset leave32
    ret
    .code32
code32:
    cpuid
leave32:
    mov eax, DONE
    vmcall
    .code64
guest:
    LEAVE
