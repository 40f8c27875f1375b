// Operands of 16 bytes that must be aligned are #GP(0) where they are not (SDM 2A 2.4); #AC(0) comes
// at CPL 3 with CR0.AM and RFLAGS.AC alone (SDM 3A 6.15 "interrupt 17").
//
// event: vector=13 error=0 rip=movaps_load
// event: vector=13 error=0 rip=movaps_store
// event: vector=13 error=0 rip=movdqa
// event: vector=13 error=0 rip=across_pages
// event: vector=13 error=0 rip=packed_add
// event: vector=13 error=0 rip=three_bytes
// event: vector=13 error=0 rip=align_right
// event: vector=13 error=0 rip=non_temporal
// event: vector=13 error=0 rip=move_high_and_low
// event: vector=14 error=0 rip=absent cr2=0x200000
// event: vector=17 error=0 rip=word
// event: vector=17 error=0 rip=dword
// event: vector=17 error=0 rip=qword
// event: vector=17 error=0 rip=store
// event: vector=17 error=0 rip=locked
// event: vector=17 error=0 rip=exchange
// event: vector=17 error=0 rip=string
// event: vector=17 error=0 rip=pushed
// event: vector=17 error=0 rip=popped
// event: vector=13 error=0 rip=user_movaps
// result: 0=0x0706050403020100 1=0x0f0e0d0c0b0a0908 2=0x0807060504030201
#include "../machine.inc"
    .set OPERAND, PAGES + 0x100
start:
    mov ebx, OPERAND
    xor ecx, ecx
1:  mov [rbx + rcx], cl
    inc ecx
    cmp ecx, 32
    jb 1b
    movaps xmm0, [rbx]
    movaps [DATA], xmm0
    movups xmm1, [rbx + 1]
    movq rax, xmm1
    RESULT 2, rax
    movupd xmm1, [rbx + 1]
    movdqu xmm1, [rbx + 1]
    lddqu xmm1, [rbx + 1]
    movups [rbx + 0x101], xmm1
    pcmpistri xmm1, [rbx + 1], 0
    movq xmm2, [rbx + 1]
    movhps xmm2, [rbx + 1]
    movsd xmm2, [rbx + 1]
    addsd xmm2, [rbx + 1]
    cvtps2pd xmm2, [rbx + 1]
    pmovzxbw xmm2, [rbx + 1]
    paddb mm0, [rbx + 1]
    emms
    // Addresses that the fast path of the page knows.
    mov rax, [rbx + 8]
    TRY movaps_load, movaps xmm0, [rbx + 8]
    TRY movaps_store, movaps [rbx + 1], xmm0
    TRY movdqa, movdqa xmm0, [rbx + 4]
    TRY across_pages, movapd xmm0, [PAGES + 0xff8]
    TRY packed_add, addps xmm0, [rbx + 8]
    TRY three_bytes, pshufb xmm0, [rbx + 8]
    TRY align_right, palignr xmm0, [rbx + 8], 3
    TRY non_temporal, movntdq [rbx + 8], xmm0
    TRY move_high_and_low, movshdup xmm0, [rbx + 8]
    TRY absent, movaps xmm0, [0x200000]
    // At CPL 0 nothing else asks.
    mov rax, cr0
    or eax, 1 << 18
    mov cr0, rax
    pushfq
    or dword ptr [rsp], 1 << 18
    popfq
    mov eax, [rbx + 1]
    TO_USER user, supervisor, 0x40202
user:
    mov ax, [rbx + 2]
    mov eax, [rbx + 4]
    mov rax, [rbx + 8]
    movups xmm0, [rbx + 8]
    mov al, [rbx + 1]
    lock inc dword ptr [rbx + 4]
    TRY word, mov ax, [rbx + 1]
    TRY dword, add eax, [rbx + 2]
    TRY qword, mov rax, [rbx + 4]
    TRY store, mov [rbx + 3], eax
    TRY locked, lock inc dword ptr [rbx + 1]
    TRY exchange, xchg [rbx + 1], ax
    lea rsi, [rbx + 1]
    TRY string, lodsd
    add rsp, 4
    TRY pushed, push rax
    TRY popped, pop rax
    sub rsp, 4
    TRY user_movaps, movaps xmm0, [rbx + 8]
    pushfq                                  // without AC, and without CR0.AM, none
    and dword ptr [rsp], ~(1 << 18)
    popfq
    mov eax, [rbx + 1]
    LEAVE_USER
supervisor:
    mov rax, cr0
    and eax, ~(1 << 18)
    mov cr0, rax
    TO_USER user_without_mask, end, 0x40202
user_without_mask:
    mov eax, [rbx + 1]
    mov [PAGES + 0xffe], eax
    lock inc dword ptr [rbx + 1]
    LEAVE_USER
end:
    FINISH
