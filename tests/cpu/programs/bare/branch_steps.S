// IA32_DEBUGCTL.BTF makes TF trap taken branches alone, and is off in the handler (SDM 3B 18.4.3).
// A single step over an instruction that the processor does in parts stops behind each.
//
// result: 0=0 1=7 15=9
// result: 16=target 17=0xffff4ff0
// result: 19=after_second 20=0xffff4ff0
// result: 22=after_third 23=0xffff4ff0
// result: 25=after_push 26=0xffff4ff0
// result: 28=after_popf 29=0xffff4ff0
// result: 31=at_outs 32=0xffff4ff0
// result: 34=after_outs 35=0xffff4ff0
// result: 37=after_second_push 38=0xffff4ff0
// result: 40=after_second_popf 41=0xffff4ff0
#include "../machine.inc"
#include "../debug_handler.inc"
start:
    NOTE_DEBUG_EXCEPTIONS
    WRITE_MSR 0x1d9, 2
    xor ebx, ebx
    pushfq
    or qword ptr [rsp], 0x100
    popfq
    inc ebx
    cpuid
    xor ebx, ebx
    mov ebx, 7
    test ebx, ebx
    jz 1f
    jmp target
    nop
1:  nop
target:
    mov ecx, 0x1d9                          // BTF is off: each instruction traps
after_second:
    nop
after_third:
    push 2
after_push:
    popfq
after_popf:
    mov esi, PAGES
    mov edx, 0x80
    mov ecx, 2
    pushfq
    or qword ptr [rsp], 0x100
    popfq
at_outs:
    rep outsb
after_outs:
    push 2
after_second_push:
    popfq
after_second_popf:
    mov ecx, 0x1d9
    rdmsr
    RESULT 0, rax
    RESULT 1, rbx
    FINISH
