// MONITOR and MWAIT (SDM 3A 9.10.4): what is refused, and what ends a wait: another processor's
// store, an interrupt, a masked interrupt where that was asked for.
#include "machine.inc"

    .set ICR, 0x830
    .set TRAMPOLINE, CODE_BASE + 0x2000
    .set LINE, DATA + 0x200
    .set OTHER_LINE, DATA + 0x400
    .set MISC_ENABLE, 0x1a0

.macro SEND to, command
    WRITE_MSR ICR, (\to << 32) + \command
.endm
.macro MONITOR_LINE
    mov eax, LINE
    xor ecx, ecx
    xor edx, edx
    monitor
.endm

start:
    WRITE_MSR 0x1b, 0xfee00d00
    WRITE_MSR 0x80f, 0x1ff
    mov eax, LINE
    mov ecx, 1
    TRY monitor_extension, monitor
    xor ecx, ecx
    mov qword ptr [PTE(PAGES)], 0
    invlpg [PAGES]
    mov eax, PAGES
    TRY monitor_absent, monitor
    MONITOR_LINE
    mov ecx, 2
    TRY mwait_extension, mwait

    // Without a monitor, and with one whose line has changed, there is no wait.
    xor eax, eax
    xor ecx, ecx
    inc qword ptr [LINE]
    mwait
    mwait
    mov eax, 1
    RESULT 0, rax

    // The other processor's store ends it: LINE, not OTHER_LINE.
    SEND 1, 0x4500
    SEND 1, 0x4600 + (TRAMPOLINE >> 12)
again:
    MONITOR_LINE
    cmp word ptr [LINE + 8], 0
    jne stored
    inc qword ptr [DATA + 1 * 8]        // how often it waited
    xor eax, eax
    mwait
    jmp again
stored:
    movzx eax, word ptr [OTHER_LINE]
    RESULT 2, rax

    // An interrupt ends it, and is delivered first.
    SET_HANDLER 0x22, handler
    WRITE_MSR 0x80f, 0x1ff
    MONITOR_LINE
    sti
    SEND 0, 0x4022
    xor eax, eax
    xor ecx, ecx
    nop
    mov rax, [DATA + 3 * 8]
    RESULT 4, rax
    cli
    // A masked one ends it with ECX bit 0, and stays pending.
    MONITOR_LINE
    SEND 0, 0x4022
    MONITOR_LINE
    xor eax, eax
    mov ecx, 1
    mwait
    mov rax, [DATA + 3 * 8]
    RESULT 5, rax
    sti
    nop
    nop
    cli
    mov rax, [DATA + 3 * 8]
    RESULT 6, rax

    // For CPL 0 only, and while software has not switched it off.
    TO_USER user, after_user
user:
    TRY user_monitor, monitor
    TRY user_mwait, mwait
    LEAVE_USER
after_user:
    mov eax, 1
    cpuid
    and ecx, 8
    RESULT 7, rcx
    mov ecx, MISC_ENABLE
    rdmsr
    btr eax, 18
    wrmsr
    mov eax, 1
    cpuid
    and ecx, 8
    RESULT 8, rcx
    mov eax, LINE
    xor ecx, ecx
    TRY off_monitor, monitor
    TRY off_mwait, mwait
    FINISH
handler:
    push rax
    push rcx
    push rdx
    inc qword ptr [DATA + 3 * 8]
    WRITE_MSR 0x80b, 0
    pop rdx
    pop rcx
    pop rax
    iretq

    .org TRAMPOLINE - CODE_BASE
    .code16
    mov ax, DATA >> 4
    mov ds, ax
    mov cx, 20000
1:  loop 1b
    mov word ptr ds:[0x400], 7
    mov cx, 20000
2:  loop 2b
    mov word ptr ds:[0x208], 1
3:  cli
    hlt
    jmp 3b
