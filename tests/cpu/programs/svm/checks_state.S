// Guest state that VMRUN refuses with #VMEXIT(INVALID) (APM 2 15.5.1).
//
// exit: INVALID rule=101 at=efer_svme EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=102 at=cr0_nw EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=103 at=cr0_high EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=104 at=cr3_width EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=105 at=cr4_reserved EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=105 at=cr4_high EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=106 at=dr6_high EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=107 at=dr7_high EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=108 at=efer_reserved EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=109 at=long_without_pae EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=110 at=long_without_pe EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=111 at=cs_l_and_d EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=112 at=pdpte_reserved EXITCODE=0xffffffffffffffff EXITINTINFO=0
#include "host.inc"
start:
    call prepare
    movabs rax, ~0x1000
    and [VMCB_EFER], rax
    ENTER efer_svme
    movabs rax, 1 << 29
    or [VMCB_CR0], rax
    ENTER cr0_nw
    movabs rax, 1 << 32
    or [VMCB_CR0], rax
    ENTER cr0_high
    SET VMCB_CR3, 1 << 48
    ENTER cr3_width
    movabs rax, 1 << 13
    or [VMCB_CR4], rax
    ENTER cr4_reserved
    movabs rax, 1 << 63
    or [VMCB_CR4], rax
    ENTER cr4_high
    movabs rax, 1 << 32
    or [VMCB_DR6], rax
    ENTER dr6_high
    movabs rax, 1 << 63
    or [VMCB_DR7], rax
    ENTER dr7_high
    movabs rax, 2
    or [VMCB_EFER], rax
    ENTER efer_reserved
    movabs rax, ~0x20
    and [VMCB_CR4], rax
    ENTER long_without_pae
    movabs rax, ~1
    and [VMCB_CR0], rax
    ENTER long_without_pe
    mov word ptr [VMCB_CS_ATTRIB], 0xe9b
    ENTER cs_l_and_d
    movabs rax, ~0x500
    and [VMCB_EFER], rax
    SET VMCB_CR3, PML4
    mov word ptr [VMCB_CS_ATTRIB], 0xc9b
    ENTER pdpte_reserved
    RUN                                     // mended
    FINISH
guest:
    LEAVE
