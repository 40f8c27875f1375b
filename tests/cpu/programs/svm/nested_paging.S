// Nested page faults (APM 2 15.25.6): EXITINFO1 as the error code, with bit 32 for the final address
// and bit 33 for the guest's own tables; tables outside of memory, in device space, or in a loop.
//
// exit: NPF RIP=read_absent EXITINFO1=0x100000004 EXITINFO2=0x42010
// exit: NPF RIP=write_protected EXITINFO1=0x100000007 EXITINFO2=0x43018
// exit: NPF RIP=0x44000 EXITINFO1=0x100000015 EXITINFO2=0x44000
// exit: NPF RIP=walk EXITINFO1=0x200000006/0x200000006 EXITINFO2=0x47000
// exit: NPF RIP=reserved EXITINFO1=0x10000000d EXITINFO2=0x46000
// exit: NPF RIP=nowhere EXITINFO1=0x200000004/0x200000004
// exit: NPF RIP=nowhere
// exit: NPF RIP=nowhere
// exit: NPF RIP=nowhere
// result: 0=1
#include "host.inc"
.macro ENTRY page, value:vararg
    movabs rax, offset \value
    mov [NPT_PT + ((\page) >> 12) * 8], rax
.endm
start:
    call prepare
    SET32 VMCB_NESTED_CONTROL, 1
    ENTRY 0x42000, 0
    ENTRY 0x43000, 0x43005
    ENTRY 0x44000, 0x8000000000044007
    RUN
    ENTRY 0x47000, 0
    mov dword ptr [PD + 8], 0x47007
    SET32 VMCB_TLB_CONTROL, 1
    RUN walking
    mov dword ptr [PD + 8], 0
    ENTRY 0x46000, 0x0008000000046007       // beyond the physical-address width
    RUN reserved_guest
    lea rax, [rip + mend_tables]
    mov [ON_EXIT], rax
    SET VMCB_N_CR3, SPARE + 0x2000          // empty
    RUN nowhere
    mov dword ptr [SPARE + 0x2000], SPARE + 0x2007
    SET VMCB_N_CR3, SPARE + 0x2000          // each level is the same table
    RUN nowhere
    SET VMCB_N_CR3, 0xfffffffff000          // no memory there
    RUN nowhere
    SET VMCB_N_CR3, DEVICE
    RUN nowhere
    mov eax, 1
    RESULT 0, rax
    FINISH
mend_tables:
    SET VMCB_N_CR3, NPT_PML4
    ret
guest:
    EXITS_AT read_absent, mov rax, [0x42010]
    EXITS_AT write_protected, mov [0x43018], eax
    lea r15, [rip + 1f]
    mov eax, 0x44000
    jmp rax
1:  LEAVE
walking:
    EXITS_AT walk, mov eax, [0x200000]
    LEAVE
reserved_guest:
    EXITS_AT reserved, mov eax, [0x46000]
    LEAVE
nowhere:
    LEAVE
