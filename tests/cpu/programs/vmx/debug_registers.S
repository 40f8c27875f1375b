// MOV to and from debug registers with "MOV-DR exiting" (table 28-4): before DR7.GD would trap, but
// behind #UD of DR4 with CR4.DE 1.
//
// exit: mov_dr GUEST_RIP=write_dr3 EXIT_QUALIFICATION=0x103 EXIT_INSTRUCTION_LENGTH=3
// exit: mov_dr GUEST_RIP=read_dr6 EXIT_QUALIFICATION=0xa16 EXIT_INSTRUCTION_LENGTH=4
// exit: mov_dr GUEST_RIP=read_dr7 EXIT_QUALIFICATION=0x17 GUEST_DR7=0x2400
// event: vector=6 rip=alias
#include "host.inc"
start:
    call prepare
    SET_PRIMARY 1 << 23
    SET_FIELD GUEST_DR7, 0x2400             // GD
    RUN
    FINISH
guest:
write_dr3:
    mov dr3, rcx
read_dr6:
    mov r10, dr6
read_dr7:
    mov rax, dr7
    mov rax, cr4
    or eax, 8
    mov cr4, rax
    TRY alias, mov rax, dr4
    LEAVE
