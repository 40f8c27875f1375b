// A kernel without an operating system, in a virtual machine with two processors, by multiboot: uses
// ports, device memory, APICs, a message connection, a synthetic timer and routes to SINTs; says how
// far it came, and ends by the debug-exit port: 42, or 100 + the number of the check that failed.
    .intel_syntax noprefix

#define SIMP 0x201000
#define SIEFP 0x202000
#define HYPERCALL_PAGE 0x200000
#define INPUT 0x203000
#define IDT 0x204000
#define STACK 0x210000
#define TRAMPOLINE 0x8000
#define STARTED 0x9000
#define NOWHERE 0xd0000000
#define DEVICE_MEMORY 0xff000000
#define LOCAL_APIC 0xfee00000
#define IO_APIC 0xfec00000
#define CODE 0x08
#define DATA 0x10
#define CONNECTION 0x10
#define CREATE_ROUTE 1
#define RAISE 3
#define CREATE_MESSAGE_CONNECTION 4
#define MSR_GUEST_OS_ID 0x40000000
#define MSR_HYPERCALL 0x40000001
#define MSR_TIME 0x40000020
#define MSR_SCONTROL 0x40000080
#define MSR_SIEFP 0x40000082
#define MSR_SIMP 0x40000083
#define MSR_SINT 0x40000090
#define MSR_TIMER_CONFIG 0x400000b0
#define MSR_TIMER_COUNT 0x400000b1

.macro SAY text
    call say
    .asciz "child: \text\n"
.endm
.macro MUST condition
    j\condition 90f
    mov eax, \@ + 100
    jmp exit
90:
.endm
.macro SET_MSR index, low
    mov ecx, \index
    mov eax, \low
    xor edx, edx
    wrmsr
.endm
.macro SET_GATE vector, handler
    mov ecx, \vector
    mov eax, offset \handler
    call set_gate
.endm
// Until the counter of a handler has a value.
.macro AWAIT counter, value
91: cli
    cmp dword ptr [\counter], \value
    jae 92f
    sti
    hlt
    jmp 91b
92: sti
.endm
.macro ASK command, sint, connection=0
    mov eax, \connection << 24 | \command << 16 | \sint
    mov edx, 0x3000
    out dx, eax
.endm

    .text
    .code32
    .align 4
    .long 0x1badb002, 0, -0x1badb002
    .globl start
start:
    mov esp, STACK
    cmp eax, 0x2badb002
    MUST e
    test dword ptr [ebx], 0x40              // a memory map
    MUST nz
    lgdt [gdt_pointer]
    push CODE
    push offset segments
    retf
segments:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    SAY "started"
    SET_GATE 0x50, on_message
    SET_GATE 0x51, on_timer
    SET_GATE 0x52, on_route
    SET_GATE 0x53, on_line
    lidt [idt_pointer]

// Ports and addresses with and without a device.
    mov edx, 0x1234
    in eax, dx
    cmp eax, -1
    MUST e
    out dx, eax
    in ax, dx
    cmp ax, -1
    MUST e
    mov eax, [NOWHERE]
    cmp eax, -1
    MUST e
    mov dword ptr [NOWHERE + 4], 5
    movzx eax, byte ptr [NOWHERE + 4]
    cmp eax, 0xff
    MUST e
    mov dword ptr [DEVICE_MEMORY + 0x1008], 0x12345678
    cmp word ptr [DEVICE_MEMORY + 0x100a], 0x1234
    MUST e
    mov edx, 0x510
    mov eax, 5                              // number of processors
    out dx, ax
    inc edx
    in al, dx
    cmp al, 2
    MUST e
    SAY "devices"

// An interrupt line, through the I/O APIC.
    mov dword ptr [LOCAL_APIC + 0xf0], 0x1ff
    mov dword ptr [IO_APIC], 0x1b
    mov dword ptr [IO_APIC + 0x10], 0
    mov dword ptr [IO_APIC], 0x1a
    mov dword ptr [IO_APIC + 0x10], 0x53
    mov edx, 0x2005
    mov al, 1
    out dx, al
    AWAIT lines, 1
    SAY "line"

// The hypervisor, and a message that comes back.
    mov eax, 0x40000001
    cpuid
    cmp eax, 0x31237648                     // "Hv#1"
    MUST e
    SET_MSR MSR_GUEST_OS_ID, 1
    SET_MSR MSR_HYPERCALL, HYPERCALL_PAGE | 1
    SET_MSR MSR_SIMP, SIMP | 1
    SET_MSR MSR_SIEFP, SIEFP | 1
    SET_MSR MSR_SCONTROL, 1
    SET_MSR MSR_SINT + 2, 0x50
    SET_MSR MSR_SINT + 3, 0x20051           // auto-EOI
    SET_MSR MSR_SINT + 4, 0x52
    ASK CREATE_MESSAGE_CONNECTION, 2, CONNECTION
    mov edi, INPUT
    mov dword ptr [edi], CONNECTION
    mov dword ptr [edi + 8], 0x1234         // type
    mov dword ptr [edi + 12], 8             // size
    mov dword ptr [edi + 16], 0x11223344
    mov dword ptr [edi + 20], 0x55667788
    mov eax, 0x5c                           // HvCallPostMessage
    xor edx, edx
    xor ebx, ebx
    mov ecx, INPUT
    xor esi, esi
    xor edi, edi
    mov ebp, HYPERCALL_PAGE
    call ebp
    test ax, ax
    MUST z
    AWAIT messages, 1
    mov edi, SIMP + 2 * 256
    cmp dword ptr [edi], 0x1234
    MUST e
    cmp byte ptr [edi + 4], 8
    MUST e
    cmp dword ptr [edi + 20], 0x55667788
    MUST e
    mov dword ptr [edi], 0
    SAY "message"

// A timer, once, in a millisecond.
    mov ecx, MSR_TIME
    rdmsr
    add eax, 10000
    adc edx, 0
    mov esi, eax
    mov ecx, MSR_TIMER_COUNT
    wrmsr
    SET_MSR MSR_TIMER_CONFIG, 3 << 16 | 1   // SINT 3, enabled
    AWAIT timers, 1
    mov edi, SIMP + 3 * 256
    cmp dword ptr [edi], 0x80000010
    MUST e
    cmp byte ptr [edi + 4], 24
    MUST e
    cmp dword ptr [edi + 24], esi           // expiration time
    MUST e
    cmp dword ptr [edi + 32], esi           // delivery time
    MUST ae
    mov dword ptr [edi], 0
    SAY "timer"

// Each call of a route is one interrupt.
    ASK CREATE_ROUTE, 4
    ASK RAISE, 4
    AWAIT routed, 1
    ASK RAISE, 4
    AWAIT routed, 2
    ASK RAISE, 5                            // there is no such route
    SAY "route"

// The second processor, from real mode.
    mov esi, offset trampoline
    mov edi, TRAMPOLINE
    mov ecx, offset trampoline_end - trampoline
    cld
    rep movsb
    mov dword ptr [STARTED], 0
    mov dword ptr [LOCAL_APIC + 0x310], 1 << 24
    mov dword ptr [LOCAL_APIC + 0x300], 0x4500
    mov dword ptr [LOCAL_APIC + 0x300], 0x4600 | TRAMPOLINE >> 12
1:  pause
    cmp dword ptr [STARTED], 1
    jne 1b
    SAY "second processor"
    mov eax, 42
exit:
    mov edx, 0xf4
    out dx, eax
2:  hlt
    jmp 2b

on_message:
    inc dword ptr [messages]
    jmp end_interrupt
on_route:
    inc dword ptr [routed]
    jmp end_interrupt
on_line:
    inc dword ptr [lines]
end_interrupt:
    mov dword ptr [LOCAL_APIC + 0xb0], 0
    iret
on_timer:
    inc dword ptr [timers]
    iret

set_gate:
    lea edi, [IDT + ecx * 8]
    mov [edi], ax
    mov word ptr [edi + 2], CODE
    mov word ptr [edi + 4], 0x8e00
    shr eax, 16
    mov [edi + 6], ax
    ret

say:
    pop esi
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  push esi
    ret

    .code16
trampoline:
    xor ax, ax
    mov ds, ax
    inc word ptr [STARTED]
    cli
1:  hlt
    jmp 1b
trampoline_end:

    .align 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
idt_pointer:
    .word 0x7ff
    .long IDT
messages: .long 0
timers: .long 0
routed: .long 0
lines: .long 0
