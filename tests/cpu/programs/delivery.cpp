// Delivery through the IDT in 64-bit mode.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("interrupt and trap gates, stacks, and exceptions on the way to a handler") {
    Machine m("delivery");
    CHECK(m.run() == End::halted);
    INFO(m.story());
    constexpr std::uint64_t kFrame = 5 * 8, kIdtExt = 3;
    REQUIRE(m.events() == 17);

    // SDM 3A 6.12.1.3: an interrupt gate clears IF, a trap gate leaves it.
    LoggedEvent e = m.event(0);
    CHECK(e.vector == 0x30);
    CHECK(e.rip == m.program["after_interrupt_gate"]);
    CHECK((e.rflags & (rflags::kIF | rflags::kRF)) == rflags::kIF);
    CHECK((e.handler_rflags & rflags::kIF) == 0);
    CHECK(e.rsp == STACK);
    CHECK(e.ss == DATA_FLAT);
    CHECK(e.frame == STACK - kFrame);
    CHECK(e.handler_cs == CODE64);
    CHECK(e.handler_ss == DATA_FLAT);
    e = m.event(1);
    CHECK(e.vector == 0x31);
    CHECK(e.rip == m.program["after_trap_gate"]);
    CHECK((e.handler_rflags & rflags::kIF) != 0);
    // Faults push RF set (SDM 3B 18.3.1.1).
    e = m.event(2);
    CHECK(e.vector == kUD);
    CHECK((e.rflags & rflags::kRF) != 0);
    CHECK((e.handler_rflags & (rflags::kIF | rflags::kRF)) == 0);
    e = m.event(3);
    CHECK(e.rsp == STACK - 11);
    CHECK(e.frame == ((STACK - 11) & ~15) - kFrame);
    e = m.event(4);
    CHECK(e.frame == IST1_STACK - kFrame);
    CHECK(e.rsp == STACK);
    CHECK(e.handler_ss == DATA_FLAT);  // no change of privilege
    CHECK((m.result(0) & rflags::kNT) == 0);
    CHECK((m.result(1) & rflags::kNT) != 0);

    e = m.event(5);  // from CPL 3 (SDM 3A 6.14.4)
    CHECK(e.rip == m.program["fault_in_user"]);
    CHECK(e.cs == (USER_CODE64 | 3));
    CHECK(e.ss == (USER_DATA | 3));
    CHECK(e.rsp == USER_STACK);
    CHECK(e.frame == KERNEL_STACK - kFrame);
    CHECK(e.handler_cs == CODE64);
    CHECK(e.handler_ss == 0);
    e = m.event(6);
    CHECK(e.frame == IST2_STACK - kFrame);
    CHECK(e.handler_ss == 0);
    e = m.event(7);
    CHECK(e.frame == IST2_STACK - kFrame);
    CHECK(e.handler_ss == DATA_FLAT);
    CHECK(m.result(2) == (CONFORMING | 3));
    CHECK(m.result(3) == (USER_DATA | 3));
    CHECK(m.result(4) == USER_STACK - kFrame);
    CHECK(m.result(5) == USER_STACK);

    // SDM 3A table 6-5.
    struct Row {
        const char* label;
        std::uint8_t vector;
        std::uint64_t error_code;
    };
    static constexpr Row kRows[] = {
        {"benign_then_contributory", kNP, kUD * 8 + kIdtExt},
        {"benign_then_page_fault", kPF, 2},
        {"contributory_then_contributory", kDF, 0},
        {"contributory_then_page_fault", kPF, 2},
        {"page_fault_then_contributory", kDF, 0},
        {"page_fault_then_page_fault", kDF, 0},
        {"software_then_contributory", kNP, 0x34 * 8 + 2},
        {"stack_nowhere", kSS, 1},
        {"task_too_small", kTS, TASK + 1},
    };
    for (unsigned i = 0; i < std::size(kRows); ++i) {
        CAPTURE(kRows[i].label);
        e = m.event(8 + i);
        CHECK(e.vector == kRows[i].vector);
        CHECK(e.error_code == kRows[i].error_code);
        CHECK(e.rip == m.program[kRows[i].label]);
        CHECK(e.frame == (e.vector == kDF ? IST1_STACK : STACK) - kFrame);
        if (e.vector == kPF) CHECK(e.cr2 == PAGES + 0x800 - kFrame);
    }
}
