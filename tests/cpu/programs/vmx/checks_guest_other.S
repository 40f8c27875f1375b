// Guest state that is no register, and the PDPTEs, that an entry refuses; the qualification tells
// PDPTEs, NMI injection and the link pointer (SDM 3C 27.3.1.5, 27.3.1.6, 27.8).
//
// exit: entry_failure_guest_state rule=391 at=activity EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=402 at=hlt_at_level_3 EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=403 at=hlt_in_shadow EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=404 at=hlt_and_fault EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=404 at=shutdown_and_interrupt EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=404 at=sipi_and_nmi EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=392 at=blocking_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=392 at=blocking_by_smi EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=393 at=both_shadows EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=394 at=sti_without_if EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=395 at=interrupt_in_shadow EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=396 at=nmi_in_shadow EXIT_QUALIFICATION=3
// exit: entry_failure_guest_state rule=399 at=virtual_nmi_blocked EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=397 at=link_misaligned EXIT_QUALIFICATION=4
// exit: entry_failure_guest_state rule=397 at=link_no_vmcs EXIT_QUALIFICATION=4
// exit: entry_failure_guest_state rule=397 at=link_outside EXIT_QUALIFICATION=4
// exit: entry_failure_guest_state rule=398 at=pending_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=405 at=pending_step EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=406 at=pending_rtm EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=401 at=pdpte_reserved EXIT_QUALIFICATION=2
// exit: entry_failure_guest_state rule=401 at=pdpte_width EXIT_QUALIFICATION=2
// exit: entry_failure_guest_state rule=401 at=pdpte_in_memory EXIT_QUALIFICATION=2
#include "host.inc"
start:
    call prepare
    BREAK GUEST_ACTIVITY, 4
    ENTER activity
    BREAK GUEST_CS_SELECTOR, USER_CODE64 + 3
    BREAK GUEST_SS_SELECTOR, USER_DATA + 3
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xa0fb
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc0f3
    BREAK GUEST_ACTIVITY, 1
    ENTER hlt_at_level_3
    BREAK GUEST_RFLAGS, 0x202
    BREAK GUEST_INTERRUPTIBILITY, 1
    BREAK GUEST_ACTIVITY, 1
    ENTER hlt_in_shadow
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000306
    BREAK GUEST_ACTIVITY, 1
    ENTER hlt_and_fault
    BREAK GUEST_RFLAGS, 0x202
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000030
    BREAK GUEST_ACTIVITY, 2
    ENTER shutdown_and_interrupt
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000202
    BREAK GUEST_ACTIVITY, 3
    ENTER sipi_and_nmi
    BREAK GUEST_INTERRUPTIBILITY, 0x20
    ENTER blocking_reserved
    BREAK GUEST_INTERRUPTIBILITY, 4
    ENTER blocking_by_smi
    BREAK GUEST_RFLAGS, 0x202
    BREAK GUEST_INTERRUPTIBILITY, 3
    ENTER both_shadows
    BREAK GUEST_INTERRUPTIBILITY, 1
    ENTER sti_without_if
    BREAK GUEST_RFLAGS, 0x202
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000030
    BREAK GUEST_INTERRUPTIBILITY, 2
    ENTER interrupt_in_shadow
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000202
    BREAK GUEST_INTERRUPTIBILITY, 2
    ENTER nmi_in_shadow
    BREAK PIN_BASED_CONTROLS, 0x3e
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000202
    BREAK GUEST_INTERRUPTIBILITY, 8
    ENTER virtual_nmi_blocked
    BREAK VMCS_LINK_POINTER, 0x123
    ENTER link_misaligned
    BREAK VMCS_LINK_POINTER, SPARE
    ENTER link_no_vmcs
    BREAK VMCS_LINK_POINTER, 0x3ffffffff000
    ENTER link_outside
    BREAK GUEST_PENDING_DEBUG, 0x10
    ENTER pending_reserved
    BREAK GUEST_INTERRUPTIBILITY, 2
    BREAK GUEST_PENDING_DEBUG, 0x4000
    ENTER pending_step
    BREAK GUEST_PENDING_DEBUG, 0x10001
    ENTER pending_rtm
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK ENTRY_CONTROLS, 0x91ff
    BREAK GUEST_EFER, 0
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc09b
    BREAK GUEST_PDPTE2, 0x30003
    ENTER pdpte_reserved
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK ENTRY_CONTROLS, 0x91ff
    BREAK GUEST_EFER, 0
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc09b
    BREAK GUEST_PDPTE0, (1 << 46) + 1
    ENTER pdpte_width
    BREAK ENTRY_CONTROLS, 0x91ff
    BREAK GUEST_EFER, 0
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc09b
    BREAK GUEST_CR3, PML4
    ENTER pdpte_in_memory
    RUN                                     // mended
    FINISH
guest:
    LEAVE
