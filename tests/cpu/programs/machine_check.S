// The MSRs of the machine-check architecture (SDM 3B 16.3, APM 2 9.3): the test pokes the banks.
#include "machine.inc"

    .set BANKS, DATA + 0x800
    .set IS_AMD, DATA + 0x808
    .set HWCR, 0xc0010015
    .set NON_CANONICAL, 1 << 47

.macro WRMSR_REFUSED name, number, value:vararg
    movabs rdx, \value
    mov eax, edx
    shr rdx, 32
    mov ecx, \number
    TRY \name, wrmsr
.endm

start:
    mov ecx, 0x179
    rdmsr
    RESULT 0, rax
    WRMSR_REFUSED capabilities, 0x179, 0
    WRITE_MSR 0x17a, 0
    WRMSR_REFUSED status_reserved, 0x17a, 0x10

    mov r8d, 0x400                      // each bank's four
    mov r9, [BANKS]
each_bank:
    mov ecx, r8d
    xor eax, eax
    xor edx, edx
    wrmsr
    dec rax
    mov edx, eax
    wrmsr
    rdmsr
    and eax, edx
    cmp eax, -1
    jne next_bank
    inc ecx                             // STATUS
    xor eax, eax
    xor edx, edx
    wrmsr
    inc ecx                             // ADDR
    mov eax, 0x5000
    wrmsr
    inc ecx                             // MISC
    wrmsr
    rdmsr
    cmp eax, 0x5000
    jne next_bank
    inc qword ptr [DATA + 8]
next_bank:
    add r8d, 4
    dec r9
    jnz each_bank

    WRMSR_REFUSED control_some, 0x400, 1
    WRMSR_REFUSED control_not_canonical, 0x404, NON_CANONICAL
    WRMSR_REFUSED status_one, 0x401, 1
    mov ecx, r8d
    TRY beyond_read, rdmsr
    xor eax, eax
    xor edx, edx
    TRY beyond_write, wrmsr
    cmp qword ptr [IS_AMD], 0
    je intel
    WRITE_MSR 0x17b, -1
    WRITE_MSR HWCR, 1 << 18             // McStatusWrEn
    WRITE_MSR 0x401, 1
    mov ecx, 0x401
    rdmsr
    RESULT 2, rax
    FINISH
intel:
    mov ecx, 0x17b
    TRY no_control, rdmsr
    FINISH
