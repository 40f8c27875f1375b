// The local APIC, HLT, and where interrupts and NMIs come in.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

enum Part : std::uint64_t { timer, periodic, shadows, nmi, absent_gate, memory_mapped };

/// One tick of the time-stamp counter a code byte, 50 of its ticks one of the timer's.
Options clocks() {
    Options options;
    options.timing.clock_ps_per_code_byte = 100;
    options.timing.clock_tsc_hz = 10'000'000'000;
    options.timing.clock_apic_timer_hz = 200'000'000;
    return options;
}

struct PartMachine {
    explicit PartMachine(Part part) : machine("interrupts", clocks()) {
        machine.core().set_gpr(engine::kRdi, part);
    }
    Machine machine;
};

}  // namespace

TEST_CASE("HLT ends at the timer's deadline, to the picosecond") {
    PartMachine bench(timer);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    // RDTSC's own two bytes, from behind it to WRMSR, then 1000 ticks of 5 ns.
    const std::uint64_t to_wrmsr = m.program["one_shot_armed"] - m.program["one_shot_before"];
    CHECK(m.result(1) == m.result(0) + 2 + to_wrmsr + 1000 * 50);
    CHECK(m.result(2) == m.program["after_one_shot"]);
    CHECK(m.result(4) == m.result(3));  // the deadline itself
    CHECK(m.result(6) == m.result(5));
    CHECK(m.result(5) > 0x1000000);
    CHECK(m.core().counters().interrupts == 3);
    CHECK(m.core().counters().greatest_overshoot == 0);
}

TEST_CASE("a periodic timer keeps its period, whatever the program does") {
    PartMachine bench(periodic);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    constexpr std::uint64_t kPeriod = 500 * 50;
    CHECK(m.result(1) - m.result(0) == kPeriod);
    // In the loop the interrupt waits for the end of a block of eight bytes.
    CHECK(m.result(2) - m.result(0) >= 2 * kPeriod);
    CHECK(m.result(2) - m.result(0) < 2 * kPeriod + 16);
    CHECK(m.result(3) - m.result(0) == 3 * kPeriod);
}

TEST_CASE("STI and MOV SS hold interrupts off for one instruction; POPF does not") {
    PartMachine bench(shadows);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    const char* const kPlaces[] = {"after_sti",    "after_popf",     "after_sti_hlt",
                                   "after_mov_ss", "after_priority", "after_both"};
    CHECK(m.result(0) == std::size(kPlaces));
    for (unsigned i = 0; i < std::size(kPlaces); ++i) {
        CAPTURE(std::string(kPlaces[i]));
        CHECK(m.result(i + 1) == m.program[kPlaces[i]]);
    }
    CHECK(m.peek(DATA + 0x100) == 1);
    CHECK(m.peek(DATA + 0x108) == std::size(kPlaces));  // 0x28 before 0x21
    CHECK(m.peek(DATA + 0x110) == m.program["after_both"]);
}

TEST_CASE("an NMI is blocked until IRET, and one waits meanwhile") {
    PartMachine bench(nmi);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    CHECK(m.core().rip() == m.program["after_nmi_hlt"]);
    CHECK(m.result(3) == 0);
    m.send_nmi();
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.result(0) == 2);  // three were sent
    CHECK(m.result(8) == 1);
    CHECK(m.result(1) == m.program["after_first_nmi"]);
    CHECK(m.result(2) == m.program["after_first_nmi"]);  // right behind IRET
    CHECK(m.result(3) == m.program["after_nmi_hlt"]);
    // The exception's IRET unblocked NMIs in the middle of the NMI's handler.
    CHECK(m.result(9) == 2);
    CHECK(m.result(11) == m.program["after_fault_in_nmi"]);
}

TEST_CASE("an interrupt through an absent gate is #NP with EXT set") {
    PartMachine bench(absent_gate);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    REQUIRE(m.events() == 1);
    CHECK(m.event(0).vector == kNP);
    CHECK(m.event(0).error_code == 0x29 * 8 + 3);
}

TEST_CASE("the local APIC in memory answers to any instruction") {
    PartMachine bench(memory_mapped);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.result(0) == 0x1ff);
    CHECK(m.result(1) == 3);
    CHECK((m.result(2) & 0xff) == 0x15);
    CHECK(m.apic().isr_vector() == std::nullopt);
    CHECK(m.core().counters().interrupts == 1);
    CHECK(m.bus.memory.empty());
}
