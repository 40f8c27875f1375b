// Events that entries inject (SDM 3C 27.6): each type, with what the handler finds on its stack, and
// what an exit during the delivery records as vectoring information.
//
// event: vector=0x30 rip=guest rflags=0x202
// event: vector=2 rip=guest
// event: vector=6 error=0 rip=guest
// event: vector=13 error=0x1230 rip=guest
// event: vector=14 error=4 rip=guest cr2=0x98765
// event: vector=0x3e rip=guest+2
// event: vector=1 rip=guest+1
// event: vector=3 rip=guest+1
// event: vector=4 rip=guest+1
// event: vector=4 rip=guest
// event: vector=2 rip=waiting
// exit: ept_violation GUEST_RIP=guest IDT_VECTORING_INFO=0x80000030 EXIT_QUALIFICATION=0x1/0x1 GUEST_PHYSICAL_ADDRESS=0x7300 EXIT_INSTRUCTION_LENGTH=0
// exit: ept_violation IDT_VECTORING_INFO=0x80000202
// exit: ept_violation IDT_VECTORING_INFO=0x80000b0d IDT_VECTORING_ERROR_CODE=0x1230
// exit: ept_violation IDT_VECTORING_INFO=0x8000043e EXIT_INSTRUCTION_LENGTH=2
// exit: ept_violation IDT_VECTORING_INFO=0x80000501 EXIT_INSTRUCTION_LENGTH=1
// exit: ept_violation IDT_VECTORING_INFO=0x80000603 EXIT_INSTRUCTION_LENGTH=1 GUEST_LINEAR_ADDRESS=0x7030
// exit: exception_or_nmi GUEST_RIP=guest EXIT_INTERRUPTION_INFO=0x80000b0b EXIT_INTERRUPTION_ERROR_CODE=0x1f2 IDT_VECTORING_INFO=0x8000043e EXIT_INSTRUCTION_LENGTH=2 ENTRY_INTERRUPTION_INFO=0x0000043e
#include "host.inc"
.macro INJECT info, length=0
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000000 + \info
    SET_FIELD ENTRY_INSTRUCTION_LENGTH, \length
    RUN
.endm
start:
    call prepare
    SET_FIELD GUEST_RFLAGS, 0x202
    INJECT 0x030
    SET_FIELD GUEST_RFLAGS, 2
    INJECT 0x202
    INJECT 0x306
    SET_FIELD ENTRY_EXCEPTION_ERROR_CODE, 0x1230
    INJECT 0xb0d
    mov eax, 0x98765
    mov cr2, rax
    SET_FIELD ENTRY_EXCEPTION_ERROR_CODE, 4
    INJECT 0xb0e
    INJECT 0x43e, 2
    INJECT 0x501, 1
    INJECT 0x603, 1
    INJECT 0x604, 1
    INJECT 0x604, 0
    // An NMI ends HLT.
    SET_FIELD GUEST_ACTIVITY, 1
    SET_FIELD ENTRY_INTERRUPTION_INFO, 0x80000202
    RUN waiting
    SET_FIELD GUEST_ACTIVITY, 0
    // The interrupt descriptor table is not there.
    lea rax, [rip + mend]
    mov [ON_EXIT], rax
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT
    SET_FIELD GUEST_RFLAGS, 0x202
    SET_FIELD ENTRY_EXCEPTION_ERROR_CODE, 0x1230
    .irp info, 0x030, 0x202, 0xb0d
    mov dword ptr [EPT_PT + 7 * 8], 0
    INJECT \info
    .endr
    mov dword ptr [EPT_PT + 7 * 8], 0
    INJECT 0x43e, 2
    mov dword ptr [EPT_PT + 7 * 8], 0
    INJECT 0x501, 1
    mov dword ptr [EPT_PT + 7 * 8], 0
    INJECT 0x603, 1
    // Its gate is not present.
    SET_SECONDARY 0
    SET_FIELD EXCEPTION_BITMAP, 1 << 11
    mov byte ptr [IDT + 0x3e * 16 + 5], 0x0e
    INJECT 0x43e, 2
    FINISH
mend:
    mov dword ptr [EPT_PT + 7 * 8], 0x7037
    SET_FIELD GUEST_INTERRUPTIBILITY, 0
    ret
guest:
    nop
    nop
    nop
    LEAVE
waiting:
    LEAVE
