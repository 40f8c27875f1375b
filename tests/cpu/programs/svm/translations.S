// What the translations of a guest and of its host outlive (APM 2 15.16): they stay through VMRUN and
// #VMEXIT until TLB_CONTROL, INVLPGA or another ASID. A page's entry in the tables that both share goes
// to and fro between 0x52000 and 0x53000.
//
// result: 0=0x42 1=0x42 2=0x42 3=0x43 4=0x43 5=0x42 6=0x43 7=0x42
// result: 8=0x42 9=0x42 10=0x43 11=0x43 12=0x42
#include "host.inc"
    .set PAGE, 0x52000
    .set NEXT, SPARE                        // index of the next result
.macro POINT_TO frame
    mov dword ptr [PTE(PAGE)], \frame + 7
.endm
.macro NOTE
    mov rbx, [NEXT]
    mov [DATA + rbx * 8], rax
    inc qword ptr [NEXT]
.endm
.macro INVALIDATE asid
    mov eax, PAGE
    mov ecx, \asid
    invlpga rax, ecx
.endm
start:
    call prepare
    mov dword ptr [0x52000], 0x42
    mov dword ptr [0x53000], 0x43
    SET32 VMCB_NESTED_CONTROL, 1
    RUN
    POINT_TO 0x53000
    RUN                                     // 1
    INVALIDATE 2
    RUN
    INVALIDATE 1
    RUN                                     // 3
    POINT_TO 0x52000
    RUN
    mov byte ptr [VMCB_TLB_CONTROL], 3      // this guest's
    RUN                                     // 5
    POINT_TO 0x53000
    mov byte ptr [VMCB_TLB_CONTROL], 1      // everything
    RUN
    mov byte ptr [VMCB_TLB_CONTROL], 0
    POINT_TO 0x52000
    SET32 VMCB_GUEST_ASID, 2
    RUN                                     // 7
    // The host's own.
    invlpg [PAGE]
    mov rax, [PAGE]
    NOTE
    POINT_TO 0x53000
    mov byte ptr [VMCB_TLB_CONTROL], 3
    INVALIDATE 2
    RUN idle
    mov rax, [PAGE]
    NOTE                                    // 9
    INVALIDATE 0
    mov rax, [PAGE]
    NOTE
    POINT_TO 0x52000
    RUN idle
    mov rax, [PAGE]
    NOTE                                    // 11
    mov byte ptr [VMCB_TLB_CONTROL], 1
    RUN idle
    mov rax, [PAGE]
    NOTE
    FINISH
guest:
    mov rax, [PAGE]
    NOTE
idle:
    LEAVE
