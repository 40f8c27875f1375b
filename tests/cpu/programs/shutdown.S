// Three ways to a triple fault; RDI says which.
#include "machine.inc"

start:
    mov dword ptr [DATA], 1
    cmp edi, 1
    je double_fault_gate_absent
    cmp edi, 2
    je stack_gone
    lidt [no_idt]
no_table:
    ud2
double_fault_gate_absent:
    SET_GATE_TYPE 8, 0x0e
    SET_GATE_TYPE 13, 0x0e
in_absent_gate:
    mov eax, BEYOND_GDT
    mov ds, eax
    jmp survived
stack_gone:
    mov rsp, PAGES
    mov qword ptr [PTE(PAGES - 0x1000)], 0
on_no_stack:
    push rax
survived:
    mov dword ptr [DATA], 2
    FINISH

    .balign 8
no_idt: .word 0; .quad 0
