// An MSR that an exit cannot load, the last of an area of 2^32 - 1 entries that cannot be: a VMX abort
// (SDM 3C 28.7). The processor shuts down, the indicator stands in the VMCS region.
//
// ends: shutdown
// result: 0=1
#include "host.inc"
start:
    call prepare
    SET_FIELD EXIT_MSR_LOAD_COUNT, 0xffffffff
    SET_FIELD EXIT_MSR_LOAD_ADDRESS, MSR_AREA
    mov eax, 1
    RESULT 0, rax
    mov dword ptr [MSR_AREA], 0xc0000082
    RUN
    mov eax, 2
    RESULT 0, rax
    FINISH
guest:
    LEAVE
