// How events enter their handlers: flags, stacks, gates that lead nowhere.
#include "machine.inc"

start:
    sti
    int 0x30                            // interrupt gate
after_interrupt_gate:
    SET_GATE_TYPE 0x31, 0x8f
    int 0x31                            // trap gate
after_trap_gate:
    TRY fault_in_trap_gate_type, ud2
    mov rbx, rsp
    sub rsp, 11
    int 0x30                            // the frame is aligned
    mov rsp, rbx
    SET_IST 0x30, 1
    int 0x30
    SET_IST 0x30, 0
    pushfq
    or qword ptr [rsp], 1 << 14         // NT
    popfq
    // IRETQ would fault with NT set, so this handler does not use it.
    SET_HANDLER 0x32, without_iret
    int 0x32
without_iret:
    pushfq
    pop rax
    mov [DATA], rax
    mov rax, [rsp + 16]
    mov [DATA + 8], rax
    add rsp, 40
    sti

    TO_USER user, supervisor
user:
    mov rbx, rsp
    TRY fault_in_user, ud2
    LEAVE_USER
supervisor:
    SET_IST 6, 2
    TO_USER user_with_ist, supervisor_again
user_with_ist:
    TRY fault_in_user_with_ist, ud2
    LEAVE_USER
supervisor_again:
    TRY fault_with_ist, ud2
    SET_IST 6, 0
    // A conforming handler runs with the privilege of what it interrupts.
    SET_GATE_TYPE 0x33, 0xee
    SET_HANDLER 0x33, conforming_handler
    mov word ptr [IDT + 0x33 * 16 + 2], CONFORMING
    TO_USER user_of_conforming, contributory
user_of_conforming:
    int 0x33
    mov [DATA + 40], rsp
    LEAVE_USER
conforming_handler:
    xor eax, eax
    mov ax, cs
    mov [DATA + 16], rax
    mov ax, ss
    mov [DATA + 24], rax
    mov [DATA + 32], rsp
    iretq

    // Exceptions on the way to a handler (SDM 3A 6.15).
contributory:
    mov qword ptr [PTE(PAGES)], 0
    SET_IST 8, 1
    SET_GATE_TYPE 6, 0x0e
    TRY benign_then_contributory, ud2
    SET_GATE_TYPE 6, 0x8e
    mov qword ptr [TSS + 0x2c], PAGES + 0x800
    SET_IST 6, 2
    TRY benign_then_page_fault, ud2
    SET_IST 6, 0
    xor ecx, ecx
    SET_GATE_TYPE 0, 0x0e
    TRY contributory_then_contributory, div ecx
    SET_GATE_TYPE 0, 0x8e
    SET_IST 0, 2
    TRY contributory_then_page_fault, div ecx
    SET_IST 0, 0
    SET_GATE_TYPE 14, 0x0e
    TRY page_fault_then_contributory, mov eax, [PAGES]
    SET_GATE_TYPE 14, 0x8e
    SET_IST 14, 2
    TRY page_fault_then_page_fault, mov eax, [PAGES]
    SET_IST 14, 0
    SET_GATE_TYPE 0x34, 0x0e
    TRY software_then_contributory, int 0x34
    movabs rax, 0x0000800000001000
    mov [TSS + 0x2c], rax
    SET_IST 6, 2
    TRY stack_nowhere, ud2
    SET_IST 6, 0
    mov word ptr [GDT + TASK], 0x40     // too small for IST3
    mov byte ptr [GDT + TASK + 5], 0x89
    mov eax, TASK
    ltr ax
    SET_IST 6, 6
    TRY task_too_small, ud2
    FINISH
