// Control registers, MSRs, CPUID, counters and debug registers: what they take and what they refuse.
#include "machine.inc"

    .set HIGH, 1 << 32
    .set NON_CANONICAL, 1 << 47

// #GP by MOV of `value` to a control or debug register.
.macro REFUSED name, register, value:vararg
    movabs rbx, \value
    TRY \name, mov \register, rbx
.endm

.macro WRMSR_REFUSED name, number, value:vararg
    movabs rdx, \value
    mov eax, edx
    shr rdx, 32
    mov ecx, \number
    TRY \name, wrmsr
.endm

.macro RDMSR_REFUSED name, number
    mov ecx, \number
    TRY \name, rdmsr
.endm

start:
    // CR0: PE, MP, ET, NE, WP, PG are set.
    REFUSED cr0_high, cr0, HIGH + 0x80010033
    REFUSED cr0_paging_alone, cr0, 0x80010032
    REFUSED cr0_nw_alone, cr0, 0xa0010033
    REFUSED cr0_no_paging_in_64, cr0, 0x00010033
    movabs rbx, 0xc0010033              // cache disabled
    mov cr0, rbx
    movabs rbx, 0x9005ffe3              // reserved bits below 32 are ignored, ET stays
    mov cr0, rbx
    mov rax, cr0
    RESULT 0, rax
    movabs rbx, 0x80010033
    mov cr0, rbx
    mov ax, 0
    lmsw ax                             // does not clear PE
    smsw rax
    RESULT 1, rax
    mov cr0, rbx

    REFUSED cr3_beyond_memory, cr3, PML4 + (1 << 46)
    REFUSED cr3_bit_63, cr3, PML4 + (1 << 63)
    mov ebx, PML4 + 0x18                // PCD, PWT
    mov cr3, rbx
    mov rax, cr3
    RESULT 2, rax
    mov ebx, PML4
    mov cr3, rbx

    mov rax, cr4
    RESULT 3, rax
    REFUSED cr4_no_pae, cr4, 0x680
    REFUSED cr4_reserved, cr4, 0x86a0
    REFUSED cr4_high, cr4, HIGH + 0x6a0
    REFUSED cr4_la57, cr4, 0x16a0
    mov ebx, PML4 + 0x18                // PCIDs need a CR3 that names PCID 0
    mov cr3, rbx
    REFUSED cr4_pcid, cr4, 0x206a0
    mov ebx, PML4
    mov cr3, rbx
    REFUSED cr8_wide, cr8, 0x10
    mov ebx, 9
    mov cr8, rbx
    mov rax, cr8
    RESULT 4, rax
    TRY cr1, .byte 0x0f, 0x20, 0xc8
    TRY cr5, .byte 0x0f, 0x22, 0xe8

    RDMSR_REFUSED rdmsr_unknown, 0x12345
    WRMSR_REFUSED wrmsr_unknown, 0x12345, 0
    WRMSR_REFUSED efer_reserved, 0xc0000080, 0xd01 + (1 << 16)
    WRMSR_REFUSED efer_no_lme, 0xc0000080, 0x801
    WRMSR_REFUSED pat_type, 0x277, 0x0007040600070402
    WRMSR_REFUSED mtrr_type, 0x2ff, 0xc02
    WRMSR_REFUSED mtrr_capabilities, 0xfe, 0
    WRMSR_REFUSED apic_base_reserved, 0x1b, 0xfee00901
    WRMSR_REFUSED apic_x2_without_enable, 0x1b, 0xfee00500
    RDMSR_REFUSED x2apic_in_xapic_mode, 0x802
    WRITE_MSR 0x1b, 0xfee00d00
    RDMSR_REFUSED x2apic_write_only, 0x80b
    WRMSR_REFUSED x2apic_reserved, 0x80f, 0x2000
    mov ecx, 0xc0000080
    rdmsr
    RESULT 5, rax
    WRITE_MSR 0xc0000101, 0xffff800000001234  // GS base
    mov ecx, 0xc0000101
    rdmsr
    RESULT 6, rax
    RESULT 7, rdx

    mov eax, 0
    xor ecx, ecx
    cpuid
    RESULT 8, rax
    RESULT 9, rbx
    mov eax, 1
    cpuid
    RESULT 10, rax
    RESULT 11, rcx
    mov rax, cr4
    or eax, 1 << 18                     // OSXSAVE
    mov cr4, rax
    mov eax, 1
    cpuid
    RESULT 12, rcx
    xor ecx, ecx
    mov eax, 3
    xor edx, edx
    xsetbv
    xgetbv
    RESULT 13, rax
    mov eax, 2
    TRY xcr0_without_x87, xsetbv
    mov eax, 0x80000003
    TRY xcr0_unknown, xsetbv
    mov ecx, 1
    mov eax, 3
    TRY xcr1, xsetbv

    WRITE_MSR 0xc0000103, 0x55
    rdtscp
    RESULT 14, rcx
before_loop:
    rdtsc
    mov r8, rax
    mov ecx, 100
1:  loop 1b
    rdtsc
    sub rax, r8
    RESULT 15, rax
    WRITE_MSR 0x10, 0x5000000000
    rdtsc
    RESULT 16, rax
    RESULT 17, rdx
    mov ecx, 0x3b
    rdmsr
    RESULT 18, rdx                      // IA32_TSC_ADJUST moved with it

    // Debug registers.
    movabs rbx, 0x1234567890
    mov dr0, rbx
    mov rax, dr0
    RESULT 19, rax
    xor ebx, ebx
    mov dr6, rbx
    mov rax, dr6
    RESULT 20, rax
    mov rbx, 0xd7ff
    mov dr7, rbx
    mov rax, dr7
    RESULT 21, rax
    xor ebx, ebx
    mov dr7, rbx
    REFUSED dr6_high, dr6, HIGH
    REFUSED dr7_high, dr7, HIGH
    mov rbx, 0x1f
    mov dr4, rbx                        // DR6
    mov rax, dr6
    RESULT 22, rax
    mov rax, cr4
    or eax, 8                           // DE
    mov cr4, rax
    TRY dr4_extended, mov rax, dr4
    mov ebx, 0x2400                     // GD
    mov dr7, rbx
    TRY general_detect, mov rax, dr3
    mov rax, dr6
    RESULT 23, rax
    mov rax, dr7
    RESULT 24, rax
    FINISH
