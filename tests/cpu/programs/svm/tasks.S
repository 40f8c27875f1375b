// The task-switch intercept (APM 2 15.14.1): selector, and what asked for it. The guest runs in 32-bit
// mode.
//
// exit: TASK_SWITCH RIP=at_call EXITINFO1=0x70 EXITINFO2=0 EXITINTINFO=0/0x80000000
// exit: TASK_SWITCH RIP=at_jump EXITINFO1=0x70 EXITINFO2=0x4000000000
// exit: TASK_SWITCH RIP=at_int EXITINFO1=0x70 EXITINFO2=0 EXITINTINFO=0x80000461
// exit: TASK_SWITCH RIP=at_iret EXITINFO1=0x70 EXITINFO2=0x1000000000
// exit: EXCP0 EXITCODE=0x4d RIP=at_busy EXITINFO1=0x70
// result: 0=0x70
#include "host.inc"
    .set NEW_TASK, READ_ONLY                // its descriptor becomes a TSS's
start:
    call prepare
    mov dword ptr [GDT + NEW_TASK], TSS_LIMIT + ((TSS & 0xffff) << 16)
    mov dword ptr [GDT + NEW_TASK + 4], 0x8900
    mov dword ptr [IDT + 0x61 * 8], NEW_TASK << 16
    mov dword ptr [IDT + 0x61 * 8 + 4], 0xe500
    INTERCEPT 0x7d
    SET VMCB_EFER, 0x1000
    mov dword ptr [SPARE], 0x87             // a page of 4 MiB
    SET VMCB_CR3, SPARE
    SET VMCB_CR4, 0x10
    mov word ptr [VMCB_CS_SELECTOR], CODE32
    mov word ptr [VMCB_CS_ATTRIB], 0xc9b
    mov dword ptr [VMCB_CS_LIMIT], -1
    SET32 VMCB_INTERCEPT_EXCEPTIONS, 1 << 13
    lea rax, [rip + next]
    mov [ON_EXIT], rax
    RUN code32
    FINISH
next:                                       // behind a fault
    cmp qword ptr [VMCB_EXITCODE], 0x4d
    jne 1f
    mov qword ptr [REGISTERS + 15 * 8], offset leave32
1:  ret
    .code32
code32:
at_call:
    .byte 0x9a
    .long 0
    .word NEW_TASK
at_jump:
    .byte 0xea
    .long 0
    .word NEW_TASK
at_int:
    int 0x61
    mov byte ptr [GDT + NEW_TASK + 5], 0x8b // busy
    mov word ptr [TSS], NEW_TASK
    pushfd
    or dword ptr [esp], 1 << 14
    popfd
at_iret:
    iretd
    pushfd
    and dword ptr [esp], ~(1 << 14)
    popfd
at_busy:
    .byte 0xea
    .long 0
    .word NEW_TASK
leave32:
    movzx eax, word ptr [TSS]               // nothing was saved
    mov [DATA], eax
    mov dword ptr [DATA + 4], 0
    mov eax, DONE
    vmmcall
    .code64
guest:
    LEAVE
