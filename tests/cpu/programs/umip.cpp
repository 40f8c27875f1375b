// User-mode instruction prevention.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("CR4.UMIP keeps the tables' addresses from user code") {
    for (const char* model : {"intel-icelake", "amd-rome"}) {
        CAPTURE(model);
        Machine m("umip", {.model = model});
        CHECK(m.run() == End::halted);
        std::vector<Fault> faults;
        for (const char* kept : {"user_sidt", "user_sgdt", "user_sldt", "user_str", "user_smsw",
                                 "user_smsw_memory", "user_str_memory"})
            faults.push_back({kept, kGP});
        check_faults(m, faults);
        CHECK(m.peek<std::uint32_t>(DATA + 32) == 1);
        CHECK(m.peek<std::uint16_t>(DATA) == IDT_LIMIT);
        CHECK(m.peek<std::uint16_t>(DATA + 64) == IDT_LIMIT);
        CHECK(m.result(5) == TASK);
    }
}
