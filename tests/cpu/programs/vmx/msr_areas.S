// MSR areas (SDM 3C 27.4, 28.4, 28.6): what an entry's may not load ends it with exit reason 34, whose
// qualification counts from 1; a long area is followed as far as its first entry that fails.
//
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=1 at=fs_base
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=2 at=x2apic
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=1 at=smm_monitor
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=1 at=reserved_half
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=1 at=bad_value
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=3 at=whole_memory
// exit: entry_failure_msr_loading EXIT_QUALIFICATION=1 at=outside
// exit: cpuid GUEST_RIP=guest
// result: 0=0x1234 1=0x5678 2=0x9abc
#include "host.inc"
.macro MSR_ENTRY index, number, value=0
    mov dword ptr [MSR_AREA + \index * 16], \number
    mov dword ptr [MSR_AREA + \index * 16 + 4], 0
    movabs rax, offset \value
    mov [MSR_AREA + \index * 16 + 8], rax
.endm
start:
    call prepare
    SET_PRIMARY 1 << 28
    SET_FIELD ENTRY_MSR_LOAD_ADDRESS, MSR_AREA
    SET_FIELD ENTRY_MSR_LOAD_COUNT, 1
    MSR_ENTRY 0, 0xc0000100
    ENTER fs_base
    SET_FIELD ENTRY_MSR_LOAD_COUNT, 2
    MSR_ENTRY 0, 0xc0000082, 0x1234
    MSR_ENTRY 1, 0x80b
    ENTER x2apic
    SET_FIELD ENTRY_MSR_LOAD_COUNT, 1
    MSR_ENTRY 0, 0x9b
    ENTER smm_monitor
    MSR_ENTRY 0, 0xc0000082, 0x1234
    mov dword ptr [MSR_AREA + 4], 1
    ENTER reserved_half
    MSR_ENTRY 0, 0xc0000082, 0x800000000000
    ENTER bad_value
    // 2^32 - 1 entries: the third names no MSR.
    MSR_ENTRY 0, 0xc0000082, 0x1234
    MSR_ENTRY 1, 0xc0000082, 0x1234
    MSR_ENTRY 2, 0x12345
    SET_FIELD ENTRY_MSR_LOAD_COUNT, 0xffffffff
    ENTER whole_memory
    BREAK ENTRY_MSR_LOAD_ADDRESS, 0x3ff000000000
    ENTER outside
    // Loaded by the entry, stored and loaded by the exit.
    SET_FIELD ENTRY_MSR_LOAD_COUNT, 2
    SET_FIELD EXIT_MSR_STORE_COUNT, 1
    SET_FIELD EXIT_MSR_STORE_ADDRESS, MSR_AREA + 0x100
    MSR_ENTRY 16, 0xc0000082
    SET_FIELD EXIT_MSR_LOAD_COUNT, 1
    SET_FIELD EXIT_MSR_LOAD_ADDRESS, MSR_AREA + 0x200
    MSR_ENTRY 32, 0xc0000082, 0x9abc
    RUN
    mov rax, [MSR_AREA + 0x108]
    RESULT 1, rax
    mov ecx, 0xc0000082
    rdmsr
    RESULT 2, rax
    FINISH
guest:
    cpuid
    mov ecx, 0xc0000082
    rdmsr
    RESULT 0, rax
    WRITE_MSR 0xc0000082, 0x5678
    LEAVE
