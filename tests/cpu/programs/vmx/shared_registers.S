// Registers that neither entries nor exits load.
//
// result: 0=0x1010 1=0x1515 2=1 3=2 4=0xd0d0 5=0x12345678
// result: 6=0x2020 7=0x2525 8=2 9=1 10=0x5f80/0xffc0 11=0x3d3d
#include "host.inc"
#include "../shared_registers.inc"
