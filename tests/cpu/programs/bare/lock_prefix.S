// LOCK is for read-modify-write instructions with a memory destination; elsewhere it is #UD (SDM 2A
// "LOCK"). Instructions that no processor model has are #UD as well.
//
// event: vector=6 rip=nop_
// event: vector=6 rip=load
// event: vector=6 rip=store
// event: vector=6 rip=compare
// event: vector=6 rip=test_
// event: vector=6 rip=register
// event: vector=6 rip=to_register
// event: vector=6 rip=exchange
// event: vector=6 rip=shift
// event: vector=6 rip=bit_test
// event: vector=6 rip=multiply
// event: vector=6 rip=string
// event: vector=6 rip=jump
// event: vector=6 rip=cpuid_
// event: vector=6 rip=behind_prefixes
// event: vector=6 rip=sse
// event: vector=6 rip=tpause_
// result: 0=0x1b 1=2 2=3
#include "../machine.inc"
    .set OPERAND, PAGES + 0x100
start:
    mov ebx, OPERAND
    mov ecx, 5
    lock add [rbx], ecx
    lock xadd [rbx], ecx
    lock inc dword ptr [rbx]
    lock not byte ptr [rbx + 4]
    lock bts dword ptr [rbx], 4
    lock btr dword ptr [rbx], 1
    lock sub byte ptr [rbx], -2
    mov eax, [rbx]
    RESULT 0, rax
    xor eax, eax
    xor edx, edx
    xor ecx, ecx
    mov ebx, 2
    mov edi, OPERAND + 0x10
    mov ecx, 3
    lock cmpxchg16b [rdi]
    lock xchg [rdi + 0x20], rax
    mov rax, [rdi]
    RESULT 1, rax
    mov rax, [rdi + 8]
    RESULT 2, rax
    TRY nop_, .byte 0xf0, 0x90
    TRY load, .byte 0xf0, 0x8b, 0x07
    TRY store, .byte 0xf0, 0x89, 0x07
    TRY compare, .byte 0xf0, 0x83, 0x3f, 0
    TRY test_, .byte 0xf0, 0xf6, 0x07, 1
    TRY register, .byte 0xf0, 0x01, 0xc0
    TRY to_register, .byte 0xf0, 0x03, 0x07
    TRY exchange, .byte 0xf0, 0x87, 0xc0
    TRY shift, .byte 0xf0, 0xc1, 0x27, 1
    TRY bit_test, .byte 0xf0, 0x0f, 0xba, 0x27, 1
    TRY multiply, .byte 0xf0, 0xf7, 0x27
    TRY string, .byte 0xf0, 0xa5
    TRY jump, .byte 0xf0, 0xeb, 0
    TRY cpuid_, .byte 0xf0, 0x0f, 0xa2
    TRY behind_prefixes, .byte 0x66, 0xf0, 0x48, 0x89, 0x07
    TRY sse, .byte 0xf0, 0x0f, 0x28, 0x07
    TRY tpause_, .byte 0x66, 0x0f, 0xae, 0xf1
    FINISH
