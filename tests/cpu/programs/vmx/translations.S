// What the translations of a guest and of its host outlive (SDM 3C 29.4.3): with a VPID they stay
// through entries and exits until INVVPID names it; without VPIDs neither side's do. A page's entry in
// the tables that both share goes to and fro between 0x52000 and 0x53000.
//
// result: 0=0x42 1=0x42 2=0x42 3=0x42 4=0x43 5=0x43 6=0x42 7=0x42 8=0x43 9=0x42 10=0x43 11=0x42
// result: 12=0x42 13=0x42 14=0x43 15=0x42
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
.macro INVALIDATE type, vpid, address=0
    mov qword ptr [POINTER], \vpid
    mov qword ptr [POINTER + 8], \address
    mov eax, \type
    invvpid rax, [POINTER]
    jbe failed
.endm
start:
    call prepare
    mov dword ptr [0x52000], 0x42
    mov dword ptr [0x53000], 0x43
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT + (1 << 5)
    SET_FIELD VPID, 1
    RUN
    POINT_TO 0x53000
    RUN                                     // 1
    INVALIDATE 0, 2, PAGE
    RUN
    INVALIDATE 0, 1, PAGE + 0x1000
    RUN
    INVALIDATE 0, 1, PAGE
    RUN                                     // 4
    POINT_TO 0x52000
    RUN
    INVALIDATE 1, 1
    RUN                                     // 6
    POINT_TO 0x53000
    INVALIDATE 1, 2
    RUN
    INVALIDATE 2, 0
    RUN                                     // 8
    POINT_TO 0x52000
    SET_FIELD VPID, 2
    RUN
    SET_SECONDARY EPT
    POINT_TO 0x53000
    RUN                                     // 10
    POINT_TO 0x52000
    RUN
    // The host's own.
    SET_SECONDARY EPT + (1 << 5)
    invlpg [PAGE]
    mov rax, [PAGE]
    NOTE                                    // 12
    POINT_TO 0x53000
    INVALIDATE 2, 0
    RUN idle
    mov rax, [PAGE]
    NOTE
    invlpg [PAGE]
    mov rax, [PAGE]
    NOTE                                    // 14
    POINT_TO 0x52000
    SET_SECONDARY EPT
    RUN idle
    mov rax, [PAGE]
    NOTE
failed:
    FINISH
guest:
    mov rax, [PAGE]
    NOTE
idle:
    LEAVE
