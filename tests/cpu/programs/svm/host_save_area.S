// A host state-save area that no memory holds: what #VMEXIT reads there is no consistent state, and the
// processor shuts down (APM 2 15.6).
//
// ends: shutdown
// result: 0=1
#include "host.inc"
start:
    call prepare
    WRITE_MSR 0xc0010117, 0x3fff0000
    RUN
    mov eax, 2
    RESULT 0, rax
    FINISH
guest:
    mov eax, 1
    RESULT 0, rax
    LEAVE
