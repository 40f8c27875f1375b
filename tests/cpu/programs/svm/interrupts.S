// Interrupts, NMI, SMI and INIT that reach a guest (APM 2 15.13), the virtual interrupt (15.21): an
// intercepted one stays pending and the host takes it once GIF and IF let it.
//
// exit: INTR RIP=behind_ipi RFLAGS=0x202
// exit: INTR RIP=behind_hlt
// exit: NMI RIP=behind_nmi
// exit: SMI RIP=behind_smi
// exit: VINTR RIP=behind_sti VINTR=0x31010f0100
// exit: INIT RIP=behind_init
// event: vector=0x30
// event: vector=0x32
// event: vector=2
// event: vector=0x31 rip=behind_sti
// result: 0=1
#include "host.inc"
.macro SEND command                         // to itself
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0x310], 0
    mov dword ptr [rbp + 0x300], \command
.endm
start:
    call prepare
    INTERCEPT 0x60
    INTERCEPT 0x61
    INTERCEPT 0x62
    INTERCEPT 0x63
    SET VMCB_RFLAGS, 0x202
    RUN
    RUN halted
    RUN nmi
    RUN smi
    SET VMCB_RFLAGS, 2
    INTERCEPT 0x64
    SET VMCB_VINTR, 0x31010f0100
    RUN window
    // INIT becomes #SX (VM_CR.R_INIT).
    SET_HANDLER 30, security_exception
    WRITE_MSR 0xc0010114, 2
    RUN init
    FINISH
security_exception:
    push rax
    mov rax, [rsp + 8]
    RESULT 0, rax
    pop rax
    add rsp, 8
    iretq
guest:
    SEND 0x44030
behind_ipi:
    LEAVE
halted:
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0x320], 0x32       // one-shot timer
    mov dword ptr [rbp + 0x380], 2000
    hlt
behind_hlt:
    LEAVE
nmi:
    SEND 0x400
behind_nmi:
    LEAVE
smi:
    SEND 0x200
behind_smi:
    LEAVE
window:
    sti
    nop
behind_sti:
    cli
    LEAVE
init:
    SEND 0x4500
behind_init:
    LEAVE
