// A hypervisor and its guest under AMD-V, with nested paging. EDI times the guest calls and the host
// runs it again. EBP 0: that is all, and the guest stays on its VMMCALL; 1: the host looks at the exit
// code and moves RIP to the next instruction's; 2: the host executes CPUID instead and has no guest.
// ESI: the ASID; 0: it is 1, and every VMRUN flushes all translations. Loaded at 1 MiB, started in
// 64-bit mode.
#include "cpu/svm/spec/field_list.h"
    .intel_syntax noprefix
    .text
    .code64
    .globl start
    .set VMCB, 0x200000
#define HVSIM_FIELD_SYMBOL(name, type, offset, table) .set VMCB_##name, VMCB + offset;
HVSIM_VMCB_FIELDS(HVSIM_FIELD_SYMBOL)
#undef HVSIM_FIELD_SYMBOL
    .set HSAVE, 0x201000
    .set NPT_PML4, 0x202000
    .set NPT_PDPT, 0x203000
    .set IOPM, 0x204000                             // three pages
    .set MSRPM, 0x207000                            // two pages
    .set CODE, 0x10
    .set DATA, 0x18
    .set EXIT_VMMCALL, 0x81

start:
    cmp ebp, 2
    je identify
    call prepare
    mov eax, VMCB
next:
    test edi, edi
    jz finish
    vmrun
    test ebp, ebp
    jz 1f
    cmp qword ptr [VMCB_EXITCODE], EXIT_VMMCALL
    jne failed
    mov rcx, [VMCB_NRIP]
    mov [VMCB_RIP], rcx
1:  dec edi
    jmp next
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
    mov edx, 0xf4                                   // debug-exit
    out dx, eax
    hlt

guest:
    vmmcall
    jmp guest

// EFER.SVME and a VMCB whose guest starts at `guest`.
prepare:
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x1000
    wrmsr
    mov [VMCB_EFER], rax
    xor edx, edx
    mov eax, HSAVE
    mov ecx, 0xc0010117                             // VM_HSAVE_PA
    wrmsr
    clgi
    mov dword ptr [VMCB_INTERCEPT_MISC2], 3         // VMRUN, VMMCALL
    mov dword ptr [VMCB_IOPM_BASE_PA], IOPM
    mov dword ptr [VMCB_MSRPM_BASE_PA], MSRPM
    mov [VMCB_GUEST_ASID], esi
    test esi, esi
    jnz 1f
    mov dword ptr [VMCB_GUEST_ASID], 1
    mov byte ptr [VMCB_TLB_CONTROL], 1
1:
    mov dword ptr [NPT_PML4], NPT_PDPT + 7
    mov dword ptr [NPT_PDPT], 0x87                  // 1 GiB
    mov dword ptr [VMCB_NESTED_CONTROL], 1
    mov dword ptr [VMCB_N_CR3], NPT_PML4
    movabs rax, 0x0007040600070406
    mov [VMCB_G_PAT], rax
    mov rax, cr0
    mov [VMCB_CR0], rax
    mov rax, cr3
    mov [VMCB_CR3], rax
    mov rax, cr4
    mov [VMCB_CR4], rax
    mov word ptr [VMCB_CS_SELECTOR], CODE
    mov word ptr [VMCB_CS_ATTRIB], 0xa9b
    mov dword ptr [VMCB_CS_LIMIT], 0xffffffff
    .irp segment, VMCB_ES_SELECTOR, VMCB_SS_SELECTOR, VMCB_DS_SELECTOR
    mov word ptr [\segment], DATA
    mov word ptr [\segment + 2], 0xc93
    mov dword ptr [\segment + 4], 0xffffffff
    .endr
    mov dword ptr [VMCB_DR6], 0xffff0ff0
    mov dword ptr [VMCB_DR7], 0x400
    mov dword ptr [VMCB_RFLAGS], 2
    mov [VMCB_RSP], rsp
    lea rax, [rip + guest]
    mov [VMCB_RIP], rax
    ret
