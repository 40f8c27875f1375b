// I/O instructions (SDM 3C 25.6.4, table 28-5): unconditional exiting, then the bitmaps, where one bit
// of the ports that an access covers is enough, and a wrap around 0xffff always exits.
//
// exit: io_instruction GUEST_RIP=out_al EXIT_QUALIFICATION=0x00800040 EXIT_INSTRUCTION_LENGTH=2
// exit: io_instruction GUEST_RIP=in_eax EXIT_QUALIFICATION=0x1234000b EXIT_INSTRUCTION_LENGTH=1 RDX=0x1234
// exit: io_instruction GUEST_RIP=rep_outsb EXIT_QUALIFICATION=0x00900030 GUEST_LINEAR_ADDRESS=text EXIT_INSTRUCTION_INFO=0x18100/0x38380
// exit: io_instruction GUEST_RIP=at_insw EXIT_QUALIFICATION=0x00900019 GUEST_LINEAR_ADDRESS=0x21000 EXIT_INSTRUCTION_INFO=0x00100/0x380
// exit: io_instruction GUEST_RIP=in_two EXIT_QUALIFICATION=0x00700009
// exit: io_instruction GUEST_RIP=in_high EXIT_QUALIFICATION=0x9000000b/0xffff000f
// exit: io_instruction GUEST_RIP=in_wrap EXIT_QUALIFICATION=0xffff0009
#include "host.inc"
start:
    call prepare
    SET_PRIMARY 1 << 24
    RUN
    SET_PRIMARY (1 << 24) + (1 << 25)       // the bitmaps count alone
    mov byte ptr [IO_BITMAPS + 0x71 / 8], 1 << 1
    mov byte ptr [IO_BITMAPS + 0x1000 + (0x9002 - 0x8000) / 8], 1 << 2
    RUN bitmaps
    FINISH
guest:
out_al:
    out 0x80, al
    mov edx, 0x1234
in_eax:
    in eax, dx
    mov edx, 0x90
    lea rsi, [rip + text]
    mov ecx, 2
rep_outsb:
    rep outsb
    mov edi, 0x21000
at_insw:
    insw
    LEAVE
bitmaps:
    in al, 0x70
    mov edx, 0x70
in_two:
    in ax, dx
    mov edx, 0x9000
in_high:
    in eax, dx
    mov edx, 0xffff
    in al, dx
in_wrap:
    in ax, dx
    LEAVE
text:
    .ascii "ab"
