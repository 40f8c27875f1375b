// Guest control registers, debug registers, MSRs, descriptor tables, RIP and RFLAGS that an entry
// refuses: exit reason 33 with bit 31 (SDM 3C 27.3.1.1, 27.3.1.3, 27.3.1.4).
//
// exit: entry_failure_guest_state rule=301 at=cr0_fixed EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=301 at=cr0_restricted EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=302 at=cr0_pg_alone EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=303 at=cr4_fixed EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=303 at=cr4_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=304 at=ia32e_unpaged EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=305 at=ia32e_no_pae EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=307 at=cr3_width EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=308 at=dr7_high EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=309 at=sysenter_esp EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=310 at=sysenter_eip EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=315 at=debugctl EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=311 at=pat_type EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=312 at=efer_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=313 at=efer_lma EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=314 at=efer_lme EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=371 at=gdtr_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=372 at=idtr_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=373 at=gdtr_limit EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=374 at=idtr_limit EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=381 at=rip_canonical EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=381 at=rip_compatibility EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=382 at=rflags_bit_1 EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=382 at=rflags_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=383 at=rflags_vm EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=384 at=rflags_if EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=306 at=pcide_outside EXIT_QUALIFICATION=0
#include "host.inc"
start:
    call prepare
    BREAK GUEST_CR0, 0x80000011
    ENTER cr0_fixed
    BREAK GUEST_CR0, 0x21
    ENTER cr0_restricted
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, (1 << 7) + 2
    BREAK GUEST_CR0, 0x80000020
    ENTER cr0_pg_alone
    BREAK GUEST_CR4, 0x20
    ENTER cr4_fixed
    BREAK GUEST_CR4, 0x8000000002020
    ENTER cr4_reserved
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, (1 << 7) + 2
    BREAK GUEST_CR0, 0x21
    ENTER ia32e_unpaged
    BREAK GUEST_CR4, 0x2000
    ENTER ia32e_no_pae
    BREAK GUEST_CR3, 1 << 46
    ENTER cr3_width
    BREAK ENTRY_CONTROLS, 0x93ff
    BREAK GUEST_DR7, 1 << 32
    ENTER dr7_high
    BREAK GUEST_SYSENTER_ESP, 0x800000000000
    ENTER sysenter_esp
    BREAK GUEST_SYSENTER_EIP, 0x800000000000
    ENTER sysenter_eip
    BREAK ENTRY_CONTROLS, 0x000093ff
    BREAK GUEST_DEBUGCTL, 0x20
    ENTER debugctl
    BREAK ENTRY_CONTROLS, 0x0000d3ff
    BREAK GUEST_PAT, 0x200
    ENTER pat_type
    BREAK GUEST_EFER, 0x1d01
    ENTER efer_reserved
    BREAK GUEST_EFER, 0x100
    ENTER efer_lma
    BREAK GUEST_EFER, 0x400
    ENTER efer_lme
    BREAK GUEST_GDTR_BASE, 0x800000000000
    ENTER gdtr_base
    BREAK GUEST_IDTR_BASE, 0x800000000000
    ENTER idtr_base
    BREAK GUEST_GDTR_LIMIT, 0x10000
    ENTER gdtr_limit
    BREAK GUEST_IDTR_LIMIT, 0x10000
    ENTER idtr_limit
    BREAK GUEST_RIP, 0x800000000000
    ENTER rip_canonical
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc09b
    BREAK GUEST_RIP, 1 << 32
    ENTER rip_compatibility
    BREAK GUEST_RFLAGS, 0
    ENTER rflags_bit_1
    BREAK GUEST_RFLAGS, 0xa
    ENTER rflags_reserved
    BREAK GUEST_RFLAGS, 0x20002
    BREAK GUEST_ES_SELECTOR, 0
    BREAK GUEST_ES_LIMIT, 0xffff
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_CS_SELECTOR, 0
    BREAK GUEST_CS_LIMIT, 0xffff
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_SS_SELECTOR, 0
    BREAK GUEST_SS_LIMIT, 0xffff
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_DS_SELECTOR, 0
    BREAK GUEST_DS_LIMIT, 0xffff
    BREAK GUEST_DS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_FS_SELECTOR, 0
    BREAK GUEST_FS_LIMIT, 0xffff
    BREAK GUEST_FS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_GS_SELECTOR, 0
    BREAK GUEST_GS_LIMIT, 0xffff
    BREAK GUEST_GS_ACCESS_RIGHTS, 0xf3
    ENTER rflags_vm
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000030
    ENTER rflags_if
    BREAK ENTRY_CONTROLS, 0x91ff
    BREAK GUEST_EFER, 0
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc09b
    BREAK GUEST_CR4, 0x226a0
    ENTER pcide_outside
    RUN                                     // mended
    FINISH
guest:
    LEAVE
