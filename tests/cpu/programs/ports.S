// IN, OUT, INS and OUTS in their forms.
#include "machine.inc"

start:
    mov rax, -1
    in al, 0x10
    RESULT 0, rax
    mov rax, -1
    mov edx, 0x11
    in ax, dx
    RESULT 1, rax
    mov rax, -1
    in eax, 0x12
    RESULT 2, rax
    movabs rax, 0x1122334455667788
    out 0x20, al
    out 0x21, ax
    out 0x22, eax
    mov edx, 0x1234
    out dx, eax

    mov edx, 0x30
    mov edi, PAGES
    mov ecx, 4
    rep insb
    RESULT 3, rdi
    RESULT 4, rcx
    std
    mov edi, PAGES + 0x12
    mov ecx, 2
    rep insw
    RESULT 5, rdi
    cld
    mov edi, PAGES + 0x20
    insd
    mov esi, offset text
    mov ecx, 5
    rep outsb
    RESULT 6, rsi
    rep outsb                           // RCX is 0
    // FS's base and 32-bit addresses.
    WRITE_MSR 0xc0000100, PAGES
    mov edx, 0x30
    movabs rsi, 0xffffffff00000000
    outs dx, word ptr fs:[esi]
    RESULT 7, rsi
    mov ecx, 1
    shl rcx, 32                         // ECX is 0, RCX not
    addr32 rep outsb
    RESULT 8, rcx
    mov ecx, 3
    movabs rdi, 0xffffffff00030080
    addr32 rep insb
    RESULT 9, rdi

    // The third word is on an absent page.
    mov qword ptr [PTE(PAGES + 0x1000)], 0
    invlpg [PAGES + 0x1000]
    mov edx, 0x40
    mov esi, PAGES + 0xffc
    mov ecx, 4
    TRY outs_to_absent, rep outsw
    RESULT 10, rsi
    RESULT 11, rcx
    mov edi, PAGES + 0xffc
    mov ecx, 4
    TRY ins_from_absent, rep insw
    RESULT 12, rdi
    RESULT 13, rcx
    mov edi, PAGES + 0xfff
    TRY ins_across, insd
    mov qword ptr [PTE(PAGES + 0x1000)], PAGES + 0x1000 + 5
    mov edi, PAGES + 0x1000
    TRY ins_to_read_only, insb
    FINISH

text: .ascii "hello"
