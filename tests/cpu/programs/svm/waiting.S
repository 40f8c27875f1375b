// MONITOR, MWAIT and INVPCID (APM 2 15.9): their intercepts, one of MWAIT for an armed monitor only;
// INVPCID tells the descriptor's address and the type.
//
// exit: MONITOR RIP=at_monitor NRIP=at_monitor+3
// exit: MWAIT RIP=at_mwait NRIP=at_mwait+3
// exit: INVPCID RIP=at_invpcid NRIP=at_invpcid+6 EXITINFO1=DESCRIPTOR EXITINFO2=3
// exit: MWAIT_CONDITIONAL RIP=armed NRIP=armed+3
// event: vector=13 rip=reserved_type error=0
// result: 0=3
#include "host.inc"
    .globl DESCRIPTOR
    .set DESCRIPTOR, DATA + 0x70
start:
    call prepare
    INTERCEPT 0x8a
    INTERCEPT 0x8b
    INTERCEPT 0xa2
    RUN
    IGNORE 0x8a
    IGNORE 0x8b
    IGNORE 0xa2
    INTERCEPT 0x8c
    RUN monitors
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
    mwait                                   // not armed: no intercept, no wait
    monitor
armed:
    mwait
    mov ecx, 3
    mov ebx, DATA + 0x40
    mov qword ptr [DESCRIPTOR], 0
    mov qword ptr [DESCRIPTOR + 8], 0
    invpcid rcx, [rbx + 0x30]
    RESULT 0, rcx
    mov ecx, 4
    TRY reserved_type, invpcid rcx, [rbx + 0x30]
    LEAVE
