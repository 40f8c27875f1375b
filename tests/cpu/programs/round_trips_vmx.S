// Round trips between a host and its guest under VT-x, with a VPID (round_trips.inc).
#include "vmx/host.inc"
start:
    call prepare
    SET_PRIMARY SECONDARY
    SET_SECONDARY EPT + (1 << 5)
    SET_FIELD VPID, 1
#include "round_trips.inc"
