// Accesses to control registers (SDM 3C 26.1.3, table 28-3): guest/host masks and read shadows, CR3
// and CR8 exiting, CR3 targets, CLTS, LMSW with a register and with memory.
//
// exit: cr_access GUEST_RIP=write_cr0 EXIT_QUALIFICATION=0x000 EXIT_INSTRUCTION_LENGTH=3
// exit: cr_access GUEST_RIP=write_cr3 EXIT_QUALIFICATION=0x303
// exit: cr_access GUEST_RIP=read_cr3 EXIT_QUALIFICATION=0x913 EXIT_INSTRUCTION_LENGTH=4
// exit: cr_access GUEST_RIP=write_cr4 EXIT_QUALIFICATION=0x004
// exit: cr_access GUEST_RIP=write_cr8 EXIT_QUALIFICATION=0x108 EXIT_INSTRUCTION_LENGTH=4
// exit: cr_access GUEST_RIP=read_cr8 EXIT_QUALIFICATION=0x218
// exit: cr_access GUEST_RIP=at_clts EXIT_QUALIFICATION=0x20 EXIT_INSTRUCTION_LENGTH=2
// exit: cr_access GUEST_RIP=at_lmsw EXIT_QUALIFICATION=0x10030 EXIT_INSTRUCTION_LENGTH=3
// exit: cr_access GUEST_RIP=at_lmsw_memory EXIT_QUALIFICATION=0x10070 GUEST_LINEAR_ADDRESS=operand
// result: 0=0x80000019 1=0x20/0x20
#include "host.inc"
start:
    call prepare
    SET_PRIMARY (1 << 15) + (1 << 16) + (1 << 19) + (1 << 20)
    SET_FIELD CR0_MASK, 0xffffffc8          // TS and what no guest may change
    SET_FIELD CR0_READ_SHADOW, 0x80000008   // TS seems to be 1
    SET_FIELD CR4_MASK, 0x2080
    SET_FIELD CR4_READ_SHADOW, 0x80
    SET_FIELD CR3_TARGET_COUNT, 1
    mov rax, cr3
    SET_FIELD_RAX CR3_TARGET_0
    RUN
    FINISH
guest:
    mov rax, cr0
    and eax, 0x8000001f
    and eax, ~6                             // the guest's own: PE, MP, EM; ET
    RESULT 0, rax
    mov rax, cr0
    xor eax, 0x8
write_cr0:
    mov cr0, rax
    mov eax, PML4
    mov cr3, rax                            // a target
    mov ebx, 0x5000
write_cr3:
    mov cr3, rbx
read_cr3:
    mov r9, cr3
    mov rax, cr4
    RESULT 1, rax
    xor eax, 0x80
write_cr4:
    mov cr4, rax
    mov ecx, 3
write_cr8:
    mov cr8, rcx
read_cr8:
    mov rdx, cr8
at_clts:
    clts
    mov eax, 1
at_lmsw:
    lmsw ax
at_lmsw_memory:
    lmsw [rip + operand]
    LEAVE
operand:
    .word 1, 0
