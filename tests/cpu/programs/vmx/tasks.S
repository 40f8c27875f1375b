// Task switches of a guest exit always (SDM 3C 26.4.2, table 28-2): by CALL and JMP to a TSS, by CALL
// to a task gate, by INT n to one in the IDT, by IRET with NT set. The guest runs in 32-bit mode.
//
// exit: task_switch GUEST_RIP=at_call EXIT_QUALIFICATION=0x70 EXIT_INSTRUCTION_LENGTH=7 IDT_VECTORING_INFO=0
// exit: task_switch GUEST_RIP=at_jump EXIT_QUALIFICATION=0x80000070 EXIT_INSTRUCTION_LENGTH=7
// exit: task_switch GUEST_RIP=at_gate EXIT_QUALIFICATION=0x70 EXIT_INSTRUCTION_LENGTH=7
// exit: task_switch GUEST_RIP=at_int EXIT_QUALIFICATION=0xc0000070 EXIT_INSTRUCTION_LENGTH=2 IDT_VECTORING_INFO=0x80000461
// exit: task_switch GUEST_RIP=at_iret EXIT_QUALIFICATION=0x40000070 EXIT_INSTRUCTION_LENGTH=1 IDT_VECTORING_INFO=0
// exit: exception_or_nmi GUEST_RIP=at_busy EXIT_INTERRUPTION_INFO=0x80000b0d EXIT_INTERRUPTION_ERROR_CODE=0x70
// result: 0=0x70
#include "host.inc"
    .set NEW_TASK, READ_ONLY                // its descriptor becomes a TSS's
    .set TASK_GATE, ABSENT_DATA
start:
    call prepare
    mov dword ptr [GDT + NEW_TASK], TSS_LIMIT + ((TSS & 0xffff) << 16)
    mov dword ptr [GDT + NEW_TASK + 4], 0x8900
    mov dword ptr [GDT + TASK_GATE], NEW_TASK << 16
    mov dword ptr [GDT + TASK_GATE + 4], 0x8500
    mov dword ptr [IDT + 0x61 * 8], NEW_TASK << 16
    mov dword ptr [IDT + 0x61 * 8 + 4], 0xe500
    SET_CONTROL ENTRY_CONTROLS, 0x490, 0x8000
    SET_FIELD GUEST_EFER, 0
    mov dword ptr [SPARE], 0x87             // a page of 4 MiB
    SET_FIELD GUEST_CR3, SPARE
    SET_FIELD GUEST_CR4, 0x2010             // VMXE, PSE
    SET_FIELD GUEST_CS_SELECTOR, CODE32
    SET_FIELD GUEST_CS_ACCESS_RIGHTS, 0xc09b
    SET_FIELD GUEST_CS_LIMIT, 0xffffffff
    SET_FIELD GUEST_TR_BASE, TSS
    SET_FIELD EXCEPTION_BITMAP, 0x2000
    lea rax, [rip + next]
    mov [ON_EXIT], rax
    RUN code32
    FINISH
next:                                       // no other exit has a length
    GET_FIELD EXIT_INTERRUPTION_INFO
    test eax, eax
    jns 1f
    mov qword ptr [REGISTERS + 15 * 8], offset leave32
1:  ret
    .code32
code32:
at_call:
    .byte 0x9a
    .long 0
    .word NEW_TASK
at_jump:
    .byte 0xea
    .long 0
    .word NEW_TASK
at_gate:
    .byte 0x9a
    .long 0
    .word TASK_GATE
at_int:
    int 0x61
    mov byte ptr [GDT + NEW_TASK + 5], 0x8b // busy
    mov word ptr [TSS], NEW_TASK
    pushfd
    or dword ptr [esp], 1 << 14
    popfd
at_iret:
    iretd
    pushfd
    and dword ptr [esp], ~(1 << 14)
    popfd
at_busy:
    .byte 0xea
    .long 0
    .word NEW_TASK
leave32:
    movzx eax, word ptr [TSS]               // nothing was saved
    mov [DATA], eax
    mov dword ptr [DATA + 4], 0
    mov eax, DONE
    vmcall
    .code64
guest:
    LEAVE
