// Exceptions (APM 2 15.12): error codes, CR2 unchanged by an intercepted #PF, the event in EXITINTINFO
// whose delivery was cut short, shutdown.
//
// exit: EXCP0 EXITCODE=0x46 RIP=at_ud EXITINTINFO=0
// exit: EXCP0 EXITCODE=0x4d RIP=at_gp EXITINFO1=0x98
// exit: EXCP0 EXITCODE=0x4e RIP=at_pf EXITINFO1=2 EXITINFO2=0x200010 CR2=0
// exit: EXCP0 EXITCODE=0x43 RIP=at_int3 NRIP=at_int3+1
// exit: EXCP0 EXITCODE=0x41 RIP=behind_step DR6=0xffff4ff0
// exit: EXCP0 EXITCODE=0x4b RIP=int_absent EXITINFO1=0x1fa EXITINTINFO=0x8000043f
// exit: EXCP0 EXITCODE=0x4b RIP=ud_absent EXITINFO1=0x33 EXITINTINFO=0x80000306
// exit: EXCP0 EXITCODE=0x48 RIP=double
// exit: SHUTDOWN RIP=triple
// event: vector=14 rip=plain_pf error=0 cr2=0x200020
// event: vector=0 rip=plain_de
#include "host.inc"
start:
    call prepare
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0x604a
    lea rax, [rip + no_step]
    mov [ON_EXIT], rax
    RUN
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0x800
    mov byte ptr [IDT + 0x3f * 16 + 5], 0x0e
    RUN int_absent_guest
    mov byte ptr [IDT + 6 * 16 + 5], 0x0e
    RUN ud_absent_guest
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0
    RUN plain
    mov byte ptr [IDT + 13 * 16 + 5], 0x0e
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0x100
    RUN double_guest
    mov byte ptr [IDT + 8 * 16 + 5], 0x0e
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 0
    INTERCEPT 0x7f
    RUN triple_guest
    FINISH
no_step:
    SET VMCB_RFLAGS, 2
    ret
guest:
    EXITS_AT at_ud, ud2
    mov eax, BEYOND_GDT
    EXITS_AT at_gp, mov ds, eax
    EXITS_AT at_pf, mov [0x200010], eax
    EXITS_AT at_int3, int3
    pushfq
    or dword ptr [rsp], 0x100
    popfq
    nop
behind_step:
    LEAVE
plain:
    TRY plain_pf, mov eax, [0x200020]
    xor ecx, ecx
    TRY plain_de, div ecx
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
