// A host with a guest under AMD-V, and ways in which that fails. EBX says which, at the start:
//   0  the guest executes CPUID three times, then VMMCALL, which ends it
//   1  VMRUN while EFER.SVME is 0: #UD, and nobody handles it
//   2  VMRUN of an address that is no multiple of 4 KiB: #GP, likewise
//   3  ASID 0: VMEXIT_INVALID
// It ends by the debug-exit port.
#include "cpu/svm/spec/field_list.h"
    .intel_syntax noprefix
    .text
    .code64
    .globl start
    .set VMCB, 0x20000
#define HVSIM_FIELD_SYMBOL(name, type, offset, table) .set VMCB_##name, VMCB + offset;
HVSIM_VMCB_FIELDS(HVSIM_FIELD_SYMBOL)
    .set HOST_SAVE, 0x21000
    .set HOST_STACK, 0x24000
    .set GUEST_STACK, 0x25000

start:
    mov ebp, ebx
    mov esp, HOST_STACK
    mov ecx, 0xc0000080                     // EFER.SVME
    rdmsr
    cmp ebp, 1
    je 1f
    or eax, 0x1000
1:  wrmsr
    mov [VMCB_EFER], eax
    mov ecx, 0xc0010117                     // VM_HSAVE_PA
    mov eax, HOST_SAVE
    xor edx, edx
    wrmsr
    mov dword ptr [VMCB_INTERCEPT_MISC1], 1 << 18
    mov dword ptr [VMCB_INTERCEPT_MISC2], 3
    mov dword ptr [VMCB_GUEST_ASID], 1
    cmp ebp, 3
    jne 2f
    mov dword ptr [VMCB_GUEST_ASID], 0
2:  mov rax, cr0
    mov [VMCB_CR0], rax
    mov rax, cr3
    mov [VMCB_CR3], rax
    mov rax, cr4
    mov [VMCB_CR4], rax
    mov dword ptr [VMCB_DR6], 0xffff0ff0
    mov dword ptr [VMCB_DR7], 0x400
    mov dword ptr [VMCB_RFLAGS], 2
    mov dword ptr [VMCB_RSP], GUEST_STACK
    lea rax, [rip + guest]
    mov [VMCB_RIP], rax
    .irp name, ES, SS, DS
    mov word ptr [VMCB_\name\()_SELECTOR], 0x18
    mov word ptr [VMCB_\name\()_ATTRIB], 0xc93
    mov dword ptr [VMCB_\name\()_LIMIT], 0xffffffff
    .endr
    mov word ptr [VMCB_CS_SELECTOR], 0x10
    mov word ptr [VMCB_CS_ATTRIB], 0xa9b
    mov dword ptr [VMCB_CS_LIMIT], 0xffffffff
    mov eax, VMCB
    cmp ebp, 2
    jne run
    inc eax
    .globl run
run:
    vmrun rax
    cmp dword ptr [VMCB_EXITCODE], 0x72    // CPUID
    jne done
    mov eax, VMCB
    add qword ptr [VMCB_RIP], 2
    jmp run
done:
    mov eax, 7
    mov edx, 0xf4
    out dx, eax
3:  hlt
    jmp 3b

    .globl guest
guest:
    .rept 3
    mov eax, 1
    cpuid
    .endr
    vmmcall
