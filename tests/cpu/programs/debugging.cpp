// The trap flag.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("the trap flag stops behind each instruction, also those that the core performs") {
    Machine m("debugging");
    CHECK(m.run() == End::halted);
    const std::uint64_t movsb = m.program["after_shadow"];
    check_faults(m, {
                        {"after_nop", kDB},
                        {"after_jump", kDB},
                        {"after_shadow", kDB},
                        {"rep 1", kDB, 0, movsb},
                        {"rep 2", kDB, 0, movsb},
                        {"after_movsb", kDB},
                        {"after_copy", kDB},
                        {"after_cpuid", kDB},
                        {"after_edx", kDB},
                        {"after_in", kDB},
                        {"after_int", 0x30},
                        {"after_nop_behind_int", kDB},
                        {"after_nop_behind_fault", kDB},
                        {"after_sti", kDB, 0, m.program["after_nop_behind_fault"] + 1},
                        {"after_sti_nop", kDB},
                        {"after_cli", kDB},
                        {"after_pushf", kDB},
                        {"after_and", kDB},
                        {"after_popf", kDB},
                        {"after_user_nop", kDB},
                        {"after_user_xor", kDB},
                    });
    for (unsigned i = 0; i < m.events(); ++i) {
        const LoggedEvent event = m.event(i);
        CHECK((event.handler_rflags & (1 << 8)) == 0);
        const bool stays = event.rip != m.program["after_popf"];
        if (event.vector == kDB) CHECK(((event.rflags & (1 << 8)) != 0) == stays);
    }
    CHECK(m.result(0) == (0xffff0ff0 | 1 << 14));  // DR6.BS
    CHECK(m.result(1) == m.program["faulting"]);
    CHECK((m.result(2) & (1 << 8)) == 0);
}
