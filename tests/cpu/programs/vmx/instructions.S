// Instructions that exit always, or by a control: reason, RIP on the instruction, its length.
//
// exit: cpuid GUEST_RIP=at_cpuid EXIT_INSTRUCTION_LENGTH=2 EXIT_QUALIFICATION=0
// exit: invd GUEST_RIP=at_invd EXIT_INSTRUCTION_LENGTH=2
// exit: vmcall GUEST_RIP=at_vmcall EXIT_INSTRUCTION_LENGTH=3 RAX=0x1234
// exit: xsetbv GUEST_RIP=at_xsetbv EXIT_INSTRUCTION_LENGTH=3
// exit: hlt GUEST_RIP=at_hlt EXIT_INSTRUCTION_LENGTH=1 GUEST_ACTIVITY=0
// exit: pause GUEST_RIP=at_pause EXIT_INSTRUCTION_LENGTH=2
// exit: rdtsc GUEST_RIP=at_rdtsc EXIT_INSTRUCTION_LENGTH=2
// exit: rdtscp GUEST_RIP=at_rdtscp EXIT_INSTRUCTION_LENGTH=3
// exit: rdpmc GUEST_RIP=at_rdpmc EXIT_INSTRUCTION_LENGTH=2
// exit: invlpg GUEST_RIP=at_invlpg EXIT_INSTRUCTION_LENGTH=4 EXIT_QUALIFICATION=0x31230
// exit: wbinvd GUEST_RIP=at_wbinvd EXIT_INSTRUCTION_LENGTH=2
// exit: hlt GUEST_RIP=at_hlt_in_shadow GUEST_INTERRUPTIBILITY=1
// event: vector=6 rip=without_rdtscp
// result: 0=2
#include "host.inc"
start:
    call prepare
    SET_FIELD GUEST_CR4, 0x426a0            // with VMXE and OSXSAVE
    // HLT, INVLPG, RDPMC, RDTSC and PAUSE exiting.
    SET_PRIMARY SECONDARY + (1 << 7) + (1 << 9) + (1 << 11) + (1 << 12) + (1 << 30)
    SET_SECONDARY (1 << 3) + (1 << 6)       // RDTSCP, WBINVD exiting
    RUN
    SET_SECONDARY 0
    RUN undefined
    FINISH
guest:
at_cpuid:
    cpuid
at_invd:
    invd
    mov eax, 0x1234
at_vmcall:
    vmcall
at_xsetbv:
    xsetbv
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
at_wbinvd:
    wbinvd
    sti
at_hlt_in_shadow:
    hlt
    cli
    mov ebx, 2
    RESULT 0, rbx
    LEAVE
undefined:
    TRY without_rdtscp, rdtscp
    LEAVE
