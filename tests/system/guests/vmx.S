// A host with a guest under VT-x, and ways in which that fails. EBX says which, at the start:
//   0  the guest executes CPUID three times, then VMCALL, which ends it
//   1  VMXON while CR4.VMXE is 0: #UD, and nobody handles it
//   2  VMLAUNCH without a current VMCS: VMfailInvalid
//   3  VMPTRLD of a region without the revision: VMfailValid
//   4  a pin-based control that the processor has not: VMfailValid 7
//   5  guest CR0 with PG and without PE: VM exit 33
// It ends by the debug-exit port.
#include "cpu/vmx/spec/field_list.h"
    .intel_syntax noprefix
    .text
    .code64
    .globl start
#define HVSIM_FIELD_SYMBOL(name, encoding) .set name, encoding;
HVSIM_VMCS_FIELDS(HVSIM_FIELD_SYMBOL)
    .set VMXON_REGION, 0x20000
    .set VMCS, 0x21000
    .set OTHER_REGION, 0x22000
    .set POINTER, 0x23000
    .set HOST_STACK, 0x24000
    .set GUEST_STACK, 0x25000

.macro SET field, value:vararg
    mov edx, \field
    movabs rax, offset \value
    vmwrite rdx, rax
.endm
.macro SET_RAX field
    mov edx, \field
    vmwrite rdx, rax
.endm
// `bits` and those that must be 1.
.macro SET_CONTROL field, msr, bits:vararg
    mov ecx, \msr
    rdmsr
    or eax, offset \bits
    SET_RAX \field
.endm

start:
    mov ebp, ebx
    mov esp, HOST_STACK
    mov qword ptr [POINTER], VMXON_REGION
    cmp ebp, 1
    je 1f
    mov rax, cr4
    or eax, 0x2000
    mov cr4, rax
1:  mov rax, cr0
    or eax, 0x20
    mov cr0, rax
    mov ecx, 0x3a                           // IA32_FEATURE_CONTROL
    rdmsr
    test al, 1
    jnz 2f
    or eax, 5
    wrmsr
2:  mov ecx, 0x480                          // IA32_VMX_BASIC
    rdmsr
    and eax, 0x7fffffff
    mov [VMXON_REGION], eax
    mov [VMCS], eax
    .globl enter_operation
enter_operation:
    vmxon [POINTER]
    cmp ebp, 2
    je launch
    mov qword ptr [POINTER], VMCS
    vmclear [POINTER]
    vmptrld [POINTER]
    cmp ebp, 3
    jne 3f
    mov qword ptr [POINTER], OTHER_REGION
    vmptrld [POINTER]
    jmp done
3:  SET_CONTROL PIN_BASED_CONTROLS, 0x48d, 0
    SET_CONTROL PRIMARY_CONTROLS, 0x48e, 0
    SET_CONTROL EXIT_CONTROLS, 0x48f, 0x300200
    SET_CONTROL ENTRY_CONTROLS, 0x490, 0x8200
    SET VMCS_LINK_POINTER, -1
    mov rax, cr0
    SET_RAX HOST_CR0
    cmp ebp, 5
    jne 4f
    and eax, 0xfffffffe
4:  SET_RAX GUEST_CR0
    mov rax, cr3
    SET_RAX HOST_CR3
    SET_RAX GUEST_CR3
    mov rax, cr4
    SET_RAX HOST_CR4
    SET_RAX GUEST_CR4
    mov ecx, 0xc0000080
    rdmsr
    SET_RAX HOST_EFER
    SET_RAX GUEST_EFER
    SET HOST_CS_SELECTOR, 0x10
    SET GUEST_CS_SELECTOR, 0x10
    .irp name, ES, SS, DS, FS, GS
    SET HOST_\name\()_SELECTOR, 0x18
    SET GUEST_\name\()_SELECTOR, 0x18
    SET GUEST_\name\()_ACCESS_RIGHTS, 0xc093
    SET GUEST_\name\()_LIMIT, 0xffffffff
    .endr
    SET GUEST_CS_ACCESS_RIGHTS, 0xa09b
    SET GUEST_CS_LIMIT, 0xffffffff
    SET HOST_TR_SELECTOR, 0x20
    SET GUEST_TR_ACCESS_RIGHTS, 0x8b
    SET GUEST_TR_LIMIT, 0x67
    SET GUEST_LDTR_ACCESS_RIGHTS, 0x10000
    SET GUEST_DR7, 0x400
    SET GUEST_RFLAGS, 2
    SET GUEST_RSP, GUEST_STACK
    SET HOST_RSP, HOST_STACK
    lea rax, [rip + guest]
    SET_RAX GUEST_RIP
    lea rax, [rip + exited]
    SET_RAX HOST_RIP
    cmp ebp, 4
    jne launch
    SET_CONTROL PIN_BASED_CONTROLS, 0x48d, 0x100
    .globl launch
launch:
    vmlaunch
    jmp done

exited:
    mov edx, EXIT_REASON
    vmread rax, rdx
    test eax, eax
    js done                                 // the entry failed
    cmp eax, 18
    je done                                 // VMCALL
    mov edx, EXIT_INSTRUCTION_LENGTH
    vmread rcx, rdx
    mov edx, GUEST_RIP
    vmread rax, rdx
    add rax, rcx
    vmwrite rdx, rax
    vmresume
done:
    mov eax, 7
    mov edx, 0xf4
    out dx, eax
5:  hlt
    jmp 5b

    .globl guest
guest:
    .rept 3
    mov eax, 1
    cpuid
    .endr
    vmcall
