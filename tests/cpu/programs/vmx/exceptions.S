// Exceptions (SDM 3C 26.2, 28.2.2 to 28.2.4): by the bitmap, #PF by mask and match, length of the
// software exceptions, vectoring information where a second event cut the first's delivery short, but
// none with a double or triple fault.
//
// exit: exception_or_nmi GUEST_RIP=at_ud EXIT_INTERRUPTION_INFO=0x80000306 EXIT_QUALIFICATION=0 IDT_VECTORING_INFO=0 GUEST_RFLAGS=0x10002
// exit: exception_or_nmi GUEST_RIP=at_gp EXIT_INTERRUPTION_INFO=0x80000b0d EXIT_INTERRUPTION_ERROR_CODE=0x98
// exit: exception_or_nmi GUEST_RIP=at_pf EXIT_INTERRUPTION_INFO=0x80000b0e EXIT_INTERRUPTION_ERROR_CODE=2 EXIT_QUALIFICATION=0x200010
// exit: exception_or_nmi GUEST_RIP=at_int3 EXIT_INTERRUPTION_INFO=0x80000603 EXIT_INSTRUCTION_LENGTH=1
// exit: exception_or_nmi GUEST_RIP=at_int1 EXIT_INTERRUPTION_INFO=0x80000501 EXIT_INSTRUCTION_LENGTH=1 EXIT_QUALIFICATION=0
// exit: exception_or_nmi GUEST_RIP=behind_step EXIT_INTERRUPTION_INFO=0x80000301 EXIT_QUALIFICATION=0x4000
// exit: exception_or_nmi GUEST_RIP=int_absent EXIT_INTERRUPTION_INFO=0x80000b0b EXIT_INTERRUPTION_ERROR_CODE=0x1fa IDT_VECTORING_INFO=0x8000043f EXIT_INSTRUCTION_LENGTH=2
// exit: exception_or_nmi GUEST_RIP=ud_absent EXIT_INTERRUPTION_INFO=0x80000b0b EXIT_INTERRUPTION_ERROR_CODE=0x33 IDT_VECTORING_INFO=0x80000306
// exit: exception_or_nmi GUEST_RIP=double EXIT_INTERRUPTION_INFO=0x80000b08 EXIT_INTERRUPTION_ERROR_CODE=0 IDT_VECTORING_INFO=0
// exit: triple_fault GUEST_RIP=triple EXIT_QUALIFICATION=0 IDT_VECTORING_INFO=0 EXIT_INTERRUPTION_INFO=0 GUEST_ACTIVITY=0
// event: vector=14 rip=unmatched error=0 cr2=0x200020
// event: vector=0 rip=not_in_bitmap
#include "host.inc"
start:
    call prepare
    SET_FIELD EXCEPTION_BITMAP, 0x694a
    SET_FIELD PAGE_FAULT_ERROR_CODE_MASK, 2
    SET_FIELD PAGE_FAULT_ERROR_CODE_MATCH, 2
    lea rax, [rip + no_step]
    mov [ON_EXIT], rax
    RUN
    // The absent gates: #NP while an event is delivered.
    mov byte ptr [IDT + 0x3f * 16 + 5], 0x0e
    SET_FIELD EXCEPTION_BITMAP, 0x800
    RUN int_absent_guest
    mov byte ptr [IDT + 6 * 16 + 5], 0x0e
    RUN ud_absent_guest
    // #UD, then #NP: with the bitmap for #DF alone that is serial; #GP twice is a double fault.
    mov byte ptr [IDT + 13 * 16 + 5], 0x0e
    SET_FIELD EXCEPTION_BITMAP, 0x100
    RUN double_guest
    mov byte ptr [IDT + 8 * 16 + 5], 0x0e
    SET_FIELD EXCEPTION_BITMAP, 0
    RUN triple_guest
    FINISH
no_step:
    SET_FIELD GUEST_RFLAGS, 2
    ret
guest:
    EXITS_AT at_ud, ud2
    mov eax, BEYOND_GDT
    EXITS_AT at_gp, mov ds, eax
    EXITS_AT at_pf, mov [0x200010], eax
    TRY unmatched, mov eax, [0x200020]
    xor ecx, ecx
    TRY not_in_bitmap, div ecx
    EXITS_AT at_int3, int3
    EXITS_AT at_int1, .byte 0xf1
    pushfq
    or dword ptr [rsp], 0x100
    popfq
    nop
behind_step:
    LEAVE
int_absent_guest:
    EXITS_AT int_absent, int 0x3f
    LEAVE
ud_absent_guest:
    EXITS_AT ud_absent, ud2
    LEAVE
double_guest:
    mov eax, BEYOND_GDT
    EXITS_AT double, mov ds, eax
    LEAVE
triple_guest:
    mov eax, BEYOND_GDT
    EXITS_AT triple, mov ds, eax
    LEAVE
