// A hypervisor and its guest under VT-x, with EPT. EDI times the guest calls and the host resumes it.
// EBP 0: that is all, and the guest stays on its VMCALL; 1: the host reads reason, RIP and instruction
// length and moves RIP on; 2: the host executes CPUID instead and has no guest. ESI: the VPID; 0: there
// are no VPIDs. Loaded at 1 MiB, started in 64-bit mode.
#include "cpu/vmx/spec/field_list.h"
    .intel_syntax noprefix
    .text
    .code64
    .globl start
#define HVSIM_FIELD_SYMBOL(name, encoding) .set name, encoding;
HVSIM_VMCS_FIELDS(HVSIM_FIELD_SYMBOL)
#undef HVSIM_FIELD_SYMBOL
    .set VMXON_REGION, 0x200000
    .set VMCS, 0x201000
    .set EPT_PML4, 0x202000
    .set EPT_PDPT, 0x203000
    .set VMXON_POINTER, 0x204000
    .set VMCS_POINTER, 0x204008
    .set TSS, 0x205000
    .set CODE, 0x10
    .set DATA, 0x18
    .set TASK, 0x20
    .set EPT, 1 << 1
    .set VPIDS, 1 << 5
    .set SECONDARY, 1 << 31
    .set EXIT_VMCALL, 18

.macro SET_FIELD_RAX encoding
    mov edx, \encoding
    vmwrite rdx, rax
    jbe failed
.endm
.macro SET_FIELD encoding, value:vararg
    movabs rax, offset \value
    SET_FIELD_RAX \encoding
.endm
// `bits` and those that must be 1, as the capability MSR says.
.macro SET_CONTROL encoding, msr, bits:vararg
    mov ecx, \msr
    rdmsr
    or eax, offset \bits
    SET_FIELD_RAX \encoding
.endm

start:
    cmp ebp, 2
    je identify
    call prepare
    test edi, edi
    jz finish
    vmlaunch
    jmp failed
exited:
    test ebp, ebp
    jz 1f
    mov edx, EXIT_REASON
    vmread rax, rdx
    cmp eax, EXIT_VMCALL
    jne failed
    mov edx, EXIT_INSTRUCTION_LENGTH
    vmread rcx, rdx
    mov edx, GUEST_RIP
    vmread rax, rdx
    add rax, rcx
    vmwrite rdx, rax
1:  dec edi
    jz finish
    vmresume
failed:
    mov eax, 1
    jmp leave
identify:
    test edi, edi
    jz finish
    xor eax, eax
    xor ecx, ecx
    cpuid
    dec edi
    jmp identify
finish:
    xor eax, eax
leave:
    mov edx, 0xf4                           // debug-exit
    out dx, eax
    hlt

guest:
    vmcall
    jmp guest

// VMX operation with a current VMCS whose guest starts at `guest` and whose host at `exited`.
prepare:
    mov ecx, 0x3a
    xor edx, edx
    mov eax, 5                              // IA32_FEATURE_CONTROL: VMX, locked
    wrmsr
    mov rax, cr4
    or eax, 0x2000
    mov cr4, rax
    mov rax, cr0
    or eax, 0x20
    mov cr0, rax
    mov ecx, 0x480
    rdmsr
    and eax, 0x7fffffff
    mov [VMXON_REGION], eax
    mov [VMCS], eax
    mov qword ptr [VMXON_POINTER], VMXON_REGION
    mov qword ptr [VMCS_POINTER], VMCS
    vmxon [VMXON_POINTER]
    jbe failed
    vmclear [VMCS_POINTER]
    jbe failed
    vmptrld [VMCS_POINTER]
    jbe failed
    SET_CONTROL PIN_BASED_CONTROLS, 0x48d, 0
    SET_CONTROL PRIMARY_CONTROLS, 0x48e, SECONDARY
    SET_CONTROL EXIT_CONTROLS, 0x48f, 0x300200      // 64-bit host, EFER saved and loaded
    SET_CONTROL ENTRY_CONTROLS, 0x490, 0x8200       // IA-32e mode guest, EFER loaded
    mov eax, EPT
    test esi, esi
    jz 1f
    mov rax, rsi
    SET_FIELD_RAX VPID
    mov eax, EPT | VPIDS
1:  SET_FIELD_RAX SECONDARY_CONTROLS
    mov dword ptr [EPT_PML4], EPT_PDPT + 7
    mov dword ptr [EPT_PDPT], 0xb7                  // 1 GiB, write-back
    SET_FIELD EPT_POINTER, EPT_PML4 + 0x1e
    SET_FIELD VMCS_LINK_POINTER, -1
    mov rax, cr0
    SET_FIELD_RAX GUEST_CR0
    SET_FIELD_RAX HOST_CR0
    mov rax, cr3
    SET_FIELD_RAX GUEST_CR3
    SET_FIELD_RAX HOST_CR3
    mov rax, cr4
    SET_FIELD_RAX GUEST_CR4
    SET_FIELD_RAX HOST_CR4
    mov ecx, 0xc0000080
    rdmsr
    SET_FIELD_RAX GUEST_EFER
    SET_FIELD_RAX HOST_EFER
    SET_FIELD GUEST_CS_SELECTOR, CODE
    SET_FIELD HOST_CS_SELECTOR, CODE
    .irp name, ES, SS, DS, FS, GS
    SET_FIELD GUEST_\name\()_SELECTOR, DATA
    SET_FIELD HOST_\name\()_SELECTOR, DATA
    SET_FIELD GUEST_\name\()_ACCESS_RIGHTS, 0xc093
    SET_FIELD GUEST_\name\()_LIMIT, 0xffffffff
    .endr
    SET_FIELD GUEST_CS_LIMIT, 0xffffffff
    SET_FIELD GUEST_CS_ACCESS_RIGHTS, 0xa09b
    SET_FIELD GUEST_LDTR_ACCESS_RIGHTS, 0x10000
    SET_FIELD GUEST_TR_SELECTOR, TASK
    SET_FIELD HOST_TR_SELECTOR, TASK
    SET_FIELD GUEST_TR_ACCESS_RIGHTS, 0x8b
    SET_FIELD GUEST_TR_LIMIT, 0x67
    SET_FIELD GUEST_TR_BASE, TSS
    SET_FIELD HOST_TR_BASE, TSS
    SET_FIELD GUEST_DR7, 0x400
    SET_FIELD GUEST_RFLAGS, 2
    mov rax, rsp
    SET_FIELD_RAX HOST_RSP
    SET_FIELD_RAX GUEST_RSP
    lea rax, [rip + exited]
    SET_FIELD_RAX HOST_RIP
    lea rax, [rip + guest]
    SET_FIELD_RAX GUEST_RIP
    ret
