// A triple fault in a guest whose shutdown is not intercepted shuts the processor down (APM 2 15.14.3).
//
// ends: shutdown
// result: 0=1
#include "host.inc"
start:
    call prepare
    mov eax, 1
    RESULT 0, rax
    RUN
    mov eax, 2
    RESULT 0, rax
    FINISH
guest:
    mov byte ptr [IDT + 6 * 16 + 5], 0x0e
    mov byte ptr [IDT + 8 * 16 + 5], 0x0e
    mov byte ptr [IDT + 11 * 16 + 5], 0x0e
    ud2
