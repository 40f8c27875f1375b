// IOIO and MSR intercepts by their permission maps (APM 2 15.10, 15.11).
//
// exit: IOIO RIP=out_al EXITINFO1=0x00800010 EXITINFO2=out_al+2
// exit: IOIO RIP=in_eax EXITINFO1=0x00900041 EXITINFO2=in_eax+1
// exit: IOIO RIP=rep_outsw EXITINFO1=0x00900e2c EXITINFO2=rep_outsw+3
// exit: IOIO RIP=at_insb EXITINFO1=0x00900215 EXITINFO2=at_insb+1
// exit: IOIO RIP=across EXITINFO1=0xffff0021
// exit: MSR RIP=read_low EXITINFO1=0 RCX=0x174 NRIP=read_low+2
// exit: MSR RIP=write_high EXITINFO1=1 RCX=0xc0000082 RAX=0x55
// exit: MSR RIP=read_amd EXITINFO1=0 RCX=0xc0010015
// exit: MSR RIP=read_outside EXITINFO1=0 RCX=0x40000000
// result: 0=0x66
#include "host.inc"
start:
    call prepare
    INTERCEPT 0x7b
    INTERCEPT 0x7c
    mov byte ptr [IOPM + 0x80 / 8], 1
    mov byte ptr [IOPM + 0x92 / 8], 1 << 2
    mov byte ptr [IOPM + 0x2000], 1         // behind port 0xffff
    mov byte ptr [MSRPM + 0x174 / 4], 1 << 0
    mov byte ptr [MSRPM + 0x800 + 0x82 / 4], 1 << 5
    mov byte ptr [MSRPM + 0x1000 + 0x15 / 4], 1 << 2
    RUN
    RUN msrs
    FINISH
guest:
out_al:
    out 0x80, al
    mov edx, 0x90
in_eax:
    in eax, dx
    in al, dx
    mov byte ptr [IOPM + 0x90 / 8], 1
    mov esi, SPARE
    mov edi, SPARE
    mov ecx, 2
rep_outsw:
    rep outsw
at_insb:
    insb
    mov edx, 0xffff
across:
    in ax, dx
    LEAVE
msrs:
    mov ecx, 0x174
read_low:
    rdmsr
    WRITE_MSR 0x174, 0x66                   // not intercepted
    mov ecx, 0xc0000082
    mov eax, 0x55
write_high:
    wrmsr
    rdmsr
    mov ecx, 0xc0010015
read_amd:
    rdmsr
    mov ecx, 0x40000000
read_outside:
    rdmsr
    mov eax, 0x66
    RESULT 0, rax
    LEAVE
