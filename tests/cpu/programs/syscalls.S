// SYSCALL, SYSRET, SYSENTER, SYSEXIT between the levels and from compatibility mode. RDI: 0 on
// Intel's processors, 1 on AMD's.
#include "machine.inc"

    .set STAR, 0xc0000081
    .set LSTAR, 0xc0000082
    .set CSTAR, 0xc0000083
    .set FMASK, 0xc0000084

start:
    WRITE_MSR STAR, (USER_CODE32 + 3) << 48 | CODE64 << 32
    WRITE_MSR LSTAR, syscall_entry
    WRITE_MSR CSTAR, compatibility_entry
    WRITE_MSR FMASK, 0x40700            // AC, DF, IF, TF
    WRITE_MSR 0x174, CODE64
    WRITE_MSR 0x175, KERNEL_STACK - 0x100
    WRITE_MSR 0x176, sysenter_entry
    TO_USER user, faults, 0x603
user:
    xor ecx, ecx
    xor r11d, r11d
    stc
    syscall
after_syscall:
    pushfq
    pop rax
    RESULT 6, rax
    xor eax, eax
    mov ax, cs
    RESULT 7, rax
    mov ax, ss
    RESULT 8, rax
    RESULT 9, rsp
    // The kernel returns to compatibility mode from the second call.
    lea r15, [rip + after_compatibility_syscall]
    mov r13d, 1
    syscall
    .code32
compatibility:
    xor eax, eax
    mov ax, cs
    mov [DATA + 10 * 8], eax
    mov ax, ss
    mov [DATA + 11 * 8], eax
compatibility_syscall:
    syscall                             // #UD on Intel, CSTAR on AMD
after_compatibility_syscall:
    cmp edi, 1
    je long_again
    mov eax, 1
    sysenter
from_sysenter:
    mov eax, cs
    mov [DATA + 17 * 8], eax
    mov eax, ss
    mov [DATA + 18 * 8], eax
    mov [DATA + 19 * 8], esp
    mov eax, 2
    sysenter
    .byte 0xea                          // never: SYSEXIT goes to 64-bit code
    .long 0
    .word 0
long_again:
    .byte 0xea
    .long user_again
    .word USER_CODE64 + 3
    .code64
user_again:
    mov rsp, USER_STACK
    test edi, edi
    jnz 1f
    xor eax, eax
    mov ax, cs
    RESULT 20, rax
    mov eax, 3
    mov rbx, rsp
    sysenter                            // from 64-bit code
from_sysenter_64:
    mov eax, cs
    RESULT 21, rax
    RESULT 22, rsp
1:  TRY user_sysret, sysretq
    TRY user_sysexit, sysexitd
    LEAVE_USER

syscall_entry:
    cmp r13d, 1
    je return_to_compatibility
    RESULT 0, rcx
    RESULT 1, r11
    pushfq
    pop rax
    RESULT 2, rax
    xor eax, eax
    mov ax, cs
    RESULT 3, rax
    mov ax, ss
    RESULT 4, rax
    RESULT 5, rsp
    xor r11d, 1                         // CF
    sysretq
return_to_compatibility:
    mov ecx, offset compatibility
    sysretd

compatibility_entry:
    RESULT 12, rcx
    xor r15d, r15d
    sysretd

sysenter_entry:
    cmp eax, 1
    jne 1f
    pushfq
    pop rcx
    RESULT 13, rcx
    mov ecx, cs
    RESULT 14, rcx
    mov ecx, ss
    RESULT 15, rcx
    RESULT 16, rsp
    mov edx, offset from_sysenter
    mov ecx, USER_STACK - 0x20
    sysexitd
1:  cmp eax, 2
    jne 1f
    mov edx, offset user_again
    mov ecx, USER_STACK - 0x40
    sysexitq
1:  mov edx, offset from_sysenter_64
    lea rcx, [rbx - 8]
    sysexitq

faults:
    movabs rcx, 0x0000800000000000
    TRY sysret_nowhere, sysretq
    mov edx, offset faults
    TRY sysexit_stack_nowhere, sysexitq
    mov rdx, rcx
    mov ecx, USER_STACK
    TRY sysexit_nowhere, sysexitq
    WRITE_MSR 0x174, 3
    TRY sysenter_null, sysenter
    TRY sysexit_null, sysexitd
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~1
    wrmsr                               // EFER.SCE = 0
    TRY syscall_disabled, syscall
    TRY sysret_disabled, sysretq
    FINISH
