// A clock without an operating system: as many ticks of the local APIC's timer as EBX says at its
// start, a dot on the console for each, then the end by the debug-exit port.
    .intel_syntax noprefix

#define LOCAL_APIC 0xfee00000
#define IDT 0x9000
#define VECTOR 0x40
#define PERIOD 200000
#define EXIT_CODE 7

    .text
    .code32
    .globl start
start:
    mov esp, 0x7c00
    mov dword ptr [left], ebx
    mov edi, IDT + VECTOR * 8
    mov eax, offset on_tick
    mov word ptr [edi], ax
    mov eax, cs
    mov word ptr [edi + 2], ax
    mov dword ptr [edi + 4], 0x8e00
    lidt [idt_pointer]
    mov dword ptr [LOCAL_APIC + 0xf0], 0x1ff
    mov dword ptr [LOCAL_APIC + 0x3e0], 0xb             // by one
    mov dword ptr [LOCAL_APIC + 0x320], 0x20000 | VECTOR
    mov dword ptr [LOCAL_APIC + 0x380], PERIOD
1:  sti
    hlt
    cli
    cmp dword ptr [left], 0
    jne 1b
    mov al, '\n'
    call print
    mov eax, EXIT_CODE
    mov edx, 0xf4
    out dx, eax
2:  hlt
    jmp 2b

on_tick:
    push eax
    push edx
    mov al, '.'
    call print
    dec dword ptr [left]
    mov dword ptr [LOCAL_APIC + 0xb0], 0
    pop edx
    pop eax
    iretd

print:
    mov edx, 0x3f8
    out dx, al
    ret

idt_pointer:
    .word VECTOR * 8 + 7
    .long IDT
left:
    .long 0
