// IPIs under AVIC (APM 2 15.29.6.1): they set the bits in the targets' backing pages, and exit where
// a target does not run or the tables or the command are at fault; EXITINFO2 tells why.
//
// model: amd-rome
// exit: AVIC_INCOMPLETE_IPI RIP=after_waiting EXITINFO1=0x200000000000042 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_invalid EXITINFO1=0x400000000000043 EXITINFO2=0x200000004
// exit: AVIC_INCOMPLETE_IPI RIP=after_beyond EXITINFO1=0x900000000000043 EXITINFO2=0x200000009
// exit: AVIC_INCOMPLETE_IPI RIP=after_nmi EXITINFO1=0x100000000000400 EXITINFO2=0
// exit: AVIC_INCOMPLETE_IPI RIP=after_level EXITINFO1=0x10000000000c044 EXITINFO2=0
// exit: AVIC_INCOMPLETE_IPI RIP=after_low_vector EXITINFO1=0x100000000000005 EXITINFO2=0x400000000
// exit: AVIC_INCOMPLETE_IPI RIP=after_some_wait EXITINFO1=0x600000000000846 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_some_invalid EXITINFO1=0x900000000000847 EXITINFO2=0x200000003
// exit: AVIC_INCOMPLETE_IPI RIP=after_others EXITINFO1=0xc0049 EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_all EXITINFO1=0xff0000000000004a EXITINFO2=0x100000002
// exit: AVIC_INCOMPLETE_IPI RIP=after_outside EXITINFO1=0x30000000000004b EXITINFO2=0x300000003
// exit: AVIC_INCOMPLETE_IPI RIP=after_all_outside EXITINFO1=0x8004c EXITINFO2=0x300000003
// result: 0=0x428 1=0x762 2=0x644
#include "host.inc"
#include "avic.inc"
.macro SEND destination, command
    mov dword ptr [rbp + 0x310], (\destination) << 24
    mov dword ptr [rbp + 0x300], \command
.endm
.macro FAILS name, destination, command
    mov dword ptr [rbp + 0x310], (\destination) << 24
    EXITS_AT \name, mov dword ptr [rbp + 0x300], \command
.endm
start:
    call prepare
    call prepare_avic
    SET32 LOGICAL_IDS, 0x80000000
    SET32 LOGICAL_IDS + 4, 0x80000001
    SET32 LOGICAL_IDS + 8, 0x80000002
    SET32 LOGICAL_IDS + 0x10, 0x80000001    // first of cluster 1
    RUN
    mov eax, [BACKING + 0x220]
    RESULT 0, rax
    mov eax, [BACKING_1 + 0x220]
    RESULT 1, rax
    mov eax, [BACKING_2 + 0x220]
    RESULT 2, rax
    FINISH
guest:
    mov ebp, LOCAL_APIC
    SEND 1, 0x41
    FAILS waiting, 2, 0x42
    FAILS invalid, 4, 0x43
    FAILS beyond, 9, 0x43
    FAILS nmi, 1, 0x400
    FAILS level, 1, 0xc044
    FAILS low_vector, 1, 5
    SEND 3, 0x845                           // logical: 0 and 1
    FAILS some_wait, 6, 0x846               // 1 and 2
    FAILS some_invalid, 9, 0x847            // 0 and none: nothing is sent
    SEND 0, 0x40043                         // to itself
    mov dword ptr [BACKING + 0xe0], 0       // DFR: clusters
    SEND 0x11, 0x848
    FAILS others, 0, 0xc0049
    FAILS all, 0xff, 0x4a
    movabs rax, VALID + RUNNING + (1 << 48)
    mov [PHYSICAL_IDS + 24], rax
    FAILS outside, 3, 0x4b
    FAILS all_outside, 0, 0x8004c
    LEAVE
