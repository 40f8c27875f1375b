// VMX instructions in a guest exit at any privilege level: displacement and instruction information
// (SDM 3C 28.2.5, tables 28-13 and 28-14). Outside 64-bit mode's rules VMFUNC and VMCALL differ:
// VMFUNC without its control is #UD.
//
// exit: vmclear GUEST_RIP=at_vmclear EXIT_INSTRUCTION_LENGTH=6 EXIT_QUALIFICATION=0x40 EXIT_INSTRUCTION_INFO=0x020d0101/0x0fffff83
// exit: vmlaunch GUEST_RIP=at_vmlaunch EXIT_INSTRUCTION_LENGTH=3 EXIT_QUALIFICATION=0
// exit: vmptrld GUEST_RIP=at_vmptrld EXIT_QUALIFICATION=0x30000 EXIT_INSTRUCTION_INFO=0x08418100/0x08478380
// exit: vmptrst GUEST_RIP=at_vmptrst EXIT_QUALIFICATION=data EXIT_INSTRUCTION_INFO=0x08400100/0x08400380
// exit: vmread GUEST_RIP=at_vmread EXIT_INSTRUCTION_INFO=0xa0000448/0xf0000478
// exit: vmread GUEST_RIP=at_vmread_memory EXIT_QUALIFICATION=0xfffffffffffffff8 EXIT_INSTRUCTION_INFO=0x31c18100/0xffc78780
// exit: vmresume GUEST_RIP=at_vmresume
// exit: vmwrite GUEST_RIP=at_vmwrite EXIT_INSTRUCTION_INFO=0x10000418/0xf0000478
// exit: vmxoff GUEST_RIP=at_vmxoff EXIT_INSTRUCTION_LENGTH=3
// exit: vmxon GUEST_RIP=at_vmxon EXIT_QUALIFICATION=0 EXIT_INSTRUCTION_INFO=0x01c18100/0x0fc78380
// exit: invept GUEST_RIP=at_invept EXIT_QUALIFICATION=8 EXIT_INSTRUCTION_INFO=0x11c18100/0xffc78380
// exit: invvpid GUEST_RIP=at_invvpid EXIT_QUALIFICATION=0 EXIT_INSTRUCTION_INFO=0x21c18100/0xffc78380
// exit: vmptrst GUEST_RIP=user GUEST_CS_SELECTOR=0x2b
// exit: vmcall GUEST_RIP=user_vmcall GUEST_CS_SELECTOR=0x2b
// event: vector=6 rip=no_function
#include "host.inc"
start:
    call prepare
    RUN
    FINISH
guest:
    mov ebx, 8
at_vmclear:
    vmclear [rsp + rbx * 2 + 0x40]
at_vmlaunch:
    vmlaunch
at_vmptrld:
    .byte 0x0f, 0xc7, 0x34, 0x25            // vmptrld [0x30000]: no base, no index
    .long 0x30000
at_vmptrst:
    vmptrst [rip + data]
at_vmread:
    vmread r9, r10
at_vmread_memory:
    vmread [rbx - 8], rbx
at_vmresume:
    vmresume
at_vmwrite:
    vmwrite rcx, rbx
at_vmxoff:
    vmxoff
at_vmxon:
    vmxon [rbx]
at_invept:
    invept rcx, [rbx + 8]
at_invvpid:
    invvpid rdx, [rbx]
    TRY no_function, vmfunc
    TO_USER user, back
user:
    vmptrst [rsp - 8]
user_vmcall:
    vmcall
    LEAVE_USER
user_end:
back:
    LEAVE
data:
    .quad 0
