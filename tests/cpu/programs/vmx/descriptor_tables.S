// "Descriptor-table exiting": instruction information of tables 28-10 and 28-11, before anything of
// the operand is read.
//
// exit: gdtr_idtr_access GUEST_RIP=at_sgdt EXIT_QUALIFICATION=0x20 EXIT_INSTRUCTION_INFO=0x01c18100/0x3fc78380 EXIT_INSTRUCTION_LENGTH=4
// exit: gdtr_idtr_access GUEST_RIP=at_sidt EXIT_INSTRUCTION_INFO=0x10000000/0x30000000
// exit: gdtr_idtr_access GUEST_RIP=at_lgdt EXIT_INSTRUCTION_INFO=0x20000000/0x30000000
// exit: gdtr_idtr_access GUEST_RIP=at_lidt EXIT_INSTRUCTION_INFO=0x30000000/0x30000000
// exit: ldtr_tr_access GUEST_RIP=at_sldt EXIT_INSTRUCTION_INFO=0x00000400/0x30000478 EXIT_INSTRUCTION_LENGTH=3
// exit: ldtr_tr_access GUEST_RIP=at_str EXIT_INSTRUCTION_INFO=0x10000418/0x30000478
// exit: ldtr_tr_access GUEST_RIP=at_lldt EXIT_INSTRUCTION_INFO=0x20000408/0x30000478
// exit: ldtr_tr_access GUEST_RIP=at_ltr EXIT_INSTRUCTION_INFO=0x30000000/0x30000400
#include "host.inc"
start:
    call prepare
    SET_PRIMARY SECONDARY
    SET_SECONDARY 1 << 2
    RUN
    FINISH
guest:
    mov ebx, SPARE
at_sgdt:
    sgdt [rbx + 0x20]
at_sidt:
    sidt [rbx]
at_lgdt:
    lgdt [rbx]
at_lidt:
    lidt [rbx]
at_sldt:
    sldt eax
at_str:
    str ebx
at_lldt:
    lldt cx
    mov ebx, SPARE
at_ltr:
    ltr word ptr [rbx]
    LEAVE
