// x2AVIC (APM 2 15.29.10): the APIC's registers as MSRs. First the MSR permission map, then what an
// x2APIC refuses itself, then what AVIC makes of the access.
//
// model: amd-genoa
// exit: MSR RIP=mapped EXITINFO1=1
// exit: AVIC_NOACCEL RIP=after_write_timer EXITINFO1=0x100000320 NRIP=0
// exit: AVIC_NOACCEL RIP=read_current_count EXITINFO1=0x390
// exit: AVIC_NOACCEL RIP=read_apr EXITINFO1=0x90
// exit: AVIC_INCOMPLETE_IPI RIP=after_waiting EXITINFO1=0x200000042 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_level EXITINFO1=0x8043 EXITINFO2=0
// exit: AVIC_INCOMPLETE_IPI RIP=after_cluster EXITINFO1=0x600000844 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_everybody EXITINFO1=0xffffffff00000045 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_low_vector EXITINFO1=0x40003 EXITINFO2=0x400000000
// exit: EXCP0 RIP=refused EXITCODE=0x4d EXITINFO1=0
// event: vector=13 rip=write_id
// event: vector=13 rip=read_eoi
// event: vector=13 rip=write_eoi
// event: vector=13 rip=write_ldr
// event: vector=13 rip=write_tpr
// event: vector=13 rip=read_dfr
// event: vector=0x33 rip=behind_sti
// result: 0=0x7 1=2 2=0x80000 3=0 4=0x300000041 5=0x22
#include "host.inc"
#include "avic.inc"
.macro WRITE name, msr, high, low
    mov edx, \high
    mov eax, \low
    mov ecx, \msr
    EXITS_AT \name, wrmsr
.endm
.macro READ name, msr
    mov ecx, \msr
    EXITS_AT \name, rdmsr
.endm
start:
    call prepare
    call prepare_avic
    SET VMCB_VINTR, 0xc1000000
    SET VMCB_AVIC_APIC_BAR, 0               // not used
    SET VMCB_AVIC_LOGICAL_TABLE, 0
    SET PHYSICAL_IDS + 24, VALID + RUNNING + BACKING_1 + 1
    mov dword ptr [BACKING + 0x20], 7
    INTERCEPT 0x7c
    mov byte ptr [MSRPM + 0x828 / 4], 2     // writes of ESR
    RUN
    mov dword ptr [VMCB_INTERCEPT_EXCEPTIONS], 1 << 13
    RUN faulting
    FINISH
guest:
    WRITE mapped, 0x828, 0, 0
    mov ecx, 0x802
    rdmsr
    RESULT 0, rax
    WRITE_MSR 0x808, 0x22
    mov rax, cr8
    RESULT 1, rax
    mov ecx, 0x808
    rdmsr
    RESULT 5, rax
    WRITE write_timer, 0x832, 0, 0x10030
    READ read_current_count, 0x839
    READ read_apr, 0x809
    WRITE write_id, 0x802, 0, 1
    READ read_eoi, 0x80b
    WRITE write_eoi, 0x80b, 0, 1
    WRITE write_ldr, 0x80d, 0, 1
    WRITE write_tpr, 0x808, 0, 0x100
    READ read_dfr, 0x80e
    WRITE_MSR 0x83f, 0x33                   // to itself
    sti
    nop
behind_sti:
    cli
    mov ecx, 0x811
    rdmsr
    RESULT 2, rax
    WRITE_MSR 0x80b, 0
    mov ecx, 0x811
    rdmsr
    RESULT 3, rax
    WRITE_MSR 0x830, 0x300000041
    mov ecx, 0x830
    rdmsr
    shl rdx, 32
    or rax, rdx
    RESULT 4, rax
    WRITE waiting, 0x830, 2, 0x42
    WRITE level, 0x830, 0, 0x8043
    WRITE cluster, 0x830, 6, 0x844          // logical: bits of cluster 0
    WRITE everybody, 0x830, -1, 0x45
    WRITE low_vector, 0x83f, 0, 3
    LEAVE
faulting:
    WRITE refused, 0x802, 0, 1
    LEAVE
