// Virtualization of the local APIC (SDM 3C chapter 30): TPR shadow, accesses to the APIC-access page,
// APIC writes, virtual-interrupt delivery with its EOI.
//
// exit: tpr_below_threshold GUEST_RIP=behind_cr8 EXIT_INSTRUCTION_LENGTH=0
// exit: apic_access GUEST_RIP=read_id EXIT_QUALIFICATION=0x020
// exit: apic_access GUEST_RIP=write_svr EXIT_QUALIFICATION=0x10f0
// exit: apic_access GUEST_RIP=0x39010 EXIT_QUALIFICATION=0x2010
// exit: apic_access GUEST_RIP=wide_read EXIT_QUALIFICATION=0x080
// exit: tpr_below_threshold GUEST_RIP=behind_tpr
// exit: apic_write GUEST_RIP=behind_svr EXIT_QUALIFICATION=0xf0
// exit: apic_write GUEST_RIP=behind_icr EXIT_QUALIFICATION=0x300
// exit: virtualized_eoi GUEST_RIP=behind_eoi EXIT_QUALIFICATION=0x51 GUEST_INTERRUPT_STATUS=0
// event: vector=0x31 rip=behind_sti
// result: 0=5 1=0x20 2=0x123 3=0x1ff 4=0
#include "host.inc"
start:
    call prepare
    mov dword ptr [VIRTUAL_APIC + 0x80], 0x50
    SET_PRIMARY (1 << 21) + SECONDARY
    SET_FIELD TPR_THRESHOLD, 3
    RUN
    mov eax, [VIRTUAL_APIC + 0x80]
    RESULT 1, rax
    SET_SECONDARY 1 << 0
    SET_FIELD TPR_THRESHOLD, 0
    RUN page
    SET_FIELD TPR_THRESHOLD, 1
    mov dword ptr [VIRTUAL_APIC + 0x80], 0x20
    RUN tpr
    mov dword ptr [VIRTUAL_APIC + 0x20], 0x123
    SET_PIN 1
    SET_SECONDARY (1 << 0) + (1 << 8) + (1 << 9)
    SET_FIELD EOI_EXIT_BITMAP_1, 1 << 0x11
    RUN registers
    mov eax, [VIRTUAL_APIC + 0xf0]
    RESULT 3, rax
    mov eax, [VIRTUAL_APIC + 0xb0]
    RESULT 4, rax
    FINISH
guest:
    mov rsi, cr8
    RESULT 0, rsi
    mov eax, 2
    mov cr8, rax
behind_cr8:
    LEAVE
page:
    mov ebx, APIC_ACCESS
    EXITS_AT read_id, mov eax, [rbx + 0x20]
    EXITS_AT write_svr, mov [rbx + 0xf0], eax
    lea r15, [rip + 1f]
    lea rax, [rbx + 0x10]
    jmp rax
1:  EXITS_AT wide_read, mov rax, [rbx + 0x80]
    mov eax, [rbx + 0x80]
    LEAVE
tpr:
    mov ebx, APIC_ACCESS
    mov byte ptr [rbx + 0x80], 0
behind_tpr:
    LEAVE
registers:
    mov ebx, APIC_ACCESS
    mov eax, [rbx + 0x20]
    RESULT 2, rax
    mov dword ptr [rbx + 0xf0], 0x1ff
behind_svr:
    mov dword ptr [rbx + 0x300], 0xc4050    // to all but itself
behind_icr:
    mov dword ptr [rbx + 0x300], 0x44031    // to itself
    sti
    nop
behind_sti:
    cli
    mov dword ptr [rbx + 0xb0], 0
    mov dword ptr [rbx + 0x300], 0x44051
    mov word ptr [IDT + 0x51 * 16], offset eoi_handler
    mov word ptr [IDT + 0x51 * 16 + 2], CODE64
    mov byte ptr [IDT + 0x51 * 16 + 5], 0x8e
    sti
    nop
    cli
    LEAVE
eoi_handler:
    mov dword ptr [rbx + 0xb0], 0
behind_eoi:
    iretq
