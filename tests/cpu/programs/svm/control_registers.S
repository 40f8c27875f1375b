// Control and debug registers (APM 2 15.8, table B-1): MOV names its general register in EXITINFO1,
// CLTS, LMSW and SMSW do not; the selective CR0 intercept ignores TS and MP, but not by LMSW.
//
// exit: CR0_READ RIP=read_cr0 EXITCODE=0 EXITINFO1=0x8000000000000002 NRIP=read_cr0+3
// exit: CR0_READ RIP=read_cr3 EXITCODE=3 EXITINFO1=0x8000000000000009 NRIP=read_cr3+4
// exit: CR0_READ RIP=read_cr4 EXITCODE=4
// exit: CR8_READ RIP=read_cr8 EXITCODE=8
// exit: CR0_READ RIP=at_smsw EXITCODE=0 EXITINFO1=0 NRIP=at_smsw+3
// exit: CR0_WRITE RIP=write_cr0 EXITCODE=0x10 EXITINFO1=0x8000000000000002
// exit: CR0_WRITE RIP=at_clts EXITCODE=0x10 EXITINFO1=0 NRIP=at_clts+2
// exit: CR0_WRITE RIP=at_lmsw EXITCODE=0x10 EXITINFO1=0
// exit: CR0_WRITE RIP=write_cr3 EXITCODE=0x13 EXITINFO1=0x8000000000000003
// exit: CR0_WRITE RIP=write_cr4 EXITCODE=0x14
// exit: CR8_WRITE RIP=write_cr8 EXITCODE=0x18
// exit: CR0_SEL_WRITE RIP=sel_write EXITCODE=0x65 EXITINFO1=0x8000000000000000
// exit: CR0_SEL_WRITE RIP=sel_lmsw EXITINFO1=0
// exit: DR0_READ RIP=read_dr3 EXITCODE=0x23 EXITINFO1=5 NRIP=read_dr3+3
// exit: DR0_READ RIP=read_dr7 EXITCODE=0x27
// exit: DR0_WRITE RIP=write_dr0 EXITCODE=0x30
// exit: DR0_WRITE RIP=write_dr6 EXITCODE=0x36 EXITINFO1=0xa NRIP=write_dr6+4
#include "host.inc"
start:
    call prepare
    SET32 VMCB_INTERCEPT_CR_READS, 0x01190119
    RUN
    SET32 VMCB_INTERCEPT_CR_READS, 0
    INTERCEPT 0x65
    RUN selective
    SET32 VMCB_INTERCEPT_DR_READS, 0x00ff00ff
    RUN debug
    FINISH
guest:
read_cr0:
    mov rdx, cr0
read_cr3:
    mov r9, cr3
read_cr4:
    mov rax, cr4
read_cr8:
    mov rax, cr8
at_smsw:
    smsw eax
write_cr0:
    mov cr0, rdx
at_clts:
    clts
at_lmsw:
    lmsw ax
write_cr3:
    mov cr3, rbx
write_cr4:
    mov cr4, rax
write_cr8:
    mov cr8, rax
    LEAVE
selective:
    mov rax, cr0
    xor eax, 0xa                            // TS and MP
    mov cr0, rax
    clts
    mov rax, cr0
    xor eax, 0x20
sel_write:
    mov cr0, rax
    mov eax, 3
sel_lmsw:
    lmsw ax
    LEAVE
debug:
read_dr3:
    mov rbp, dr3
read_dr7:
    mov rax, dr7
write_dr0:
    mov dr0, rax
write_dr6:
    mov dr6, r10
    LEAVE
