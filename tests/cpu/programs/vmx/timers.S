// Exits that time and single steps make (SDM 3C 26.5): the preemption timer at 0 and counting, its
// rest saved, in HLT; the monitor trap flag behind an instruction and behind an injected event.
//
// exit: preemption_timer GUEST_RIP=guest EXIT_QUALIFICATION=0
// exit: preemption_timer GUEST_RIP=endless PREEMPTION_TIMER_VALUE=0
// exit: cpuid GUEST_RIP=early PREEMPTION_TIMER_VALUE=0x7fff0000/0xffff0000
// exit: preemption_timer GUEST_RIP=behind_hlt GUEST_ACTIVITY=1
// exit: monitor_trap_flag GUEST_RIP=behind_nop
// exit: monitor_trap_flag GUEST_RIP=rep_store RCX=2
// exit: monitor_trap_flag GUEST_RIP=stub
// exit: monitor_trap_flag GUEST_RIP=stepped
// result: 0=0
#include "host.inc"
start:
    call prepare
    SET_PIN 1 << 6
    RUN
    SET_PIN 1 << 6
    SET_EXIT 1 << 22                        // the timer's value is saved
    SET_FIELD PREEMPTION_TIMER_VALUE, 20000
    lea rax, [rip + out_of_loop]
    mov [ON_EXIT], rax
    RUN endless
    mov qword ptr [ON_EXIT], 0
    SET_FIELD PREEMPTION_TIMER_VALUE, 0x7fffffff
    RUN early
    SET_FIELD PREEMPTION_TIMER_VALUE, 20000
    RUN halted
    SET_EXIT 0
    SET_PIN 0
    SET_PRIMARY 1 << 27
    RUN stepped
    SET_PRIMARY 1 << 27
    mov qword ptr [REGISTERS + 7 * 8], SPARE
    mov qword ptr [REGISTERS + 1 * 8], 3
    RUN rep_store
    // Its first instruction is that of a handler.
    SET_PRIMARY 1 << 27
    SET_HANDLER 0x21, stub
    SET_FIELD GUEST_RFLAGS, 0x202
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000021
    RUN stepped
    SET_FIELD GUEST_RFLAGS, 2
    SET_PRIMARY 0
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000700   // a pending exit of that kind is injected
    RUN stepped
    FINISH
out_of_loop:
    mov qword ptr [REGISTERS + 15 * 8], offset guest
    SET_FIELD GUEST_RFLAGS, 2
    ret
guest:
    LEAVE
endless:
    jmp endless
early:
    cpuid
    LEAVE
halted:
    hlt
behind_hlt:
    LEAVE
stepped:
    nop
behind_nop:
    LEAVE
rep_store:
    rep stosb
    LEAVE
stub:
    iretq
