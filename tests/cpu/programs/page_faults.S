// Page faults of all kinds, and what the processor keeps of translations.
#include "machine.inc"

    .set PAGE, PAGES
    .set RESERVED_BIT, 1 << 51
    .set NO_EXECUTE, 1 << 63

.macro SET_PAGE address, value
    movabs rax, \value
    mov [PTE(\address)], rax
    invlpg [\address]
.endm

start:
    SET_PAGE PAGE, 0
    TRY absent_read, mov eax, [PAGE + 0x123]
    TRY absent_write, mov [PAGE + 0x456], eax
    TRY absent_fetch, call [page_pointer]
    TRY absent_directory, mov eax, [0x200008]
    // Eight bytes of which the last four are on the absent page.
    TRY across_read, mov rax, [PAGE - 4]
    mov qword ptr [PAGE - 8], 0
    TRY across_write, mov [PAGE - 4], rbx
    mov rax, [PAGE - 8]
    mov [DATA], rax                     // untouched

    SET_PAGE PAGE, PAGE + 5
    TRY read_only, mov [PAGE], eax
    mov rax, cr0
    and eax, ~(1 << 16)
    mov cr0, rax
    mov dword ptr [PAGE], 0x1234        // CR0.WP = 0
    or eax, 1 << 16
    mov cr0, rax
    TRY read_only_again, mov [PAGE], eax

    SET_PAGE PAGE, PAGE + RESERVED_BIT + 7
    TRY reserved_read, mov eax, [PAGE]
    TRY reserved_write, mov [PAGE], eax
    SET_PAGE PAGE, PAGE + NO_EXECUTE + 7
    mov byte ptr [PAGE], 0xc3
    TRY no_execute, call [page_pointer]

    TO_USER user, supervisor_again
user:
    TRY user_no_execute, jmp [page_pointer]
    LEAVE_USER
supervisor_again:
    SET_PAGE PAGE, PAGE + 3
    TO_USER user_of_supervisor_page, absent_for_user
user_of_supervisor_page:
    TRY user_read, mov eax, [PAGE + 8]
    TRY user_write, mov [PAGE + 8], eax
    TRY user_fetch, jmp [page_pointer]
    LEAVE_USER
absent_for_user:
    SET_PAGE PAGE, 0
    TO_USER user_of_absent_page, read_only_for_user
user_of_absent_page:
    TRY user_absent_read, mov eax, [PAGE]
    TRY user_absent_write, mov [PAGE], eax
    LEAVE_USER
read_only_for_user:
    SET_PAGE PAGE, PAGE + 5
    mov rax, cr0
    and eax, ~(1 << 16)
    mov cr0, rax
    TO_USER user_of_read_only_page, accessed_and_dirty
user_of_read_only_page:
    TRY user_read_only, mov [PAGE], eax // CR0.WP is not for CPL 3
    LEAVE_USER

accessed_and_dirty:
    SET_PAGE PAGE, PAGE + 7
    mov rax, [PTE(PAGE)]
    mov [DATA + 8], rax
    mov eax, [PAGE]
    mov rax, [PTE(PAGE)]
    mov [DATA + 16], rax
    mov [PAGE], eax
    mov rax, [PTE(PAGE)]
    mov [DATA + 24], rax

    // Another page for the same address: the old one until INVLPG.
    mov dword ptr [PAGE + 0x1000], 0x2222
    mov dword ptr [PAGE], 0x1111
    mov qword ptr [PTE(PAGE)], PAGE + 0x1000 + 7
    mov eax, [PAGE]
    mov [DATA + 32], rax
    invlpg [PAGE]
    mov eax, [PAGE]
    mov [DATA + 40], rax
    // And until MOV to CR3.
    mov qword ptr [PTE(PAGE)], PAGE + 7
    mov eax, [PAGE]
    mov [DATA + 48], rax
    mov rax, cr3
    mov cr3, rax
    mov eax, [PAGE]
    mov [DATA + 56], rax

    // SMEP and SMAP: everything becomes the supervisor's, but for one page.
    mov ecx, 512
    mov edi, PT
1:  and qword ptr [rdi], ~4
    add edi, 8
    loop 1b
    SET_PAGE PAGE, PAGE + 7
    mov byte ptr [PAGE], 0xc3
    call [page_pointer]
    mov rax, cr4
    or eax, 3 << 20
    mov cr4, rax
    TRY smep, call [page_pointer]
    TRY smap_read, mov eax, [PAGE]
    TRY smap_write, mov [PAGE], eax
    stac
    mov eax, [PAGE]
    mov [DATA + 64], rax
    clac
    TRY smap_again, mov eax, [PAGE]
    FINISH

    .balign 8
page_pointer: .quad PAGE
