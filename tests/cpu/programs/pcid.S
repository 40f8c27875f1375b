// PCIDs and INVPCID (SDM 3A 4.10). Pages of two contents stand behind one address in turn: each way
// of invalidating must show the new one. On a processor without them everything is refused.
#include "machine.inc"

    .set PAGE_A, PAGES
    .set PAGE_B, PAGES + 0x1000
    .set SHOWN, PAGES + 0x2000          // the address
    .set HAS_PCID, DATA + 0x800
    .set WIDE, DATA + 0x808             // more than 46 address bits
    .set DESCRIPTOR, DATA + 0x810
    .set PCIDE, 1 << 17

.macro DESCRIBE pcid, address
    movabs rax, \pcid
    mov [DESCRIPTOR], rax
    movabs rax, \address
    mov [DESCRIPTOR + 8], rax
.endm
// Shows page A, then maps page B instead and invalidates by `instructions`; stores what is seen.
.macro SHOWS index, instructions:vararg
    mov qword ptr [PTE(SHOWN)], PAGE_A + 7
    mov rbx, cr3
    mov cr3, rbx
    mov rax, [SHOWN]
    mov qword ptr [PTE(SHOWN)], PAGE_B + 7
    \instructions
    mov rax, [SHOWN]
    RESULT \index, rax
.endm
.macro PCIDS_OFF
    mov ecx, PML4
    mov cr3, rcx
    mov cr4, r8
.endm
.macro INVALIDATE type
    mov ecx, \type
    invpcid rcx, [DESCRIPTOR]
.endm
.macro REFUSED name, register, value:vararg
    movabs rbx, \value
    TRY \name, mov \register, rbx
.endm

start:
    mov qword ptr [PAGE_A], 0xa
    mov qword ptr [PAGE_B], 0xb
    mov r8, cr4
    cmp qword ptr [HAS_PCID], 0
    je absent

    mov ebx, PML4 + 0x18
    mov cr3, rbx
    mov rbx, r8
    bts rbx, 17
    TRY low_bits_set, mov cr4, rbx
    mov ecx, PML4
    mov cr3, rcx
    // Without PCIDs.
    REFUSED no_flush_without, cr3, PML4 + (1 << 63)
    DESCRIBE 1, SHOWN
    mov ecx, 0
    TRY address_pcid_without, invpcid rcx, [DESCRIPTOR]
    mov ecx, 1
    TRY one_pcid_without, invpcid rcx, [DESCRIPTOR]
    INVALIDATE 2
    INVALIDATE 3
    DESCRIBE 0, SHOWN
    SHOWS 0, INVALIDATE 0

    mov rbx, r8
    bts rbx, 17
    mov cr4, rbx
    mov rax, cr4
    and eax, PCIDE
    RESULT 1, rax
    mov ebx, PML4 + 5
    mov cr3, rbx
    mov rax, cr3
    RESULT 2, rax
    movabs rbx, PML4 + 6 + (1 << 63)
    mov cr3, rbx
    mov rax, cr3                        // bit 63 is not kept
    RESULT 3, rax
    REFUSED reserved_high, cr3, PML4 + (1 << 62)
    bt qword ptr [WIDE], 0
    jc 1f
    REFUSED reserved_address, cr3, PML4 + (1 << 46)
1:
    REFUSED reserved_both, cr3, PML4 + (1 << 63) + (1 << 52)

    DESCRIBE 6, SHOWN
    SHOWS 4, INVALIDATE 0
    SHOWS 5, INVALIDATE 1
    SHOWS 6, INVALIDATE 2
    SHOWS 7, INVALIDATE 3
    SHOWS 8, invlpg [SHOWN]
    SHOWS 9, mov cr3, rbx
    // Changing PCIDE invalidates all.
    SHOWS 10, PCIDS_OFF
    mov rbx, r8
    bts rbx, 17
    mov cr4, rbx

    mov ecx, 4
    TRY type_reserved, invpcid rcx, [DESCRIPTOR]
    movabs rcx, 1 << 32
    TRY type_wide, invpcid rcx, [DESCRIPTOR]
    xor ecx, ecx
    DESCRIBE 0x1000, SHOWN
    TRY descriptor_reserved, invpcid rcx, [DESCRIPTOR]
    mov ecx, 3
    TRY descriptor_reserved_all, invpcid rcx, [DESCRIPTOR]
    DESCRIBE 6, 1 << 47
    xor ecx, ecx
    TRY not_canonical, invpcid rcx, [DESCRIPTOR]
    INVALIDATE 1
    mov qword ptr [PTE(SHOWN)], 0
    invlpg [SHOWN]
    TRY not_present, invpcid rcx, [SHOWN]
    TRY register_form, .byte 0x66, 0x0f, 0x38, 0x82, 0xc8
    TRY no_prefix, .byte 0x0f, 0x38, 0x82, 0x08
    TO_USER user, done
user:
    xor ecx, ecx
    TRY user_invpcid, invpcid rcx, [DESCRIPTOR]
    LEAVE_USER

absent:
    mov rbx, r8
    bts rbx, 17
    TRY absent_pcide, mov cr4, rbx
    xor ecx, ecx
    TRY absent_invpcid, invpcid rcx, [DESCRIPTOR]
done:
    FINISH
