// Breakpoints of a guest that has the debug registers to itself: the same as without VT-x
// (bare/breakpoints.S).
//
// event: vector=0x30
// result: 15=31
// result: 16=after_last_byte 17=0xffff0ff1
// result: 19=after_overlap 20=0xffff0ff1
// result: 22=after_inc 23=0xffff0ff1
// result: 25=after_xadd 26=0xffff0ff1
// result: 28=after_read 29=0xffff0ff2
// result: 31=after_unaligned 32=0xffff0ff2
// result: 34=after_push 35=0xffff0ff2
// result: 37=after_pop 38=0xffff0ff2
// result: 40=after_low 41=0xffff0ff4
// result: 43=after_crossing_read 44=0xffff0ff4
// result: 46=after_crossing_write 47=0xffff0ff4
// result: 49=after_into_page 50=0xffff0ff4
// result: 52=after_write_into_page 53=0xffff0ff4
// result: 55=after_sse 56=0xffff0ff4
// result: 58=repeated 59=0xffff0ff8 60=0x10002/0x10000
// result: 61=after_two 62=0xffff0ff7
// result: 64=after_restart 65=0xffff0ff1
// result: 67=at_nop 68=0xffff0ff1 69=2/0x10002
// result: 70=at_nop 71=0xffff0ff1 72=2/0x10002
// result: 73=at_nop 74=0xffff0ff1 75=2/0x10002
// result: 76=after_held 77=0xffff0ff1
// result: 79=stubs+0x300 80=0xffff0ff1
// result: 82=after_int1 83=0xffff0ff1
// result: 85=after_in 86=0xffff0ff1
// result: 88=after_in_word 89=0xffff0ff1
// result: 91=at_outs 92=0xffff0ff1 93=0x10002/0x10000
// result: 94=after_outs 95=0xffff0ff1
// result: 97=at_mov_dr 98=0xffff2ff0 99=0x10002/0x10000
// result: 100=after_both 101=0xffff4ff1
// result: 103=after_push_flags 104=0xffff4ff0
// result: 106=after_popf 107=0xffff4ff0
#include "host.inc"
#include "../debug_handler.inc"
#include "../breakpoints.inc"
start:
    call prepare
    RUN
    FINISH
guest:
    call breakpoints
    LEAVE
