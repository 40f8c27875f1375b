// The first processor starts the second (SDM 3A 9.4), both count under a lock, and they interrupt
// each other.
#include "machine.inc"

    .set ICR, 0x830
    .set TRAMPOLINE, CODE_BASE + 0x2000
    .set ROUNDS, 2000

// Bits 63:32 of the ICR name processor 1 or 0.
.macro SEND to, command
    WRITE_MSR ICR, (\to << 32) + \command
.endm
.macro ENABLE_APIC bsp
    WRITE_MSR 0x1b, 0xfee00c00 + (\bsp << 8)
    WRITE_MSR 0x80f, 0x1ff
.endm

start:
    ENABLE_APIC 1
    SET_HANDLER 0x22, first_handler
    SET_HANDLER 2, second_nmi_handler
    SEND 1, 0x600 + TRAMPOLINE >> 12    // no INIT before: nothing happens (it waits for SIPI)
    SEND 1, 0x4500                      // INIT
    SEND 1, 0x4600 + (TRAMPOLINE >> 12)
    SEND 1, 0x4600 + (CODE_BASE >> 12)  // a second SIPI is dropped
    mov ecx, ROUNDS
1:  lock inc qword ptr [DATA]
    inc qword ptr [DATA + 8]
    loop 1b
    sti
    hlt                                 // until the second one's interrupt
    cli
    SEND 1, 0x4400                      // an NMI wakes it
2:  pause
    cmp qword ptr [DATA + 32], 0
    je 2b
    SEND 1, 0x4500                      // INIT once more: it waits for SIPI
    FINISH
first_handler:
    inc qword ptr [DATA + 24]
    WRITE_MSR 0x80b, 0
    iretq

second_nmi_handler:
    mov rax, [rsp]
    mov [DATA + 48], rax
    inc qword ptr [DATA + 32]
    iretq

    .org TRAMPOLINE - CODE_BASE
    .code16
trampoline:
    mov bx, cs
    mov ds, bx
    xor edi, edi
    mov di, ds:[trampoline_word - trampoline]
    lgdt ds:[trampoline_gdt - trampoline]
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PML4
    mov cr3, eax
    mov ecx, 0xc0000080
    mov eax, 0x900
    xor edx, edx
    wrmsr
    mov eax, 0x80000031
    mov cr0, eax                        // protection, paging and long mode at once
    .byte 0x66, 0xea
    .long second
    .word CODE64
trampoline_word: .word 0x5678
trampoline_gdt: .word GDT_LIMIT; .long GDT
    .code64
second:
    mov eax, DATA_FLAT
    mov ss, eax
    mov ds, eax
    mov rsp, IST2_STACK
    lidt [idt]
    ENABLE_APIC 0
    mov ecx, 0x802
    rdmsr
    mov [DATA + 56], rax                // the APIC id
    mov [DATA + 64], rbx
    mov [DATA + 72], rdi
    mov ecx, ROUNDS
1:  lock inc qword ptr [DATA]
    inc qword ptr [DATA + 16]
    loop 1b
    SEND 0, 0x4022
    hlt                                 // interrupts are off: until the NMI
after_second_hlt:
    mov qword ptr [DATA + 40], 1
3:  jmp 3b

    .balign 8
idt: .word IDT_LIMIT; .quad IDT
