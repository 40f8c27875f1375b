// What CPL 3 may not do, and the ways into it.
#include "machine.inc"

start:
    SET_GATE_TYPE 3, 0x8e               // DPL 0, also for INT3
    mov byte ptr [TSS + TSS_IO_BITMAP + 0x80 / 8], 0x7e   // ports 0x80 and 0x87
    mov eax, DATA_FLAT
    mov ds, eax
    mov es, eax
    mov eax, USER_DATA
    mov fs, eax
    TO_USER user, iret_faults
user:
    xor eax, eax
    mov ax, ds                          // DPL 0 data was taken away
    RESULT 0, rax
    mov ax, fs
    RESULT 1, rax
    TRY closed_gate, int 0x30
    TRY closed_int3, int3
    TRY empty_gate_user, int 0x50
    TRY user_hlt, hlt
    TRY user_cli, cli
    TRY user_sti, sti
    TRY user_read_cr0, mov rax, cr0
    TRY user_write_cr3, mov cr3, rax
    TRY user_write_cr8, mov cr8, rax
    TRY user_read_dr, mov rax, dr0
    TRY user_write_dr, mov dr7, rax
    TRY user_clts, clts
    TRY user_lmsw, lmsw ax
    TRY user_rdmsr, rdmsr
    TRY user_wrmsr, wrmsr
    TRY user_lgdt, lgdt [table]
    TRY user_lidt, lidt [table]
    TRY user_lldt, lldt ax
    TRY user_ltr, ltr ax
    TRY user_invlpg, invlpg [rax]
    TRY user_invd, invd
    TRY user_wbinvd, wbinvd
    TRY user_swapgs, swapgs
    TRY user_rdpmc, rdpmc
    TRY user_kernel_code, jmp fword ptr [kernel_pointer]
    mov eax, DATA_FLAT
    TRY user_kernel_data, mov es, eax
    TRY user_kernel_stack, mov ss, eax
    xor eax, eax
    TRY user_null_stack, mov ss, eax
    sgdt [DATA + 32]
    smsw ax
    RESULT 2, rax
    pushfq
    and qword ptr [rsp], ~0x200
    popfq                               // IF stays
    pushfq
    pop rax
    RESULT 3, rax

    out 0x80, al
    in al, 0x87
    TRY port_denied, out 0x81, al
    TRY port_denied_in, in al, 0x86
    TRY port_partly_denied, out 0x80, ax
    TRY port_beyond, in ax, 0x87
    mov edx, (TSS_LIMIT - TSS_IO_BITMAP) * 8
    TRY port_outside_bitmap, in al, dx
    mov edx, 0xffff
    TRY port_last, in al, dx
    mov ecx, 1
    mov rsi, USER_STACK
    TRY string_denied, rep outsb
    LEAVE_USER

.macro IRET_FAULT name, rip, cs, flags, rsp, ss
    push \ss
    push \rsp
    push \flags
    push \cs
    mov rax, offset \rip
    push rax
    TRY \name, iretq
    add rsp, 40
.endm

iret_faults:
    IRET_FAULT iret_null_code, user, 0, 2, USER_STACK, USER_DATA + 3
    IRET_FAULT iret_null_code_rpl, user, 3, 2, USER_STACK, USER_DATA + 3
    IRET_FAULT iret_beyond, user, BEYOND_GDT, 2, USER_STACK, USER_DATA + 3
    IRET_FAULT iret_data, user, DATA_FLAT, 2, USER_STACK, DATA_FLAT
    IRET_FAULT iret_absent_code, user, ABSENT_CODE, 2, STACK, DATA_FLAT
    IRET_FAULT iret_code_dpl, user, CODE64 + 3, 2, USER_STACK, USER_DATA + 3
    IRET_FAULT iret_stack_rpl, user, USER_CODE64 + 3, 2, USER_STACK, USER_DATA
    IRET_FAULT iret_stack_dpl, user, USER_CODE64 + 3, 2, USER_STACK, DATA_FLAT + 3
    IRET_FAULT iret_stack_code, user, CODE64, 2, STACK, CODE64
    IRET_FAULT iret_stack_read_only, user, CODE64, 2, STACK, READ_ONLY
    IRET_FAULT iret_stack_absent, user, CODE64, 2, STACK, ABSENT_DATA
    IRET_FAULT iret_null_stack, user, USER_CODE64 + 3, 2, USER_STACK, 3
    pushfq
    or qword ptr [rsp], 1 << 14
    popfq
    lea r15, [rip + after_iret_nested]
iret_nested:
    iretq                               // NT in 64-bit mode
after_iret_nested:
    // NT came back with the handler's frame.
    pushfq
    and qword ptr [rsp], ~(1 << 14)
    popfq
    // A null SS is good for CPL 0 in 64-bit mode.
    mov rbx, rsp
    push 0
    push rbx
    push 2
    push CODE64
    lea rax, [rip + with_null_stack]
    push rax
    iretq
with_null_stack:
    xor eax, eax
    mov ax, ss
    RESULT 6, rax
    mov eax, DATA_FLAT
    mov ss, eax

    // IOPL 3: all ports, STI and CLI.
    TO_USER user_with_iopl, time_stamp, 0x3202
user_with_iopl:
    out 0x81, al
    cli
    pushfq
    pop rax
    RESULT 7, rax
    sti
    LEAVE_USER
time_stamp:
    TO_USER user_tsc, tsc_disabled
user_tsc:
    rdtsc
    rdtscp
    LEAVE_USER
tsc_disabled:
    mov rax, cr4
    or eax, 4
    mov cr4, rax
    rdtsc
    TO_USER user_without_tsc, finish
user_without_tsc:
    TRY user_rdtsc, rdtsc
    TRY user_rdtscp, rdtscp
    LEAVE_USER
finish:
    FINISH

    .balign 8
table: .word 0; .quad 0
kernel_pointer: .long start; .word CODE64
