// SVM instructions in a guest (APM 2 15.5, table 15-7): intercepted, or performed.
//
// exit: VMRUN RIP=at_vmrun NRIP=at_vmrun+3
// exit: VMLOAD RIP=at_vmload NRIP=at_vmload+3
// exit: VMSAVE RIP=at_vmsave NRIP=at_vmsave+3
// exit: STGI RIP=at_stgi NRIP=at_stgi+3
// exit: CLGI RIP=at_clgi NRIP=at_clgi+3
// event: vector=13 rip=misaligned
// event: vector=13 rip=no_memory
// event: vector=6 rip=no_skinit
#include "host.inc"
start:
    call prepare
    .irp code, 0x82, 0x83, 0x84, 0x85
    INTERCEPT \code
    .endr
    RUN
    .irp code, 0x82, 0x83, 0x84, 0x85
    IGNORE \code
    .endr
    RUN performed
    FINISH
guest:
    mov eax, GUEST_VMCB
at_vmrun:
    vmrun
at_vmload:
    vmload
at_vmsave:
    vmsave
at_stgi:
    stgi
at_clgi:
    clgi
    LEAVE
performed:
    mov eax, GUEST_VMCB
    vmsave
    clgi
    stgi
    mov eax, GUEST_VMCB + 8
    TRY misaligned, vmload
    mov eax, 0x3ff00000
    TRY no_memory, vmsave
    TRY no_skinit, skinit
    LEAVE
