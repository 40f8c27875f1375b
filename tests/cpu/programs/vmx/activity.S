// Activity states at an entry (SDM 3C 27.7.2): a guest in HLT wakes by an interrupt that exits, one in
// the shutdown state by an NMI; pending debug exceptions behind a shadow (27.7.3); a virtual NMI that
// is injected blocks the next until IRET.
//
// nmi:
// exit: external_interrupt GUEST_ACTIVITY=1 GUEST_RIP=guest EXIT_INTERRUPTION_INFO=0x80000033
// exit: exception_or_nmi GUEST_ACTIVITY=2 GUEST_RIP=guest EXIT_INTERRUPTION_INFO=0x80000202
// exit: exception_or_nmi GUEST_RIP=behind_shadow EXIT_INTERRUPTION_INFO=0x80000301 EXIT_QUALIFICATION=0x4001 GUEST_PENDING_DEBUG=0
// exit: cpuid GUEST_RIP=in_handler GUEST_INTERRUPTIBILITY=8
// exit: cpuid GUEST_RIP=after_handler GUEST_INTERRUPTIBILITY=0
#include "host.inc"
start:
    call prepare
    SET_PIN 1 + (1 << 3)
    SET_EXIT 1 << 15
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0x320], 0x33       // one-shot timer
    mov dword ptr [rbp + 0x380], 4000
    SET_FIELD GUEST_ACTIVITY, 1
    RUN
    SET_FIELD GUEST_ACTIVITY, 2
    RUN
    SET_PIN 0
    SET_FIELD EXCEPTION_BITMAP, 2
    SET_FIELD GUEST_RFLAGS, 0x102
    SET_FIELD GUEST_INTERRUPTIBILITY, 2
    SET_FIELD GUEST_PENDING_DEBUG, 0x5001
    lea rax, [rip + no_step]
    mov [ON_EXIT], rax
    RUN shadow
    mov qword ptr [ON_EXIT], 0
    SET_FIELD EXCEPTION_BITMAP, 0
    SET_PIN (1 << 3) + (1 << 5)             // virtual NMIs
    SET_HANDLER 2, nmi_handler
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000202
    RUN after_handler
    FINISH
no_step:
    SET_FIELD GUEST_RFLAGS, 2
    SET_FIELD GUEST_PENDING_DEBUG, 0
    ret
guest:
    LEAVE
shadow:
    nop
behind_shadow:
    LEAVE
nmi_handler:
in_handler:
    cpuid
    iretq
after_handler:
    cpuid
    LEAVE
