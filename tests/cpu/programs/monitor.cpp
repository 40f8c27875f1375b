// MONITOR and MWAIT.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("MWAIT waits until the line changes or an interrupt comes") {
    Options options;
    options.processors = 2;
    options.timing.clock_ps_per_code_byte = 100;
    Machine m("monitor", options);
    CHECK(m.run() == End::halted);
    check_faults(m, {{"monitor_extension", kGP},
                     {"monitor_absent", kPF},
                     {"mwait_extension", kGP},
                     {"user_monitor", kUD},
                     {"user_mwait", kUD},
                     {"off_monitor", kUD},
                     {"off_mwait", kUD}});
    CHECK(m.result(0) == 1);
    CHECK(m.result(1) == 1);  // the store to another line did not end the wait
    CHECK(m.result(2) == 7);
    CHECK(m.result(4) == 1);
    CHECK(m.result(5) == 1);
    CHECK(m.result(6) == 2);
    CHECK(m.result(7) == 8);
    CHECK(m.result(8) == 0);
    CHECK(m.now(0) >= 20'000 * 2 * 100);  // it waited for the other's loops
}
