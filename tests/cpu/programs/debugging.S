// Single-stepping: where each #DB comes, through instructions of all kinds.
#include "machine.inc"

    .set TF, 1 << 8

start:
    SET_HANDLER 6, skip_ud2
    mov eax, DATA_FLAT
    mov esi, offset start
    mov edi, PAGES
    mov ecx, 3
    mov edx, 0x80
    xor ebx, ebx
    mov dr6, rbx
    pushfq
    or qword ptr [rsp], TF
    popfq                               // the next instruction is the first that traps
before_nop:
    nop
after_nop:
    jmp 1f
    nop
1:
after_jump:
    mov ss, eax                         // no trap here (SDM 3A 6.8.3)
    nop
after_shadow:
    rep movsb                           // once an iteration
after_movsb:
    mov r8, rax
after_copy:
    cpuid                               // the engine hands it over
after_cpuid:
    mov edx, 0x80
after_edx:
    in al, dx
after_in:
    int 0x30                            // the handler runs without TF
after_int:
    nop
after_nop_behind_int:
faulting:
    ud2                                 // so does the handler of a fault
    nop
after_nop_behind_fault:
    sti
    nop
after_sti_nop:
    cli
after_cli:
    pushfq
after_pushf:
    and qword ptr [rsp], ~TF
after_and:
    popfq                               // traps: TF was set when it began
after_popf:
    nop
    mov rax, dr6
    RESULT 0, rax
    RESULT 1, r13
    RESULT 2, r12
    // At CPL 3, by IRET.
    TO_USER user, supervisor, 0x302
user:
    nop
after_user_nop:
    xor eax, eax
after_user_xor:
    LEAVE_USER
supervisor:
    FINISH
skip_ud2:
    mov r13, [rsp]
    pushfq
    pop r12
    add qword ptr [rsp], 2
    iretq
