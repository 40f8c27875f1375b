// The smallest kernel, in the mode that MODE names (16, 32 or 64): says its mode, and ends by the
// debug-exit port with what EBX held at its start.
    .intel_syntax noprefix
    .text
#if MODE == 16
    .code16
#elif MODE == 32
    .code32
#else
    .code64
#endif
    .globl start
start:
    cld
    mov esi, offset text
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  mov eax, ebx
    mov edx, 0xf4
    out dx, eax
3:  hlt
    jmp 3b

#if MODE == 16
text: .asciz "real mode\n"
#elif MODE == 32
text: .asciz "protected mode\n"
#else
text: .asciz "long mode\n"
#endif
