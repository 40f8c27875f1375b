// What a processor model announces, as a program sees it: CPUID, CR4 and the capability MSRs of VMX.
// The test pokes what it expects of CR4, and tells Intel from AMD.
#include "machine.inc"

    .set VALID_CR4, DATA + 0x800
    .set IS_INTEL, DATA + 0x808
    .set CAPABILITIES, DATA + 0x900     // MSR 0x480 + n at index n
    .set VMXON_REGION, PAGES

.macro CPUID_RESULT index, leaf
    mov eax, \leaf
    xor ecx, ecx
    cpuid
    mov [DATA + \index * 16], eax
    mov [DATA + \index * 16 + 4], ebx
    mov [DATA + \index * 16 + 8], ecx
    mov [DATA + \index * 16 + 12], edx
.endm

start:
    CPUID_RESULT 0, 0
    CPUID_RESULT 1, 1
    CPUID_RESULT 2, 7
    CPUID_RESULT 3, 0x80000001
    CPUID_RESULT 4, 0x80000008
    CPUID_RESULT 5, 0x80000002

    // Its pages are supervisor's, for SMEP and SMAP.
    and qword ptr [PML4], ~4
    mov rax, cr3
    mov cr3, rax
    // All bits of CR4 but PCIDE one by one: what is announced stays, the rest is #GP.
    mov r8, cr4
    xor r9d, r9d                        // bits that were taken
    xor r10d, r10d
each_bit:
    mov r11, r8
    bts r11, r10
    cmp r10d, 17
    je next_bit
    lea r15, [rip + next_bit]
    mov cr4, r11
    xor r15d, r15d
    mov r12, cr4
    or r9, r12
next_bit:
    mov qword ptr [LOG], 0              // 40 faults would fill it
    mov cr4, r8
    inc r10d
    cmp r10d, 64
    jne each_bit
    mov [DATA + 0x810], r9

    cmp qword ptr [IS_INTEL], 0
    je done
    mov ecx, 0x480
read_capability:
    rdmsr
    mov edi, ecx
    mov [CAPABILITIES + rdi * 8 - 0x480 * 8], eax
    mov [CAPABILITIES + rdi * 8 - 0x480 * 8 + 4], edx
    inc ecx
    cmp ecx, 0x491
    jbe read_capability

    // VMX operation under them.
    WRITE_MSR 0x3a, 5
    mov rax, r8
    bts rax, 13
    mov cr4, rax
    mov eax, [CAPABILITIES]
    mov [VMXON_REGION], eax
    mov qword ptr [DATA + 0x818], VMXON_REGION
    vmxon [DATA + 0x818]
    setnbe al                           // neither CF nor ZF
    movzx eax, al
    mov [DATA + 0x820], rax
    vmxoff
done:
    FINISH
