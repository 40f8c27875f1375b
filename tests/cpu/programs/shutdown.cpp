// A fault that cannot be delivered, nor its double fault.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("a triple fault shuts the processor down where it is") {
    struct Row {
        std::uint64_t way;
        const char* label;
    };
    for (const Row& row : {Row{0, "no_table"}, Row{1, "in_absent_gate"}, Row{2, "on_no_stack"}}) {
        CAPTURE(row.label);
        Machine m("shutdown");
        m.core().set_gpr(engine::kRdi, row.way);
        CHECK(m.run() == End::shutdown);
        CHECK(m.core().activity() == ActivityState::shutdown);
        CHECK(m.result(0) == 1);
        const std::uint64_t mov_eax = row.way == 1 ? 5 : 0;
        CHECK(m.core().rip() == m.program[row.label] + mov_eax);
        CHECK(m.events() == 0);
        // It stays so, and time with it.
        const sim::Time at = m.now();
        CHECK(m.run(2 * sim::kMillisecond) == End::shutdown);
        CHECK(m.now() == at);
    }
}
