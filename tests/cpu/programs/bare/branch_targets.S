// Near branches to addresses that are not canonical fault before they do anything (SDM 2A CALL, JMP,
// RET). A block of code that reaches into the next page, run before, finds that page gone: only the
// instruction that reaches over faults.
//
// event: vector=13 error=0 rip=jump_register
// event: vector=13 error=0 rip=jump_memory
// event: vector=13 error=0 rip=call_register
// event: vector=13 error=0 rip=return_
// event: vector=13 error=0 rip=return_and_release
// event: vector=14 error=0x10 rip=0x30ffe cr2=0x31000
// event: vector=13 error=0 rip=null_stack_segment
// result: 0=0 1=0 2=0 3=0 4=4 5=0
#include "../machine.inc"
    .set PAGE, PAGES + 0x1000
.macro STACK_CHANGE index
    mov rax, rsp
    sub rax, STACK
    RESULT \index, rax
.endm
start:
    movabs rbx, 0x800000000000
    mov [PAGES], rbx
    TRY jump_register, jmp rbx
    TRY jump_memory, jmp [PAGES]
    STACK_CHANGE 0
    TRY call_register, call rbx
    STACK_CHANGE 1
    push rbx
    TRY return_, ret
    pop rax
    STACK_CHANGE 2
    push rbx
    TRY return_and_release, ret 16
    pop rax
    STACK_CHANGE 3
    lea rsi, [rip + crossing]
    mov edi, PAGE - 6
    mov ecx, crossing_end - crossing
    rep movsb
    xor ebx, ebx
    mov ebp, PAGE - 6
    call rbp
    btr qword ptr [PTE(PAGE)], 0
    invlpg [PAGE]
    lea r15, [rip + 1f]
    call rbp
1:  RESULT 4, rbx
    mov rsp, STACK
    mov eax, 3
    TRY null_stack_segment, mov ss, eax
    xor eax, eax
    mov ss, eax
    RESULT 5, rax
    FINISH
crossing:
    inc ebx
    inc ebx
    mov eax, 0x12345678
    ret
crossing_end:
