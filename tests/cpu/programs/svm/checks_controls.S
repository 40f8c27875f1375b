// Controls that VMRUN refuses with #VMEXIT(INVALID) (APM 2 15.5.1, 15.16.2, 15.20, 15.21.10, 15.25).
//
// exit: INVALID rule=120 at=no_vmrun_intercept EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=121 at=iopm_width EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=122 at=msrpm_width EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=123 at=asid_zero EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=130 at=sev EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=131 at=n_cr3_width EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=132 at=g_pat_type EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=140 at=tlb_control EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=141 at=event_type_1 EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=141 at=event_type_5 EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=142 at=event_vector_2 EXITCODE=0xffffffffffffffff EXITINTINFO=0
// exit: INVALID rule=142 at=event_vector_32 EXITCODE=0xffffffffffffffff EXITINTINFO=0
#include "host.inc"
start:
    call prepare
    SET32 VMCB_INTERCEPT_MISC2, 2
    ENTER no_vmrun_intercept
    INTERCEPT 0x7b
    SET VMCB_IOPM_BASE_PA, (1 << 48) - 0x2000
    ENTER iopm_width
    INTERCEPT 0x7c
    SET VMCB_MSRPM_BASE_PA, -1
    ENTER msrpm_width
    SET32 VMCB_GUEST_ASID, 0
    ENTER asid_zero
    SET32 VMCB_NESTED_CONTROL, 2
    ENTER sev
    SET32 VMCB_NESTED_CONTROL, 1
    SET VMCB_N_CR3, 1 << 48
    ENTER n_cr3_width
    SET32 VMCB_NESTED_CONTROL, 1
    SET VMCB_G_PAT, 2
    ENTER g_pat_type
    mov byte ptr [VMCB_TLB_CONTROL], 2
    ENTER tlb_control
    SET VMCB_EVENTINJ, 0x80000120
    ENTER event_type_1
    SET VMCB_EVENTINJ, 0x80000503
    ENTER event_type_5
    SET VMCB_EVENTINJ, 0x80000302
    ENTER event_vector_2
    SET VMCB_EVENTINJ, 0x80000320
    ENTER event_vector_32
    RUN                                     // mended
    FINISH
guest:
    LEAVE
