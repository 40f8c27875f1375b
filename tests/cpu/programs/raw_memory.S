// A guest that looks at its memory and its instructions when its host asks it to; each piece ends
// with a call of the host. R8: 0 VMCALL, 1 VMMCALL.
#include "machine.inc"

.macro CALL_HOST
    test r8d, r8d
    jnz 1f
    vmcall
1:  vmmcall
.endm

    .globl start
start:
// The first quadwords of sixteen pages into the results.
read_pages:
    mov esi, PAGES
    mov edi, DATA
    mov ecx, 16
2:  mov rax, [rsi]
    mov [rdi], rax
    add esi, 0x1000
    add edi, 8
    loop 2b
    CALL_HOST
write_page:
    mov qword ptr [PAGES + 0x1008], 0x77
after_write:
    CALL_HOST
read_page:
    mov rax, [PAGES + 0x1010]
    CALL_HOST
// Code in one of the pages: MOV EAX and RET.
call_page:
    mov eax, PAGES + 0x2008
    call rax
    RESULT 20, rax
    CALL_HOST
identify:
    mov eax, 0
    cpuid
    CALL_HOST
read_counter:
    rdtsc
after_counter:
    CALL_HOST
