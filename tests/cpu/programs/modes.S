// From real mode through 16-bit and 32-bit protected mode, 32-bit paging, PAE paging, long mode with
// compatibility mode, and back to real mode. Each mode takes an exception or interrupt its own way.
#include "layout.h"
    .intel_syntax noprefix
    .text
    .globl start

    .set IDT16, IDT + 0x800             // 16-bit gates
    .set IDT32, IDT + 0xa00
    .set TABLES32, PAGES                // page directory of 32-bit paging
    .set TABLES_PAE, PAGES + 0x1000     // PDPT, then one directory
    .set ALIAS, 0x00c00000              // where each kind of paging maps DATA's region anew

.macro RESULT32 index, register
    mov [DATA + \index * 4], \register
.endm
.macro FAR_JUMP32 selector, label       // from 32-bit code
    .byte 0xea
    .long \label
    .word \selector
.endm
.macro FAR_JUMP16 selector, label       // from 16-bit code, 16-bit offset
    .byte 0xea
    .word \label
    .word \selector
.endm
.macro GATE table, vector, selector, label, type
    mov word ptr ds:[\table + \vector * 8], offset \label
    mov word ptr ds:[\table + \vector * 8 + 2], \selector
    mov word ptr ds:[\table + \vector * 8 + 4], \type << 8
    mov word ptr ds:[\table + \vector * 8 + 6], 0
.endm

    .code16
start:
    // CS is CODE_BASE / 16, so labels need CODE_BASE taken off.
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7f0
    // Vectors of real mode: offset and segment (SDM 3B 21.1.4).
    mov word ptr ds:[0], offset real_divide - CODE_BASE
    mov word ptr ds:[2], CODE_BASE >> 4
    mov word ptr ds:[0x21 * 4], offset real_interrupt - CODE_BASE
    mov word ptr ds:[0x21 * 4 + 2], CODE_BASE >> 4
    mov ax, DATA >> 4
    mov ds, ax
    mov es, ax
    sti
    int 0x21
after_real_interrupt:
    xor bl, bl
real_divide_here:
    div bl
after_real_divide:
    mov ds:[8], sp
    // Segments are 64 KiB and wrap within; a register is the address of 16 bits.
    mov ax, 0xffff
    mov fs, ax
    mov eax, fs:[0x7f10]                // linear 0x107f00
    mov ds:[12], eax
    cli
    lgdt cs:[gdt_pointer - CODE_BASE]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    FAR_JUMP16 CODE16, protected16

protected16:
    mov ax, DATA16
    mov ds, ax
    mov ss, ax
    mov ax, DATA_FLAT
    mov es, ax
    mov sp, 0x7f0
    GATE IDT16, 0x21, CODE16, interrupt16, 0x86
    lidt ds:[idt16_pointer]
    mov edi, DATA
    int 0x21
after_interrupt16:
    mov es:[edi + 4 * 4], esp
    FAR_JUMP16 CODE32, protected32
interrupt16:
    push bp
    mov bp, sp
    mov ax, [bp + 2]
    mov es:[edi + 5 * 4], ax
    mov ax, [bp + 4]
    mov es:[edi + 5 * 4 + 2], ax
    pop bp
    iret

real_interrupt:
    push bp
    mov bp, sp
    mov ax, [bp + 2]
    mov ds:[0], ax                      // IP
    mov ax, [bp + 6]
    mov ds:[2], ax                      // FLAGS
    pushf
    pop ax
    mov ds:[4], ax
    pop bp
    iret
real_divide:
    push bp
    mov bp, sp
    mov ax, [bp + 2]
    mov ds:[6], ax
    mov word ptr [bp + 2], offset after_real_divide - CODE_BASE
    pop bp
    iret

    .code32
protected32:
    mov ax, DATA_FLAT
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    GATE IDT32, 0x21, CODE32, interrupt32, 0xee
    GATE IDT32, 13, CODE32, fault32, 0x8e
    GATE IDT32, 14, CODE32, fault32, 0x8e
    lidt [idt32_pointer]
    int 0x21
after_interrupt32:
    RESULT32 8, eax
    RESULT32 9, ebx
    mov eax, BEYOND_GDT
    mov ebp, offset after_fault32
fault32_here:
    mov fs, eax
after_fault32:
    RESULT32 10, edx                    // error code
    RESULT32 11, ecx                    // EIP
    // To CPL 3 and back by the TSS's stack.
    mov word ptr [GDT + READ_ONLY], TSS_LIMIT
    mov dword ptr [GDT + READ_ONLY + 2], TSS + (0x89 << 24)
    mov word ptr [GDT + READ_ONLY + 6], 0
    mov dword ptr [TSS + 4], KERNEL_STACK
    mov dword ptr [TSS + 8], DATA_FLAT
    mov eax, READ_ONLY
    ltr ax
    push USER_DATA + 3
    push USER_STACK
    push 2
    push USER_CODE32 + 3
    push offset user32
    mov esi, offset paging32
    iretd
user32:
    mov eax, ss
    RESULT32 12, eax
    mov ebp, 0
    int 0x21
    // Not reached: the handler goes to ESI.
interrupt32:
    test byte ptr [esp + 4], 3
    jnz 1f
    mov eax, [esp]
    mov ebx, [esp + 8]
    iretd
1:  RESULT32 13, esp
    mov eax, [esp + 12]
    RESULT32 14, eax                    // ESP of CPL 3
    mov eax, [esp + 16]
    RESULT32 15, eax                    // its SS
    mov eax, DATA_FLAT
    mov ds, eax
    mov esp, STACK
    jmp esi
fault32:
    pop edx
    mov ecx, [esp]
    mov [esp], ebp
    iretd

    // 4 MiB pages: the first one to one, ALIAS to 0 too.
paging32:
    mov dword ptr [TABLES32], 0x83
    mov dword ptr [TABLES32 + (ALIAS >> 22) * 4], 0x83
    mov eax, TABLES32
    mov cr3, eax
    mov eax, cr4
    or eax, 0x10                        // PSE
    mov cr4, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov dword ptr [ALIAS + DATA + 16 * 4], 0x32323232
    mov ebp, offset after_fault_paging32
    mov eax, [ALIAS - 4]                // not present
after_fault_paging32:
    RESULT32 17, edx
    mov eax, cr2
    RESULT32 18, eax
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax

    // PAE: a reserved bit in a PDPTE refuses CR3 while PAE paging is on, and MOV to CR0 before.
    mov dword ptr [TABLES_PAE], TABLES_PAE + 0x1000 + 1
    mov dword ptr [TABLES_PAE + 8], 0x2000 + 1
    mov dword ptr [TABLES_PAE + 12], 0x80000000
    mov dword ptr [TABLES_PAE + 0x1000], 0x83
    mov dword ptr [TABLES_PAE + 0x1000 + (ALIAS >> 21) * 8], 0x83
    mov eax, TABLES_PAE
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov ebp, offset after_reserved_pdpte
    mov eax, cr0
    or eax, 0x80000000
reserved_pdpte:
    mov cr0, eax
after_reserved_pdpte:
    RESULT32 19, ecx
    mov eax, cr0
    RESULT32 20, eax
    mov dword ptr [TABLES_PAE + 12], 0
    mov dword ptr [TABLES_PAE + 8], 0
    or eax, 0x80000000
    mov cr0, eax
    mov dword ptr [ALIAS + DATA + 21 * 4], 0xaeaeaeae
    // A changed PDPTE counts after MOV to CR3, not before, even without cached translations.
    mov eax, TABLES_PAE + 0x1000 + 1
    mov [TABLES_PAE + 8], eax
    mov ebp, offset after_stale_pdpte
    mov eax, [0x40000000 + DATA + 21 * 4]
after_stale_pdpte:
    mov eax, cr2
    RESULT32 22, eax
    mov eax, cr3
    mov cr3, eax
    mov eax, [0x40000000 + DATA + 21 * 4]
    RESULT32 23, eax
    // MOV to CR4 that changes PGE loads them as well (SDM 3A 4.4.1).
    mov dword ptr [TABLES_PAE + 8], 0
    mov eax, cr4
    or eax, 0x80
    mov cr4, eax
    mov ebp, offset after_gone_pdpte
    xor eax, eax
    mov cr2, eax
    mov eax, [0x40000000 + DATA + 21 * 4]
after_gone_pdpte:
    mov eax, cr2
    RESULT32 24, eax
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax

    // Long mode; CS is of 32 bits still: compatibility mode.
    mov eax, PML4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    rdmsr
    RESULT32 25, eax
    mov eax, 0xffffffff
    inc eax                             // a REX prefix in 64-bit code
    RESULT32 26, eax
    FAR_JUMP32 CODE64, long64
    .code64
long64:
    movabs rax, 0x1122334455667788
    mov [DATA + 28 * 4], rax
    mov word ptr [IDT + 0x22 * 16], offset interrupt64
    mov word ptr [IDT + 0x22 * 16 + 2], CODE64
    mov word ptr [IDT + 0x22 * 16 + 4], 0x8e00
    lidt [idt64_pointer]
    mov esp, STACK
    push CODE32
    lea rbx, [rip + compatibility]
    push rbx
    rex.w retf
    .code32
compatibility:
    mov esp, STACK - 4
    int 0x22                            // to 64-bit code and back
after_interrupt64:
    mov [DATA + 32 * 4], esp
    // Back down: paging off in compatibility mode, LME, PAE, then PE.
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, 0xc0000080
    rdmsr
    RESULT32 33, eax
    and eax, ~0x100
    wrmsr
    xor eax, eax
    mov cr4, eax
    FAR_JUMP32 CODE16, protected16_again
    .code64
interrupt64:
    mov rax, [rsp + 24]
    mov [DATA + 30 * 4], rax            // RSP as pushed
    iretq
    .code16
protected16_again:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    .byte 0xea
    .word real_again - CODE_BASE, CODE_BASE >> 4
real_again:
    xor ax, ax
    mov ss, ax
    mov sp, 0x7f0
    lidt cs:[real_idt - CODE_BASE]
    mov ax, DATA >> 4
    mov ds, ax
    mov dword ptr ds:[0], 0
    sti
    int 0x21
after_real_again:
    smsw eax
    mov ds:[34 * 4], eax
    cli
    hlt

    .balign 8
gdt_pointer: .word GDT_LIMIT; .long GDT
idt16_pointer: .word 0x1ff; .long IDT16
idt32_pointer: .word 0x1ff; .long IDT32
idt64_pointer: .word 0x22 * 16 + 15; .quad IDT
real_idt: .word 0x3ff; .long 0
