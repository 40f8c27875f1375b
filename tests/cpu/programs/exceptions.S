// Exceptions at CPL 0 whose error codes and places the test knows, one after the other.
#include "machine.inc"

start:
    xor ecx, ecx
    xor edx, edx
    mov eax, 1
    TRY divide_by_zero, div ecx
    mov ecx, 1
    mov edx, 1
    TRY quotient_too_large, div ecx
    TRY undefined, ud2
    TRY lock_without_memory, .byte 0xf0, 0x01, 0xc0

    mov rax, cr0
    or eax, 8
    mov cr0, rax
    TRY task_switched, fnop
    TRY task_switched_sse, movaps xmm0, xmm1
    clts
    fnop
    mov rax, cr0
    or eax, 4
    mov cr0, rax
    TRY emulated, fnop
    TRY emulated_sse, movaps xmm0, xmm1
    and eax, ~4
    mov cr0, rax

    mov eax, BEYOND_GDT
    TRY beyond_table, mov ds, eax
    mov eax, BEYOND_GDT + 4
    TRY no_local_table, mov es, eax
    mov eax, CODE64
    TRY code_as_stack, mov ss, eax
    mov eax, READ_ONLY
    TRY read_only_stack, mov ss, eax
    mov eax, DATA_FLAT + 3
    TRY stack_rpl, mov ss, eax
    mov eax, ABSENT_DATA
    TRY absent_data, mov ds, eax
    TRY absent_stack, mov ss, eax
    TRY absent_stack_lss, lss eax, [absent_stack_pointer]
    TRY absent_code, jmp fword ptr [absent_code_pointer]
    TRY data_as_code, jmp fword ptr [data_pointer]
    TRY null_code, jmp fword ptr [null_pointer]
    mov eax, DATA_FLAT
    TRY data_as_task, ltr ax
    mov eax, TASK
    TRY busy_task, ltr ax
    xor eax, eax
    TRY null_task, ltr ax
    mov eax, DATA_FLAT
    TRY data_as_local_table, lldt ax

    TRY empty_gate, int 0xff // the last gate is empty
    mov byte ptr [IDT + 0x30 * 16 + 5], 0x0e
    TRY absent_gate, int 0x30
    mov byte ptr [IDT + 0x30 * 16 + 5], 0x82
    TRY wrong_gate, int 0x30
    mov byte ptr [IDT + 0x30 * 16 + 5], 0x8e
    mov word ptr [IDT + 0x30 * 16 + 2], DATA_FLAT
    TRY gate_to_data, int 0x30
    mov word ptr [IDT + 0x30 * 16 + 2], ABSENT_CODE
    TRY gate_to_absent_code, int 0x30
    mov word ptr [IDT + 0x30 * 16 + 2], CODE32
    TRY gate_to_legacy_code, int 0x30
    mov word ptr [IDT + 0x30 * 16 + 2], 0
    TRY gate_to_null, int 0x30
    mov word ptr [IDT + 0x30 * 16 + 2], CODE64
    mov dword ptr [IDT + 0x30 * 16 + 8], 0x8000
    TRY gate_to_nowhere, int 0x30
    lidt [short_idt]
    TRY beyond_idt_limit, int 0x40
    lidt [whole_idt]

    movabs rbx, 0x0000800000000000
    TRY non_canonical, mov eax, [rbx]
    TRY non_canonical_store, mov [rbx], eax
    TRY non_canonical_jump, jmp rbx
    mov rbp, rbx
    TRY non_canonical_frame, mov eax, [rbp]
    TRY non_canonical_override, mov eax, ss:[rbx]
    TRY non_canonical_frame_override, mov eax, ds:[rbp]
    TRY non_canonical_sib, mov eax, [rbp + rcx * 8 + 16]
    mov r12, rbx
    mov r13, rbx
    TRY non_canonical_r12, mov eax, [r12]
    TRY non_canonical_r13, mov eax, [r13 + 1]
    add rbx, 0x1000
    // The stack is no good: the handlers get one of their own.
    SET_IST 12, 1
    mov r14, rsp
    mov rsp, rbx
    TRY non_canonical_push, push rax
    TRY non_canonical_pop, pop rax
    TRY non_canonical_call, call start
    TRY non_canonical_return, ret
    TRY non_canonical_pushf, pushfq
    mov rsp, r14
    mov rbp, rbx
    TRY non_canonical_leave, leave
    TRY non_canonical_push_operand, push [r12]
    mov rsp, r14

    xor r15d, r15d
    int3
after_int3:
    .byte 0xf1
after_icebp:
    mov rax, dr6
    mov [DATA], rax

    fninit
    mov word ptr [DATA + 8], 0x37b
    fldcw [DATA + 8]
    fld1
    fldz
    fdivp
    TRY floating_point, fwait
    fnclex
    FINISH

    .balign 8
absent_stack_pointer: .long 0x1000; .word ABSENT_DATA
absent_code_pointer: .long 0x1000; .word ABSENT_CODE
data_pointer: .long 0x1000; .word DATA_FLAT
null_pointer: .long 0x1000; .word 0
short_idt: .word 0x40 * 16 - 1; .quad IDT
whole_idt: .word IDT_LIMIT; .quad IDT
