// Two guests under AVIC on two processors (APM 2 15.29.6.1, 15.29.8.2): the first one's IPI comes to
// the second one, which waits in HLT, without an exit of either; then, while that runs, the first
// processor's host rings the doorbell for a vector that it has put into its page itself.
#include "svm/host.inc"
#include "svm/avic.inc"
    .set SECOND_VMCB, SPARE + 0x5000
    .set SECOND_HSAVE, SPARE + 0x6000
    .set SECOND_STACK, SPARE + 0x8000
    .set SECOND_OFFSET, SECOND_VMCB - VMCB
    .set PREPARED, DATA + 0x100
    .set WAITING, DATA + 0x108
start:
    call prepare
    call prepare_avic
    mov esi, VMCB
    mov edi, SECOND_VMCB
    call copy_vmcb
    SET VMCB_AVIC_BACKING_PAGE + SECOND_OFFSET, BACKING_1
    SET VMCB_RSP + SECOND_OFFSET, SECOND_STACK - 0x800
    lea rax, [rip + second_guest]
    mov [VMCB_RIP + SECOND_OFFSET], rax
    mov qword ptr [PREPARED], 1
    RUN
1:  pause
    cmp qword ptr [WAITING], 2
    jne 1b
    or dword ptr [BACKING_1 + 0x210], 1 << 21 // vector 0x35
    WRITE_MSR 0xc001011b, 1
    FINISH
guest:
    mov ebp, LOCAL_APIC
1:  pause
    cmp qword ptr [WAITING], 1
    jne 1b
    mov dword ptr [rbp + 0x310], 1 << 24
    mov dword ptr [rbp + 0x300], 0x34
    LEAVE

    .globl second
second:
    pause
    cmp qword ptr [PREPARED], 1
    jne second
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x1000
    wrmsr
    WRITE_MSR 0xc0010117, SECOND_HSAVE
    mov eax, SECOND_VMCB
    vmrun
    mov rax, [VMCB_EXITCODE + SECOND_OFFSET]
    RESULT 0, rax
    FINISH
second_guest:
    mov ebp, LOCAL_APIC
    sti
    mov qword ptr [WAITING], 1
    hlt
behind_hlt:
    mov dword ptr [rbp + 0xb0], 0           // EOI
    mov qword ptr [WAITING], 2
spinning:
    pause
    cmp qword ptr [LOG], 2                  // until the handler has noted the second one
    jne spinning
    vmmcall
