// MONITOR, MWAIT and INVPCID: their exits by "MONITOR exiting", "MWAIT exiting" and "INVLPG exiting"
// (SDM 3C 26.1.3), with the qualification that tells an armed monitor, and INVPCID's operands.
//
// exit: monitor GUEST_RIP=at_monitor EXIT_INSTRUCTION_LENGTH=3 EXIT_QUALIFICATION=0
// exit: mwait GUEST_RIP=at_mwait EXIT_INSTRUCTION_LENGTH=3 EXIT_QUALIFICATION=0
// exit: invpcid GUEST_RIP=at_invpcid EXIT_INSTRUCTION_LENGTH=6 EXIT_QUALIFICATION=0x30 EXIT_INSTRUCTION_INFO=0x11c18100
// exit: mwait GUEST_RIP=armed EXIT_INSTRUCTION_LENGTH=3 EXIT_QUALIFICATION=1
// event: vector=6 rip=without_invpcid
// event: vector=13 rip=reserved_type error=0
// result: 0=3
#include "host.inc"
    .set INVPCID, 1 << 12
start:
    call prepare
    // INVLPG, MWAIT and MONITOR exiting.
    SET_PRIMARY SECONDARY + (1 << 9) + (1 << 10) + (1 << 29)
    SET_SECONDARY INVPCID
    RUN
    SET_PRIMARY SECONDARY + (1 << 10)
    RUN monitors
    SET_PRIMARY SECONDARY
    SET_SECONDARY 0
    RUN undefined
    SET_SECONDARY INVPCID
    RUN allowed
    FINISH
guest:
    mov eax, DATA
    xor ecx, ecx
at_monitor:
    monitor
at_mwait:
    mwait
    mov ecx, 3
    mov ebx, DATA + 0x40
at_invpcid:
    invpcid rcx, [rbx + 0x30]
    LEAVE
monitors:
    mov eax, DATA
    xor ecx, ecx
    monitor
armed:
    mwait
    LEAVE
undefined:
    mov ecx, 3
    TRY without_invpcid, invpcid rcx, [rbx + 0x30]
    LEAVE
allowed:                                    // it flushes, or faults
    mov ecx, 3
    mov qword ptr [DATA + 0x70], 0
    mov qword ptr [DATA + 0x78], 0
    mov ebx, DATA + 0x40
    invpcid rcx, [rbx + 0x30]
    RESULT 0, rcx
    mov ecx, 4
    TRY reserved_type, invpcid rcx, [rbx + 0x30]
    LEAVE
