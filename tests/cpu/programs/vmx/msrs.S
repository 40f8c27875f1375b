// RDMSR and WRMSR (SDM 3C 25.6.9): without bitmaps all exit; with them four quarters of the page
// decide, and what lies outside of both ranges exits.
//
// exit: rdmsr GUEST_RIP=read_any EXIT_INSTRUCTION_LENGTH=2 RCX=0x10
// exit: wrmsr GUEST_RIP=write_any EXIT_INSTRUCTION_LENGTH=2 RAX=7
// exit: rdmsr GUEST_RIP=read_low RCX=0x174
// exit: wrmsr GUEST_RIP=write_low RCX=0x175
// exit: rdmsr GUEST_RIP=read_high RCX=0xc0000081
// exit: wrmsr GUEST_RIP=write_high RCX=0xc0000082
// exit: rdmsr GUEST_RIP=read_outside RCX=0x40000000
// result: 0=0x55 1=0x66
#include "host.inc"
start:
    call prepare
    RUN
    SET_PRIMARY 1 << 28
    mov byte ptr [MSR_BITMAP + 0x174 / 8], 1 << 4
    mov byte ptr [MSR_BITMAP + 0x400 + 0x81 / 8], 1 << 1
    mov byte ptr [MSR_BITMAP + 0x800 + 0x175 / 8], 1 << 5
    mov byte ptr [MSR_BITMAP + 0xc00 + 0x82 / 8], 1 << 2
    RUN bitmaps
    FINISH
guest:
    mov ecx, 0x10
read_any:
    rdmsr
    mov ecx, 0x174
    mov eax, 7
write_any:
    wrmsr
    LEAVE
bitmaps:
    WRITE_MSR 0x174, 0x55
read_low:
    rdmsr
    mov ecx, 0x175
write_low:
    wrmsr
    WRITE_MSR 0xc0000081, 0x66
read_high:
    rdmsr
    mov ecx, 0xc0000082
write_high:
    wrmsr
    rdmsr
    mov ecx, 0x40000000
read_outside:
    rdmsr
    mov ecx, 0x175
    rdmsr
    mov eax, 0x55                           // neither write of the guest to 175 was performed
    RESULT 0, rax
    mov eax, 0x66
    RESULT 1, rax
    LEAVE
