// Structures where no memory answers: bitmaps read as ones there, and writes are lost.
//
// exit: io_instruction GUEST_RIP=at_out
// exit: rdmsr GUEST_RIP=at_rdmsr
// exit: apic_access GUEST_RIP=at_apic EXIT_QUALIFICATION=0x20
// exit: page_modification_log_full GUEST_RIP=third_page PML_INDEX=0xffff
// result: 0=0xf
#include "host.inc"
start:
    call prepare
    SET_PRIMARY (1 << 25) + (1 << 28)
    SET_FIELD IO_BITMAP_A, 0x3fff0000
    SET_FIELD MSR_BITMAPS, DEVICE
    RUN
    // The virtual-APIC page: VTPR is lost, reads answer with ones.
    SET_PRIMARY (1 << 21) + SECONDARY
    SET_SECONDARY 1 << 0
    SET_FIELD VIRTUAL_APIC_ADDRESS, 0x3fff0000
    RUN page
    // A log of two entries.
    mov edi, EPT_PT
1:  or dword ptr [rdi], 0x300
    add edi, 8
    cmp edi, EPT_PT + 0x1000
    jb 1b
    and dword ptr [EPT_PT + 0x50 * 8], ~0x200
    and dword ptr [EPT_PT + 0x51 * 8], ~0x200
    and dword ptr [EPT_PT + 0x52 * 8], ~0x200
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT + (1 << 17)
    SET_FIELD EPT_POINTER, EPT_PML4 + 0x5e
    SET_FIELD PML_ADDRESS, 0x3fff0000
    SET_FIELD PML_INDEX, 1
    lea rax, [rip + empty_log]
    mov [ON_EXIT], rax
    RUN logged
    FINISH
empty_log:
    SET_FIELD PML_INDEX, 1
    ret
guest:
at_out:
    out 0x80, al
    mov ecx, 0x174
at_rdmsr:
    rdmsr
    LEAVE
page:
    mov ebx, APIC_ACCESS
    mov dword ptr [rbx + 0x80], 0x50
    EXITS_AT at_apic, mov eax, [rbx + 0x20]
    mov rax, cr8
    RESULT 0, rax
    LEAVE
logged:
    mov [0x50000], eax
    mov [0x51008], eax
    EXITS_AT third_page, mov [0x52000], eax
    LEAVE
