// Asks for CPUID and writes a number, another one each time, to the POST port, both with VM exits, as
// often as EBX says. Ends by the debug-exit port with 7. For a flat program in 32-bit protected mode.
    .intel_syntax noprefix
    .text
    .code32
    .globl start
start:
    cld
    mov edi, ebx
    mov esi, offset text
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  mov eax, 0x40000000
    cpuid
    imul esi, esi, 1664525
    add esi, 1013904223
    mov eax, esi
    out 0x80, eax
    dec edi
    jnz 2b
    mov eax, 7
    mov edx, 0xf4
    out dx, eax
3:  hlt
    jmp 3b

text: .asciz "busy\n"
