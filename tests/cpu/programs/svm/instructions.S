// Instructions whose intercepts are bits of their own (APM 2 15.9): code, RIP on the instruction, next
// RIP behind it.
//
// exit: CPUID RIP=at_cpuid NRIP=at_cpuid+2
// exit: VMMCALL RIP=at_vmmcall NRIP=at_vmmcall+3 RAX=0x1234
// exit: INVD RIP=at_invd NRIP=at_invd+2
// exit: WBINVD RIP=at_wbinvd NRIP=at_wbinvd+2
// exit: HLT RIP=at_hlt NRIP=at_hlt+1
// exit: PAUSE RIP=at_pause NRIP=at_pause+2
// exit: RDTSC RIP=at_rdtsc NRIP=at_rdtsc+2
// exit: RDTSCP RIP=at_rdtscp NRIP=at_rdtscp+3
// exit: RDPMC RIP=at_rdpmc NRIP=at_rdpmc+2
// exit: INVLPG RIP=at_invlpg NRIP=at_invlpg+4 EXITINFO1=0x31230
// exit: INVLPGA RIP=at_invlpga NRIP=at_invlpga+3
// exit: XSETBV RIP=at_xsetbv NRIP=at_xsetbv+3
// exit: RSM RIP=at_rsm NRIP=at_rsm+2
// exit: ICEBP RIP=at_icebp NRIP=at_icebp+1
// exit: SWINT RIP=at_int NRIP=at_int+2
// exit: PUSHF RIP=at_pushf NRIP=at_pushf+1
// exit: POPF RIP=at_popf NRIP=at_popf+1
// exit: IRET RIP=at_iret
// exit: HLT RIP=at_hlt_in_shadow INTERRUPT_SHADOW=1
// event: vector=6 rip=plain_rsm
// event: vector=1 rip=plain_icebp+1
#include "host.inc"
start:
    call prepare
    or qword ptr [VMCB_CR4], 1 << 18        // OSXSAVE
    .irp code, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x87, 0x88, 0x89, 0x8d
    INTERCEPT \code
    .endr
    RUN
    IGNORE 0x70
    IGNORE 0x71
    IGNORE 0x73
    IGNORE 0x74
    IGNORE 0x75
    IGNORE 0x88
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 1 << 1 // not INT1's
    RUN plain
    FINISH
guest:
at_cpuid:
    cpuid
    mov eax, 0x1234
at_vmmcall:
    vmmcall
at_invd:
    invd
at_wbinvd:
    wbinvd
at_hlt:
    hlt
at_pause:
    pause
at_rdtsc:
    rdtsc
at_rdtscp:
    rdtscp
at_rdpmc:
    rdpmc
    mov ebx, 0x31200
at_invlpg:
    invlpg [rbx + 0x30]
at_invlpga:
    invlpga
at_xsetbv:
    xsetbv
at_rsm:
    rsm
at_icebp:
    .byte 0xf1
at_int:
    int 0x20
at_pushf:
    pushfq
at_popf:
    popfq
    lea r15, [rip + 1f]
at_iret:
    iretq
1:  sti
at_hlt_in_shadow:
    hlt
    LEAVE
plain:
    TRY plain_rsm, rsm
plain_icebp:
    .byte 0xf1
    LEAVE
