// Code that changes: by itself, through another address, by a device.
#include "machine.inc"

start:
    // A routine patched before each call.
    mov ecx, 5
    xor ebx, ebx
1:  mov [routine + 1], ecx
    call routine
    add ebx, eax
    loop 1b
    RESULT 0, rbx
    // The same page as the code that writes it, further on.
    mov dword ptr [ahead + 1], 0x2222
    jmp ahead
    .balign 16
ahead:
    mov eax, 0x1111
    RESULT 1, rax

    // Code made in a page of data, called, made again, called.
    mov edi, PAGES
    mov dword ptr [rdi], 0x000777b8     // mov eax, ...
    mov word ptr [rdi + 4], 0xc300
    call rdi
    RESULT 2, rax
    mov byte ptr [rdi + 1], 0x88
    call rdi
    RESULT 3, rax
    // Through another linear address of the same page.
    mov qword ptr [PTE(PAGES + 0x5000)], PAGES + 7
    invlpg [PAGES + 0x5000]
    mov byte ptr [PAGES + 0x5001], 0x99
    call rdi
    RESULT 4, rax
    mov esi, PAGES + 0x5000
    call rsi
    RESULT 5, rax
    mov byte ptr [rdi + 1], 0xaa
    call rsi
    RESULT 6, rax
    // Through an address that may be written but not executed, and one the other way round.
    movabs rax, PAGES + 7 + (1 << 63)
    mov [PTE(PAGES + 0x5000)], rax
    invlpg [PAGES + 0x5000]
    mov qword ptr [PTE(PAGES)], PAGES + 5
    invlpg [PAGES]
    call rdi
    mov byte ptr [PAGES + 0x5001], 0xbb
    call rdi
    RESULT 7, rax
    // An instruction across two pages, of which the second changes.
    mov word ptr [PAGES + 0x1ffe], 0x11b8
    mov dword ptr [PAGES + 0x2000], 0xc3000000
    mov edx, PAGES + 0x1ffe
    call rdx
    RESULT 8, rax
    mov byte ptr [PAGES + 0x2000], 0x22
    call rdx
    RESULT 9, rax
    // Another page under the same address.
    mov dword ptr [PAGES + 0x3000], 0x000cccb8
    mov word ptr [PAGES + 0x3004], 0xc300
    mov qword ptr [PTE(PAGES)], PAGES + 0x3000 + 5
    call rdi                            // the old one still
    RESULT 10, rax
    invlpg [PAGES]
    call rdi
    RESULT 11, rax
    // A device writes it: the test does, at this OUT.
    out 0x10, al
    call rdi
    RESULT 12, rax
    // A loop that counts down its own immediate.
    mov dword ptr [countdown + 1], 6
    xor ecx, ecx
2:  inc ecx
    dec dword ptr [countdown + 1]
    jmp countdown
    .balign 64
countdown:
    mov eax, 0
    test eax, eax
    jnz 2b
    RESULT 13, rcx
    FINISH

    .balign 64
routine:
    mov eax, 0
    ret
