// A guest's APIC under AVIC (APM 2 15.29.3.1): registers that its backing page serves, writes that
// exit behind the instruction, accesses that exit instead of it, priorities and the end of interrupt.
//
// model: amd-rome
// exit: AVIC_NOACCEL RIP=after_write_id EXITINFO1=0x100000020 EXITINFO2=0 NRIP=0 VINTR=0x81000007
// exit: AVIC_NOACCEL RIP=write_version EXITINFO1=0x100000030
// exit: AVIC_NOACCEL RIP=read_current_count EXITINFO1=0x390
// exit: AVIC_NOACCEL RIP=read_apr EXITINFO1=0x90
// exit: AVIC_NOACCEL RIP=write_irr EXITINFO1=0x100000200
// exit: AVIC_NOACCEL RIP=read_extended EXITINFO1=0x400
// exit: AVIC_NOACCEL RIP=after_write_svr EXITINFO1=0x1000000f0
// exit: AVIC_NOACCEL RIP=after_write_initial_count EXITINFO1=0x100000380
// exit: CR8_READ RIP=read_cr8
// exit: AVIC_NOACCEL RIP=after_end_level EXITINFO1=0x1000000b0 EXITINFO2=0x22 VINTR=0x81000000
// exit: NPF RIP=write_protected EXITINFO1=0x100000007 EXITINFO2=0xfee00080
// event: vector=0x31 rip=behind_sti
// event: vector=0x22 rip=behind_second_sti
// result: 0=0x14 1=2 2=0x25 3=0x70 4=0x5000000 5=0x1fe
// result: 6=0x20000 7=0x20000 8=0 9=0x30 10=4 11=0 12=4 13=0x77
#include "host.inc"
#include "avic.inc"
start:
    call prepare
    call prepare_avic
    mov dword ptr [BACKING + 0x190], 4      // TMR: vector 0x22 is level-triggered
    RUN
    mov word ptr [VMCB_INTERCEPT_CR_READS], 0x100
    RUN intercepted
    mov word ptr [VMCB_INTERCEPT_CR_READS], 0
    RUN interrupts
    mov eax, 0xfee00085                     // the nested tables allow no writes
    mov [NPT_PD_HIGH + 0x1f7 * 8], rax
    mov byte ptr [VMCB_TLB_CONTROL], 1
    RUN protected
    FINISH
guest:
    mov ebp, LOCAL_APIC
    mov eax, [rbp + 0x30]
    RESULT 0, rax
    mov dword ptr [rbp + 0x80], 0x25        // TPR
    mov rax, cr8
    RESULT 1, rax
    mov eax, [rbp + 0xa0]                   // PPR
    RESULT 2, rax
    mov eax, 7
    mov cr8, rax
    mov eax, [rbp + 0x80]
    RESULT 3, rax
    EXITS_AT write_id, mov dword ptr [rbp + 0x20], 0x5000000
    mov eax, [rbp + 0x20]
    RESULT 4, rax
    EXITS_AT write_version, mov dword ptr [rbp + 0x30], 0
    EXITS_AT read_current_count, mov eax, [rbp + 0x390]
    EXITS_AT read_apr, mov eax, [rbp + 0x90]
    EXITS_AT write_irr, mov dword ptr [rbp + 0x200], 1
    EXITS_AT read_extended, mov eax, [rbp + 0x400]
    EXITS_AT write_svr, mov dword ptr [rbp + 0xf0], 0x1fe
    mov eax, [rbp + 0xf0]
    RESULT 5, rax
    EXITS_AT write_initial_count, mov dword ptr [rbp + 0x380], 1000
    LEAVE
intercepted:
    EXITS_AT read_cr8, mov rax, cr8
    LEAVE
interrupts:
    mov ebp, LOCAL_APIC
    xor eax, eax
    mov cr8, rax
    mov dword ptr [rbp + 0x300], 0x40031    // fixed, to itself
    mov eax, [rbp + 0x210]
    RESULT 6, rax
    sti
    nop
behind_sti:
    cli
    mov eax, [rbp + 0x110]                  // in service
    RESULT 7, rax
    mov eax, [rbp + 0x210]
    RESULT 8, rax
    mov eax, [rbp + 0xa0]
    RESULT 9, rax
    mov dword ptr [rbp + 0x300], 0x40022    // of a lower class: it waits
    sti
    nop
    nop
    cli
    mov eax, [rbp + 0x210]
    RESULT 10, rax
    sti
    mov dword ptr [rbp + 0xb0], 0           // EOI
behind_second_sti:
    cli
    mov eax, [rbp + 0x210]
    RESULT 11, rax
    EXITS_AT end_level, mov dword ptr [rbp + 0xb0], 0
    mov eax, [rbp + 0x110]                  // the hypervisor ends it
    RESULT 12, rax
    LEAVE
protected:
    mov ebp, LOCAL_APIC
    mov dword ptr [BACKING + 0x80], 0x77
    mov eax, [rbp + 0x80]                   // it may read
    RESULT 13, rax
    EXITS_AT write_protected, mov dword ptr [rbp + 0x80], 0
    LEAVE
