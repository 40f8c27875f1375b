// What VMRUN refuses of AVIC (APM 2 15.29.4): x2AVIC alone, and tables that are no processor's.
//
// model: amd-genoa
// exit: INVALID rule=150 at=x2avic_alone EXITCODE=0xffffffffffffffff
// exit: INVALID rule=151 at=last_index_of_xavic EXITCODE=0xffffffffffffffff
// exit: INVALID rule=151 at=last_index_of_x2avic EXITCODE=0xffffffffffffffff
// exit: INVALID rule=152 at=physical_table_width EXITCODE=0xffffffffffffffff
// exit: INVALID rule=153 at=backing_page_width EXITCODE=0xffffffffffffffff
// exit: INVALID rule=154 at=logical_table_width EXITCODE=0xffffffffffffffff
#include "host.inc"
#include "avic.inc"
start:
    call prepare
    call prepare_avic
    call prepared
    SET VMCB_VINTR, 0x41000000
    ENTER x2avic_alone
    SET VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL_IDS + 256
    ENTER last_index_of_xavic
    SET VMCB_VINTR, 0xc1000000
    SET VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL_IDS + 512
    ENTER last_index_of_x2avic
    SET VMCB_AVIC_PHYSICAL_TABLE, 1 << 52
    ENTER physical_table_width
    SET VMCB_AVIC_BACKING_PAGE, 1 << 52
    ENTER backing_page_width
    SET VMCB_AVIC_LOGICAL_TABLE, 1 << 52
    ENTER logical_table_width
    // Allowed: no logical table with x2AVIC, and as many processors.
    SET VMCB_VINTR, 0xc1000000
    SET VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL_IDS + 511
    SET VMCB_AVIC_LOGICAL_TABLE, 1 << 52
    RUN
    FINISH
guest:
    LEAVE
