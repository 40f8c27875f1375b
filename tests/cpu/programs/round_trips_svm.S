// Round trips between a host and its guest under AMD-V, with nested paging (round_trips.inc).
#include "svm/host.inc"
start:
    call prepare
    SET32 VMCB_NESTED_CONTROL, 1
#include "round_trips.inc"
