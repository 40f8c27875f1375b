// Two processors: INIT, SIPI, shared memory, interrupts between them.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("INIT and SIPI start a second processor, in real mode at the page that SIPI names") {
    Machine m("two_processors", {.processors = 2});
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.events() == 0);
    CHECK(m.result(1) == 2000);
    CHECK(m.result(2) == 2000);
    CHECK(m.result(0) == 4000);
    CHECK(m.result(3) == 1);
    CHECK(m.result(4) == 1);
    CHECK(m.result(5) == 1);
    CHECK(m.result(6) == m.program["after_second_hlt"]);
    CHECK((m.result(7) & 0xffffffff) == 1);
    CHECK((m.result(8) & 0xffff) == (CODE_BASE + 0x2000) >> 4);  // CS
    CHECK(m.result(9) == 0x5678);
    // INIT found it in a loop and left it waiting, reset (SDM 3A table 10-1).
    CHECK(m.apic(1).waits_for_sipi());
    CHECK(m.core(1).rip() == 0xfff0);
    CHECK(m.core(1).segment(SegmentName::cs).base == 0xffff0000);
    CHECK((m.core(1).cr(0) & (cr0::kPE | cr0::kPG)) == 0);
    CHECK(m.core(1).efer() == 0);
    CHECK(m.core(1).gpr(engine::kRdx) == m.core().model().signature);
}
