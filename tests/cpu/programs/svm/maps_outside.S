// Permission maps where no memory answers read as ones: everything is intercepted.
//
// exit: IOIO RIP=at_out
// exit: MSR RIP=at_rdmsr
#include "host.inc"
start:
    call prepare
    INTERCEPT 0x7b
    INTERCEPT 0x7c
    SET VMCB_IOPM_BASE_PA, 0x3fff0000
    SET VMCB_MSRPM_BASE_PA, DEVICE
    RUN
    FINISH
guest:
at_out:
    out 0x80, al
    mov ecx, 0x174
at_rdmsr:
    rdmsr
    LEAVE
