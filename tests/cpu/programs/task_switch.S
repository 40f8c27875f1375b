// Hardware task switches: JMP, CALL and IRET between tasks, task gates, 16-bit tasks, what a switch
// saves and loads, and what it refuses. 32-bit protected mode; task A is the program's own.
#include "layout.h"
    .intel_syntax noprefix
    .text
    .globl start

    // Selectors of the GDT below.
    .set FLAT_CODE, 0x08
    .set FLAT_DATA, 0x10
    .set TASK_A, 0x18
    .set TASK_B, 0x20
    .set TASK_16, 0x28
    .set GATE_B, 0x30
    .set LOCAL_TABLE, 0x38
    .set TASK_SHORT, 0x40
    .set TASK_ABSENT, 0x48
    .set GATE_ABSENT, 0x50
    .set FLAT_CODE16, 0x58
    .set TASK_HANDLER, 0x60
    .set LOW_DATA, 0x68                 // DPL 3
    .set ABSENT_SEGMENT, 0x70
    .set DATA_16, 0x78
    .set TASK_BEYOND, 0x80

    .set TSS_A, PAGES
    .set TSS_B, PAGES + 0x200
    .set TSS_16, PAGES + 0x400
    .set TSS_HANDLER, PAGES + 0x600
    .set TABLE_LOCAL, PAGES + 0x800
    .set DIRECTORY_A, PAGES + 0x1000    // 32-bit paging, 4 MiB pages
    .set DIRECTORY_B, PAGES + 0x2000
    .set STACK_B, STACK - 0x400
    .set STACK_HANDLER, STACK - 0x800
    .set FAULTS, DATA + 0x400           // a count, then 16 bytes each: vector, error, EIP, TR

    // Offsets in a TSS (SDM 3A figure 8-2).
    .set TSS_CR3, 0x1c
    .set TSS_EIP, 0x20
    .set TSS_EFLAGS, 0x24
    .set TSS_EBX, 0x34
    .set TSS_ESP, 0x38
    .set TSS_ES, 0x48
    .set TSS_CS, 0x4c
    .set TSS_SS, 0x50
    .set TSS_DS, 0x54
    .set TSS_LDT, 0x60
    .set TSS_TRAP, 0x64

.macro RESULT32 index, register
    mov [DATA + \index * 4], \register
.endm
.macro JUMP_TASK selector
    .byte 0xea
    .long 0
    .word \selector
.endm
.macro CALL_TASK selector
    .byte 0x9a
    .long 0
    .word \selector
.endm
.macro GATE vector, label
    mov dword ptr [IDT + \vector * 8], (FLAT_CODE << 16)
    mov word ptr [IDT + \vector * 8], offset \label
    mov dword ptr [IDT + \vector * 8 + 4], 0x8e00
.endm
.macro TASK_GATE vector, selector
    mov dword ptr [IDT + \vector * 8], \selector << 16
    mov dword ptr [IDT + \vector * 8 + 4], 0xe500
.endm
// One instruction that must fault, at label `name`; the handler comes back to task A behind it.
.macro TRY32 name, instruction:vararg
    mov dword ptr [resume], offset after_\name
\name:
    \instruction
after_\name:
.endm
.macro BUSY index, selector             // the type of a descriptor of the GDT
    movzx eax, byte ptr [gdt + \selector + 5]
    RESULT32 \index, eax
.endm

    .code16
start:
    cli
    lgdt cs:[gdt_pointer - CODE_BASE]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0xea
    .word protected
    .word FLAT_CODE

    .code32
protected:
    mov ax, FLAT_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    lidt [idt_pointer]
    GATE 1, debug_trap
    GATE 8, fault_8
    GATE 10, fault_10
    GATE 11, fault_11
    GATE 12, fault_12
    GATE 13, fault_13
    mov eax, TASK_A
    ltr ax
    call make_task_b

    // CALL nests: B knows where it came from.
    mov ebx, 0xaaaa0001
    CALL_TASK TASK_B
after_call:
    RESULT32 0, ebx
    mov eax, cr0
    RESULT32 1, eax                     // TS
    clts
    BUSY 2, TASK_A
    BUSY 3, TASK_B
    mov eax, [TSS_A + TSS_EIP]
    RESULT32 4, eax
    mov eax, [TSS_B + TSS_EIP]          // behind B's IRET
    RESULT32 5, eax
    mov eax, [TSS_B + TSS_EFLAGS]       // saved without NT
    RESULT32 6, eax
    pushfd
    pop eax
    RESULT32 7, eax

    // B goes on behind its IRET, called through the task gate.
    CALL_TASK GATE_B
    // JMP does not nest.
    mov dword ptr [TSS_B], 0xbeef
    mov dword ptr [TSS_B + TSS_EIP], offset task_b_jumped
    mov dword ptr [TSS_B + TSS_EFLAGS], 2
    JUMP_TASK TASK_B
after_jump:
    BUSY 18, TASK_A
    BUSY 19, TASK_B
    mov eax, [TSS_B]
    RESULT32 20, eax

    // An interrupt, and a fault with its error code, through task gates.
    TASK_GATE 0x30, TASK_HANDLER
    call make_handler
    mov dword ptr [TSS_HANDLER + TSS_EIP], offset interrupt_task
    int 0x30
after_int:
    TASK_GATE 13, TASK_HANDLER
    mov dword ptr [TSS_HANDLER + TSS_EIP], offset fault_task
    mov eax, TASK_BEYOND + 0x200
gp_here:
    mov fs, eax
after_gp:
    GATE 13, fault_13

    // A 16-bit task.
    mov word ptr [TSS_16 + 0x0e], offset task_16
    mov word ptr [TSS_16 + 0x10], 2
    mov word ptr [TSS_16 + 0x18], 0x1616        // BX
    mov word ptr [TSS_16 + 0x1a], 0x7f0         // SP
    mov word ptr [TSS_16 + 0x22], FLAT_DATA     // ES, CS, SS, DS
    mov word ptr [TSS_16 + 0x24], FLAT_CODE16
    mov word ptr [TSS_16 + 0x26], DATA_16
    mov word ptr [TSS_16 + 0x28], FLAT_DATA
    CALL_TASK TASK_16
    movzx eax, word ptr [TSS_16]
    RESULT32 30, eax

    // The T bit: a trap before the first instruction.
    call make_task_b
    mov byte ptr [TSS_B + TSS_TRAP], 1
    mov eax, 0x55
    mov dr7, eax                        // L0 to L3 are cleared by the switch
    CALL_TASK TASK_B
    clts
    call make_task_b

    // The LDT, and CR3 under paging. The descriptor's segment begins at DATA.
    mov dword ptr [TABLE_LOCAL], 0x0000ffff
    mov dword ptr [TABLE_LOCAL + 4], 0x00cf9302
    mov dword ptr [TSS_B + TSS_LDT], LOCAL_TABLE
    mov dword ptr [TSS_B + TSS_DS], 4   // LDT, index 0
    mov dword ptr [TSS_B + TSS_EIP], offset task_b_local
    mov dword ptr [DIRECTORY_A], 0x87
    mov dword ptr [DIRECTORY_B], 0x87
    mov dword ptr [TSS_A + TSS_CR3], DIRECTORY_A
    mov dword ptr [TSS_B + TSS_CR3], DIRECTORY_B
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov eax, DIRECTORY_A
    mov cr3, eax
    mov eax, cr0
    bts eax, 31
    mov cr0, eax
    CALL_TASK TASK_B
    mov eax, cr3
    RESULT32 44, eax
    sldt ax
    movzx eax, ax
    RESULT32 45, eax

    // What is refused before the switch: everything stays as it was.
    TRY32 jump_busy, JUMP_TASK TASK_A
    TRY32 call_absent, CALL_TASK TASK_ABSENT
    TRY32 call_short, CALL_TASK TASK_SHORT
    TRY32 gate_absent, CALL_TASK GATE_ABSENT
    TRY32 jump_rpl, JUMP_TASK TASK_B + 3
    pushfd
    or dword ptr [esp], 1 << 14
    popfd
    mov word ptr [TSS_A], TASK_B        // not busy
    TRY32 iret_not_busy, iretd
    pushfd
    or dword ptr [esp], 1 << 14
    popfd
    mov word ptr [TSS_A], 4             // an LDT's
    TRY32 iret_local, iretd
    pushfd
    and dword ptr [esp], ~(1 << 14)
    popfd

    // What is refused in the new task: it has no stack for a handler yet, so that is a task.
    TASK_GATE 10, TASK_HANDLER
    call make_handler
    mov dword ptr [TSS_HANDLER + TSS_CR3], DIRECTORY_A
    mov dword ptr [TSS_HANDLER + TSS_EIP], offset invalid_tss_task
    call make_task_b
    mov word ptr [TSS_B + TSS_CS], FLAT_DATA
    TRY32 bad_code, CALL_TASK TASK_B
    call make_task_b
    mov word ptr [TSS_B + TSS_SS], LOW_DATA
    TRY32 bad_stack, CALL_TASK TASK_B
    call make_task_b
    mov word ptr [TSS_B + TSS_LDT], TASK_A
    TRY32 bad_local_table, CALL_TASK TASK_B
    call make_task_b
    mov word ptr [TSS_B + TSS_ES], ABSENT_SEGMENT
    TRY32 absent_data, CALL_TASK TASK_B
    mov dword ptr [DATA + 0x3fc], 0x600d
end:
    hlt
    jmp end

// --- task B ---
task_b:
    str ax
    movzx eax, ax
    RESULT32 8, eax
    pushfd
    pop eax
    RESULT32 9, eax                     // NT
    mov eax, [TSS_B]
    RESULT32 10, eax                    // the link
    RESULT32 11, ebx
    RESULT32 12, esp
    mov eax, cr0
    RESULT32 13, eax
    clts
    BUSY 14, TASK_A
    BUSY 15, TASK_B
    mov ebx, 0xbbbb0002
    iretd
after_iret:
    RESULT32 16, ebx                    // what it had left there
    pushfd
    pop eax
    RESULT32 17, eax
    iretd
task_b_jumped:
    pushfd
    pop eax
    RESULT32 21, eax
    BUSY 22, TASK_A
    JUMP_TASK TASK_A
task_b_local:
    sldt ax
    movzx eax, ax
    mov es:[DATA + 40 * 4], eax
    mov eax, cr3
    mov es:[DATA + 41 * 4], eax
    mov eax, ds:[0]                     // by the descriptor in the LDT
    mov es:[DATA + 42 * 4], eax
    iretd

// --- the handlers' task ---
interrupt_task:
    RESULT32 23, esp
    mov eax, [TSS_HANDLER]
    RESULT32 24, eax
    mov eax, [TSS_A + TSS_EIP]
    RESULT32 25, eax
    iretd
fault_task:
    pop eax
    RESULT32 26, eax                    // error code
    mov eax, [TSS_A + TSS_EIP]
    RESULT32 27, eax
    mov eax, [TSS_A + TSS_EFLAGS]
    RESULT32 28, eax                    // RF
    mov dword ptr [TSS_A + TSS_EIP], offset after_gp
    iretd

// Faults of a task that has begun: the record, and back to task A.
invalid_tss_task:
    mov ebx, [FAULTS]
    inc dword ptr [FAULTS]
    shl ebx, 4
    mov dword ptr [FAULTS + 16 + ebx], 10
    pop eax
    mov [FAULTS + 20 + ebx], eax
    movzx eax, word ptr [TSS_HANDLER]
    mov [FAULTS + 28 + ebx], eax
    mov eax, [TSS_B + TSS_EIP]
    mov [FAULTS + 24 + ebx], eax
    mov eax, [resume]
    mov [TSS_A + TSS_EIP], eax
    and byte ptr [gdt + TASK_A + 5], 0xfd
    and byte ptr [gdt + TASK_B + 5], 0xfd
    JUMP_TASK TASK_A
    jmp invalid_tss_task

// --- the 16-bit task ---
    .code16
task_16:
    pushf
    pop ax
    mov edi, DATA
    mov [edi + 0x100], ax
    mov [edi + 0x102], sp
    mov [edi + 0x104], bx
    iret
    .code32

debug_trap:
    mov eax, dr6
    RESULT32 31, eax
    mov eax, dr7
    RESULT32 32, eax
    mov eax, [esp]
    RESULT32 33, eax
    xor eax, eax
    mov dr6, eax
    iretd

// --- faults ---
.macro FAULT_HANDLER vector
fault_\vector:
    push \vector
    jmp log_fault
.endm
    FAULT_HANDLER 8
    FAULT_HANDLER 10
    FAULT_HANDLER 11
    FAULT_HANDLER 12
    FAULT_HANDLER 13

// Writes the record, and goes on in task A, whatever task has faulted.
log_fault:
    mov ax, FLAT_DATA
    mov ds, ax
    mov es, ax
    mov ebx, [FAULTS]
    inc dword ptr [FAULTS]
    shl ebx, 4
    mov eax, [esp]
    mov [FAULTS + 16 + ebx], eax
    mov eax, [esp + 4]
    mov [FAULTS + 20 + ebx], eax
    mov eax, [esp + 8]
    mov [FAULTS + 24 + ebx], eax
    str ax
    movzx eax, ax
    mov [FAULTS + 28 + ebx], eax
    mov ax, FLAT_DATA
    mov ss, ax
    mov esp, STACK
    and byte ptr [gdt + TASK_A + 5], 0xfd
    and byte ptr [gdt + TASK_B + 5], 0xfd
    mov eax, TASK_A
    ltr ax
    xor eax, eax
    lldt ax
    push 2
    popfd
    jmp dword ptr [resume]

make_task_b:
    mov dword ptr [TSS_B], 0
    mov dword ptr [TSS_B + TSS_CR3], DIRECTORY_B
    mov dword ptr [TSS_B + TSS_EIP], offset task_b
    mov dword ptr [TSS_B + TSS_EFLAGS], 2
    mov dword ptr [TSS_B + TSS_EBX], 0xbbbb0001
    mov dword ptr [TSS_B + TSS_ESP], STACK_B
    mov edi, TSS_B
    jmp flat_segments
make_handler:
    mov dword ptr [TSS_HANDLER + TSS_EFLAGS], 2
    mov dword ptr [TSS_HANDLER + TSS_ESP], STACK_HANDLER
    mov edi, TSS_HANDLER
flat_segments:
    mov eax, FLAT_DATA
    mov [edi + TSS_ES], eax
    mov [edi + TSS_SS], eax
    mov [edi + TSS_DS], eax
    mov [edi + TSS_DS + 4], eax         // FS
    mov [edi + TSS_DS + 8], eax         // GS
    mov dword ptr [edi + TSS_CS], FLAT_CODE
    mov dword ptr [edi + TSS_LDT], 0
    mov dword ptr [edi + TSS_TRAP], 0
    ret

    .balign 8
resume:
    .long 0
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
idt_pointer:
    .word 0x7ff
    .long IDT
    .balign 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x0000890000000067 + (TSS_A << 16)
    .quad 0x0000890000000067 + (TSS_B << 16)
    .quad 0x000081000000002b + (TSS_16 << 16)
    .quad 0x0000850000000000 + (TASK_B << 16)
    .quad 0x000082000000000f + (TABLE_LOCAL << 16)
    .quad 0x0000890000000066 + (TSS_B << 16)
    .quad 0x0000090000000067 + (TSS_B << 16)
    .quad 0x0000050000000000 + (TASK_B << 16)
    .quad 0x00009b000000ffff
    .quad 0x0000890000000067 + (TSS_HANDLER << 16)
    .quad 0x00cff3000000ffff
    .quad 0x00cf13000000ffff
    .quad 0x000093000000ffff
gdt_end:
