// Extended page tables (SDM 3C 29.3.3, table 28-7): violations of read, write, fetch and of the
// guest's own page walk, misconfigurations, a full page-modification log, EPTP switching, tables that
// name themselves, lie outside of memory or in device space.
//
// exit: ept_violation GUEST_RIP=read_absent EXIT_QUALIFICATION=0x181/0x1ff GUEST_PHYSICAL_ADDRESS=0x42010 GUEST_LINEAR_ADDRESS=0x42010
// exit: ept_violation GUEST_RIP=write_protected EXIT_QUALIFICATION=0x18a/0x1bf GUEST_PHYSICAL_ADDRESS=0x43018 GUEST_LINEAR_ADDRESS=0x43018
// exit: ept_violation GUEST_RIP=0x44000 EXIT_QUALIFICATION=0x19c/0x1bf GUEST_PHYSICAL_ADDRESS=0x44000
// exit: ept_violation GUEST_RIP=walk EXIT_QUALIFICATION=0x081/0x1bf GUEST_PHYSICAL_ADDRESS=0x47000 GUEST_LINEAR_ADDRESS=0x200000
// exit: ept_misconfiguration GUEST_RIP=write_only GUEST_PHYSICAL_ADDRESS=0x46000
// exit: ept_misconfiguration GUEST_RIP=reserved_type GUEST_PHYSICAL_ADDRESS=0x46000
// exit: ept_misconfiguration GUEST_RIP=too_wide GUEST_PHYSICAL_ADDRESS=0x46000
// exit: page_modification_log_full GUEST_RIP=third_page PML_INDEX=0xffff
// exit: vmfunc GUEST_RIP=bad_leaf EXIT_INSTRUCTION_LENGTH=3 RAX=1
// exit: vmfunc GUEST_RIP=bad_index RCX=512
// exit: vmfunc GUEST_RIP=bad_pointer RCX=2
// exit: ept_violation GUEST_RIP=loop_guest EXIT_QUALIFICATION=0x81/0x81
// exit: ept_violation GUEST_RIP=loop_guest
// exit: ept_misconfiguration GUEST_RIP=loop_guest
// exit: ept_misconfiguration GUEST_RIP=loop_guest
// event: vector=6 rip=no_function
// result: 0=0x50000 1=0x51000 2=EPT_PML4_SWITCHED
#include "host.inc"
    .globl EPT_PML4_SWITCHED
    .set EPT_PML4_SWITCHED, SPARE + 0x301e
    .set EPTP_LIST, SPARE
    .set PML, SPARE + 0x1000
.macro ENTRY page, value:vararg
    movabs rax, offset \value
    mov [EPT_PT + ((\page) >> 12) * 8], rax
.endm
start:
    call prepare
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT
    ENTRY 0x42000, 0
    ENTRY 0x43000, 0x43031
    ENTRY 0x44000, 0x44033
    // The page table entry of 0x45000 comes from a table that EPT does not have.
    mov dword ptr [0x44800], 0xc3           // for the fetch, once it is allowed
    RUN
    ENTRY 0x47000, 0
    mov dword ptr [PD + 8], 0x47007
    RUN walking
    mov dword ptr [PD + 8], 0
    ENTRY 0x46000, 0x46032                  // write without read
    RUN write_only_guest
    ENTRY 0x46000, 0x46017                  // memory type 2
    RUN reserved_type_guest
    ENTRY 0x46000, 0x0000400000046037
    RUN too_wide_guest
    // A log of two entries. Pages that are dirty already are not logged.
    ENTRY 0x46000, 0x46037
    mov edi, EPT_PT
1:  or dword ptr [rdi], 0x300
    add edi, 8
    cmp edi, EPT_PT + 0x1000
    jb 1b
    or dword ptr [EPT_PD_HIGH + 0x1f7 * 8], 0x300
    and dword ptr [EPT_PT + 0x50 * 8], ~0x200
    and dword ptr [EPT_PT + 0x51 * 8], ~0x200
    and dword ptr [EPT_PT + 0x52 * 8], ~0x200
    SET_SECONDARY EPT + (1 << 17)
    SET_FIELD EPT_POINTER, EPT_PML4 + 0x5e  // with accessed and dirty flags
    SET_FIELD PML_ADDRESS, PML
    SET_FIELD PML_INDEX, 1
    lea rax, [rip + empty_log]
    mov [ON_EXIT], rax
    RUN logged
    mov qword ptr [ON_EXIT], 0
    mov rax, [PML + 8]
    RESULT 0, rax
    mov rax, [PML]
    RESULT 1, rax
    // EPTP switching.
    SET_FIELD EPT_POINTER, EPT_PML4 + 0x1e
    SET_SECONDARY EPT + (1 << 13)
    SET_FIELD VM_FUNCTION_CONTROLS, 1
    SET_FIELD EPTP_LIST_ADDRESS, EPTP_LIST
    mov dword ptr [EPTP_LIST], EPT_PML4 + 0x1e
    mov dword ptr [EPTP_LIST + 8], EPT_PML4_SWITCHED
    mov dword ptr [EPTP_LIST + 16], 3
    mov dword ptr [EPT_PML4_SWITCHED - 0x1e], EPT_PDPT + 7
    RUN switching
    GET_FIELD EPT_POINTER
    RESULT 2, rax
    // Tables that end nowhere.
    SET_SECONDARY EPT
    mov dword ptr [SPARE + 0x2000], 0
    SET_FIELD EPT_POINTER, SPARE + 0x201e
    call run_nowhere
    mov dword ptr [SPARE + 0x2000], SPARE + 0x2007   // each level is the same table
    SET_FIELD EPT_POINTER, SPARE + 0x201e
    call run_nowhere
    movabs rax, 0x3ffffffff01e              // all ones are read there
    SET_FIELD_RAX EPT_POINTER
    call run_nowhere
    SET_FIELD EPT_POINTER, DEVICE + 0x1e
    call run_nowhere
    FINISH
empty_log:
    SET_FIELD PML_INDEX, 1
    ret
// The exit leaves the guest where it is: one exit, then the host's own tables.
run_nowhere:
    lea rax, [rip + mend_tables]
    mov [ON_EXIT], rax
    RUN loop_guest
    ret
mend_tables:
    SET_FIELD EPT_POINTER, EPT_PML4 + 0x1e
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
write_only_guest:
    EXITS_AT write_only, mov eax, [0x46000]
    LEAVE
reserved_type_guest:
    EXITS_AT reserved_type, mov eax, [0x46000]
    LEAVE
too_wide_guest:
    EXITS_AT too_wide, mov eax, [0x46000]
    LEAVE
logged:
    mov [0x50000], eax
    mov [0x51008], eax
    EXITS_AT third_page, mov [0x52000], eax
    LEAVE
switching:
    mov eax, 1
bad_leaf:
    vmfunc
    xor eax, eax
    mov ecx, 512
bad_index:
    vmfunc
    mov ecx, 2
bad_pointer:
    vmfunc
    mov eax, 64
    TRY no_function, vmfunc
    xor eax, eax
    mov ecx, 1
    vmfunc
    LEAVE
loop_guest:
    LEAVE
