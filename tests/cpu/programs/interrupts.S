// The local APIC and the core: timers and HLT, shadows, NMIs, priorities. RDI says which part. The
// test's time-stamp counter ticks once a code byte.
#include "machine.inc"

    .set X2APIC_TPR, 0x808
    .set X2APIC_EOI, 0x80b
    .set X2APIC_SVR, 0x80f
    .set X2APIC_ICR, 0x830
    .set X2APIC_TIMER, 0x832
    .set X2APIC_INITIAL, 0x838
    .set X2APIC_DIVIDE, 0x83e
    .set X2APIC_SELF, 0x83f
    .set TSC_DEADLINE, 0x6e0
    .set TSC_DEADLINE_MODE, 2 << 17
    .set PERIODIC_MODE, 1 << 17

.macro END_OF_INTERRUPT
    WRITE_MSR X2APIC_EOI, 0
.endm

.macro SELF_INTERRUPT vector
    WRITE_MSR X2APIC_SELF, \vector
.endm

// Arms the timer for `at`. RDTSC reads the time before its own two bytes.
.macro TIMER_AT from, at
    rdtsc
\from:
    shl rdx, 32
    or rax, rdx
    add rax, offset \at - \from + 2
    mov rdx, rax
    shr rdx, 32
    mov ecx, TSC_DEADLINE
    wrmsr
.endm

start:
    WRITE_MSR 0x1b, 0xfee00d00          // x2APIC mode
    WRITE_MSR X2APIC_SVR, 0x1ff
    SET_HANDLER 0x20, timer_handler
    SET_HANDLER 0x21, counting_handler
    SET_HANDLER 0x28, shadow_handler
    lea rax, [parts]
    jmp [rax + rdi * 8]

// HLT until the one-shot timer, then twice the deadline timer, the second time with another TSC.
part_timer:
    WRITE_MSR X2APIC_DIVIDE, 0xb        // by 1
    WRITE_MSR X2APIC_TIMER, 0x20
    rdtsc
one_shot_before:
    shl rdx, 32
    or rax, rdx
    mov r12, rax
    mov eax, 1000
    xor edx, edx
    mov ecx, X2APIC_INITIAL
one_shot_armed:
    wrmsr
    sti
    hlt
after_one_shot:
    RESULT 0, r12
    RESULT 1, r13
    RESULT 2, r14
    WRITE_MSR X2APIC_TIMER, 0x20 | TSC_DEADLINE_MODE
    mov r14, 0
    rdtsc
    add eax, 70000
    RESULT 3, rax
    mov ecx, TSC_DEADLINE
    wrmsr
    hlt
after_deadline:
    RESULT 4, r13
    WRITE_MSR 0x3b, 0x1000000           // IA32_TSC_ADJUST
    rdtsc
    add eax, 70000
    RESULT 5, rax
    mov ecx, TSC_DEADLINE
    wrmsr
    hlt
    RESULT 6, r13
    FINISH
timer_handler:
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov r13, rax
    mov r14, [rsp]
    END_OF_INTERRUPT
    iretq

// Four periods, the third of them spent in a loop that makes no exit.
part_periodic:
    WRITE_MSR X2APIC_DIVIDE, 0xb
    WRITE_MSR X2APIC_TIMER, 0x20 | PERIODIC_MODE
    mov esi, offset DATA
    SET_HANDLER 0x20, periodic_handler
    WRITE_MSR X2APIC_INITIAL, 500
    sti
    hlt
    hlt
1:  cmp esi, DATA + 3 * 8
    jb 1b
    hlt
    WRITE_MSR X2APIC_INITIAL, 0
    FINISH
periodic_handler:
    rdtsc
    mov [rsi], rax
    add esi, 8
    END_OF_INTERRUPT
    iretq

// Where a pending interrupt comes in (SDM 3A 6.8.1, 6.8.3).
part_shadows:
    SELF_INTERRUPT 0x28
    sti
    nop
after_sti:
    cli
    SELF_INTERRUPT 0x28
    sti
    cli                                 // in the shadow: nothing comes
    nop
    pushfq
    or qword ptr [rsp], 0x200
    popfq                               // no shadow
after_popf:
    cli
    SELF_INTERRUPT 0x28
    sti
    hlt
after_sti_hlt:
    WRITE_MSR X2APIC_TIMER, 0x28 | TSC_DEADLINE_MODE
    mov ebx, DATA_FLAT
    sti
    TIMER_AT mov_ss_before, mov_ss + 1  // in the middle of it
    jmp mov_ss_block                    // a block of its own
mov_ss_block:
    nop
mov_ss:
    mov ss, ebx
in_mov_ss_shadow:
    nop
after_mov_ss:
    nop
    cli
    // Above and below the task priority.
    mov eax, 3
    mov cr8, rax
    sti
    SELF_INTERRUPT 0x28
    nop
    xor eax, eax
    mov cr8, rax
after_priority:
    // Higher first; the lower one waits for the end of the higher one.
    cli
    SELF_INTERRUPT 0x21
    SELF_INTERRUPT 0x28
    sti
    nop
after_both:
    FINISH
shadow_handler:
    push rax
    mov rax, [DATA]
    inc qword ptr [DATA]
    push rbx
    mov rbx, [rsp + 16]
    mov [DATA + rax * 8 + 8], rbx
    pop rbx
    push rcx
    push rdx
    END_OF_INTERRUPT
    pop rdx
    pop rcx
    pop rax
    iretq
counting_handler:
    inc qword ptr [DATA + 0x100]
    push rax
    mov rax, [DATA]
    mov [DATA + 0x108], rax             // how many came before
    mov rax, [rsp + 8]
    mov [DATA + 0x110], rax
    END_OF_INTERRUPT
    pop rax
    iretq

// NMIs: one is kept while another is served, until IRET; IF is not asked.
part_nmi:
    SET_HANDLER 2, nmi_handler
    WRITE_MSR X2APIC_ICR, 0x4400
after_first_nmi:
    mov ecx, 1000
1:  loop 1b
    RESULT 0, rbx
    RESULT 1, r8
    RESULT 2, r9
    // An NMI wakes HLT with interrupts off.
    SET_HANDLER 2, second_nmi_handler
    hlt                                 // the test sends one
after_nmi_hlt:
    RESULT 3, r9
    // Another one comes through its gate while an exception of its handler returns (SDM 3A 6.7.1).
    SET_HANDLER 2, faulting_nmi_handler
    WRITE_MSR X2APIC_ICR, 0x4400
after_third_nmi:
    FINISH
nmi_handler:
    inc rbx
    cmp rbx, 1
    jne 1f
    mov r8, [rsp]
    WRITE_MSR X2APIC_ICR, 0x4400
    WRITE_MSR X2APIC_ICR, 0x4400
    mov ecx, 100
2:  loop 2b
    RESULT 8, rbx                       // still 1: blocked
    iretq
1:  mov r9, [rsp]
    iretq
second_nmi_handler:
    mov r9, [rsp]
    iretq
faulting_nmi_handler:
    inc qword ptr [DATA + 9 * 8]
    cmp qword ptr [DATA + 9 * 8], 1
    jne 1f
    WRITE_MSR X2APIC_ICR, 0x4400
    lea r15, [rip + after_fault_in_nmi]
    ud2
after_fault_in_nmi:
    RESULT 10, rsp
    iretq
1:  mov rax, [rsp]
    RESULT 11, rax
    iretq

// An interrupt whose gate is not there.
part_absent_gate:
    SET_GATE_TYPE 0x29, 0x0e
    SELF_INTERRUPT 0x29
    TRY interrupted, sti
    nop
    FINISH

// The registers in memory, by instructions of several kinds.
part_memory_mapped:
    SET_HANDLER 0x28, memory_mapped_handler
    WRITE_MSR 0x1b, 0xfee00000
    WRITE_MSR 0x1b, 0xfee00900
    mov rbx, LOCAL_APIC
    mov dword ptr [rbx + 0xf0], 0x1ff
    mov eax, [rbx + 0xf0]
    RESULT 0, rax
    mov eax, 0x21
    xchg [rbx + 0x80], eax
    or dword ptr [rbx + 0x80], 0x12     // a read and a write
    mov rax, cr8
    RESULT 1, rax
    push [rbx + 0x30]                   // eight bytes: the version and what lies behind
    pop rax
    RESULT 2, rax
    mov dword ptr [rbx + 0x80], 0
    mov dword ptr [rbx + 0x310], 0
    sti
    mov dword ptr [rbx + 0x300], 0x4028 // to itself
    nop
    cli
    FINISH
memory_mapped_handler:
    mov dword ptr [rbx + 0xb0], 0
    iretq

    .balign 8
parts: .quad part_timer, part_periodic, part_shadows, part_nmi, part_absent_gate
    .quad part_memory_mapped
