// Interrupts, NMIs, INIT and SIPI that reach a guest (SDM 3C 26.2, 28.3.1): with and without
// "acknowledge interrupt on exit", windows, activity states that they end. The host's handlers take
// what is not acknowledged.
//
// exit: external_interrupt GUEST_RIP=behind_ipi EXIT_INTERRUPTION_INFO=0 GUEST_RFLAGS=2
// exit: external_interrupt GUEST_RIP=behind_ipi2 EXIT_INTERRUPTION_INFO=0x80000031
// exit: external_interrupt GUEST_RIP=behind_hlt EXIT_INTERRUPTION_INFO=0x80000032 GUEST_ACTIVITY=1
// exit: exception_or_nmi GUEST_RIP=behind_nmi EXIT_INTERRUPTION_INFO=0x80000202 GUEST_INTERRUPTIBILITY=0
// exit: interrupt_window GUEST_RIP=behind_shadow GUEST_INTERRUPTIBILITY=0 GUEST_RFLAGS=0x202
// exit: interrupt_window GUEST_ACTIVITY=1 GUEST_RIP=behind_open_hlt
// exit: nmi_window GUEST_RIP=nmi_guest GUEST_INTERRUPTIBILITY=0
// exit: nmi_window GUEST_RIP=nmi_to_guest GUEST_INTERRUPTIBILITY=0
// exit: init_signal GUEST_RIP=behind_init
// exit: sipi EXIT_QUALIFICATION=0x9a GUEST_ACTIVITY=3
// sipi: 0x9a
// event: vector=0x30
// event: vector=2 rip=nmi_to_guest
#include "host.inc"
    .set ICR_LOW, LOCAL_APIC + 0x300
.macro SEND command                         // to itself
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0x310], 0
    mov dword ptr [rbp + 0x300], \command
.endm
start:
    call prepare
    SET_PIN 1
    RUN
    SET_EXIT 1 << 15
    RUN acknowledged
    SET_PRIMARY HLT_EXITING - (1 << 7)
    RUN halted
    SET_PIN 1 + (1 << 3)                    // NMI exiting
    RUN nmi
    SET_PRIMARY 1 << 2
    RUN window
    SET_PRIMARY 1 << 2
    RUN halted_window
    SET_PIN 1 + (1 << 3) + (1 << 5)         // virtual NMIs
    SET_PRIMARY 1 << 22
    RUN nmi_guest
    SET_PRIMARY 1 << 22
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000202
    RUN nmi_to_guest
    SET_PIN 0
    RUN init
    SET_FIELD GUEST_ACTIVITY, 3
    lea rax, [rip + sipi]
    mov [ON_EXIT], rax
    RUN guest_end
    FINISH
guest:
    SEND 0x44030
behind_ipi:
    LEAVE
acknowledged:
    SEND 0x44031
behind_ipi2:
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
window:
    nop
    sti
    nop
behind_shadow:
    cli
    LEAVE
halted_window:
    sti
    hlt
behind_open_hlt:
    cli
    LEAVE
nmi_guest:
    LEAVE
nmi_to_guest:
    LEAVE
init:
    SEND 0x4500
behind_init:
    LEAVE
guest_end:
    LEAVE
sipi:
    SET_FIELD GUEST_ACTIVITY, 0
    ret
