// EVENTINJ (APM 2 15.20): each type, with what the handler finds on its stack; an exit during the
// delivery tells the event in EXITINTINFO.
//
// event: vector=0x30 rip=guest
// event: vector=2 rip=guest
// event: vector=6 error=0 rip=guest
// event: vector=13 error=0x1230 rip=guest
// event: vector=14 error=4 rip=guest cr2=0x98765
// event: vector=3 rip=guest+1
// event: vector=0x3e rip=guest+2
// exit: NPF RIP=guest EXITINTINFO=0x80000030 EXITINFO2=0x7300 EVENTINJ=0x30
// exit: NPF EXITINTINFO=0x80000202
// exit: NPF EXITINTINFO=0x123080000b0d
// exit: NPF EXITINTINFO=0x8000043e
// exit: EXCP0 EXITCODE=0x4b EXITINFO1=0x1f2 EXITINTINFO=0x8000043e
#include "host.inc"
.macro INJECT info, length=0
    SET VMCB_EVENTINJ, 0x80000000 + \info
    lea rax, [rip + guest + \length]
    mov [VMCB_NRIP], rax
    RUN
.endm
start:
    call prepare
    INJECT 0x030
    INJECT 0x202
    INJECT 0x306
    INJECT 0x123000000b0d
    SET VMCB_CR2, 0x98765
    INJECT 0x400000b0e
    INJECT 0x303, 1
    INJECT 0x43e, 2
    // The interrupt descriptor table is not there.
    lea rax, [rip + mend]
    mov [ON_EXIT], rax
    SET32 VMCB_NESTED_CONTROL, 1
    SET32 VMCB_TLB_CONTROL, 1
    .irp info, 0x030, 0x202, 0x123000000b0d
    mov dword ptr [NPT_PT + 7 * 8], 0
    INJECT \info
    .endr
    mov dword ptr [NPT_PT + 7 * 8], 0
    INJECT 0x43e, 2
    // Its gate is not present.
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0x800
    mov byte ptr [IDT + 0x3e * 16 + 5], 0x0e
    INJECT 0x43e, 2
    FINISH
mend:
    mov dword ptr [NPT_PT + 7 * 8], 0x7007
    ret
guest:
    nop
    nop
    nop
    LEAVE
