// Host state that an entry refuses (SDM 3C 27.2.2 to 27.2.4).
//
// fail: entry_invalid_host_state rule=201 at=cr0_fixed
// fail: entry_invalid_host_state rule=202 at=cr4_fixed
// fail: entry_invalid_host_state rule=203 at=cr3_width
// fail: entry_invalid_host_state rule=205 at=sysenter_esp
// fail: entry_invalid_host_state rule=205 at=sysenter_eip
// fail: entry_invalid_host_state rule=206 at=pat_type
// fail: entry_invalid_host_state rule=207 at=efer_reserved
// fail: entry_invalid_host_state rule=208 at=efer_mode
// fail: entry_invalid_host_state rule=211 at=es_rpl
// fail: entry_invalid_host_state rule=211 at=tr_ti
// fail: entry_invalid_host_state rule=212 at=cs_zero
// fail: entry_invalid_host_state rule=213 at=tr_zero
// fail: entry_invalid_host_state rule=214 at=gs_base
// fail: entry_invalid_host_state rule=214 at=idtr_base
// fail: entry_invalid_host_state rule=215 at=ss_zero
// fail: entry_invalid_host_state rule=221 at=host_32
// fail: entry_invalid_host_state rule=222 at=pae_clear
// fail: entry_invalid_host_state rule=204 at=rip_canonical
#include "host.inc"
start:
    call prepare
    BREAK HOST_CR0, 0x31
    ENTER cr0_fixed
    BREAK HOST_CR4, 0x20
    ENTER cr4_fixed
    BREAK HOST_CR3, 1 << 46
    ENTER cr3_width
    BREAK HOST_SYSENTER_ESP, 0x800000000000
    ENTER sysenter_esp
    BREAK HOST_SYSENTER_EIP, 0x800000000000
    ENTER sysenter_eip
    BREAK EXIT_CONTROLS, 0x003b6fff
    BREAK HOST_PAT, 2
    ENTER pat_type
    BREAK HOST_EFER, 0x1d01
    ENTER efer_reserved
    BREAK HOST_EFER, 0x100
    ENTER efer_mode
    BREAK HOST_ES_SELECTOR, 3
    ENTER es_rpl
    BREAK HOST_TR_SELECTOR, 0x3c
    ENTER tr_ti
    BREAK HOST_CS_SELECTOR, 0
    ENTER cs_zero
    BREAK HOST_TR_SELECTOR, 0
    ENTER tr_zero
    BREAK HOST_GS_BASE, 0x800000000000
    ENTER gs_base
    BREAK HOST_IDTR_BASE, 0x800000000000
    ENTER idtr_base
    BREAK EXIT_CONTROLS, 0x00136dff
    BREAK ENTRY_CONTROLS, 0x11ff
    BREAK HOST_SS_SELECTOR, 0
    ENTER ss_zero
    BREAK EXIT_CONTROLS, 0x00136dff
    BREAK ENTRY_CONTROLS, 0x11ff
    ENTER host_32
    BREAK HOST_CR4, 0x2600
    ENTER pae_clear
    BREAK HOST_RIP, 0x800000000000
    ENTER rip_canonical
    RUN                                     // mended
    FINISH
guest:
    LEAVE
