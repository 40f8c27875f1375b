// Reads and writes of GDTR, IDTR, LDTR and TR (APM 2 15.9).
//
// exit: GDTR_READ RIP=at_sgdt NRIP=at_sgdt+3
// exit: IDTR_READ RIP=at_sidt
// exit: GDTR_WRITE RIP=at_lgdt
// exit: IDTR_WRITE RIP=at_lidt
// exit: LDTR_READ RIP=at_sldt NRIP=at_sldt+3
// exit: TR_READ RIP=at_str
// exit: LDTR_WRITE RIP=at_lldt
// exit: TR_WRITE RIP=at_ltr
#include "host.inc"
start:
    call prepare
    .irp code, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d
    INTERCEPT \code
    .endr
    RUN
    FINISH
guest:
    mov ebx, SPARE
at_sgdt:
    sgdt [rbx]
at_sidt:
    sidt [rbx]
at_lgdt:
    lgdt [rbx]
at_lidt:
    lidt [rbx]
at_sldt:
    sldt eax
at_str:
    str eax
at_lldt:
    lldt cx
at_ltr:
    ltr word ptr [rbx]
    LEAVE
