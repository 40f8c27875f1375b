// SVM instructions executed by a program on a whole processor: refusals, world switches, GIF,
// virtual interrupts, last-branch records.
#include "cpu/svm/operation.h"
#include "tests/cpu/programs/bench.h"
#include "tests/cpu/programs/failure_log.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;
using svm::ExitCode;

namespace {

enum Part : std::uint64_t { refused, world_switches, interrupt_flag, branches, hostile };

struct SvmMachine {
    explicit SvmMachine(Part part) : machine("svm", options()), operation(machine.core()) {
        machine.core().set_virtualization(&operation);
        machine.core().set_gpr(engine::kRdi, part);
    }
    static Options options() {
        Options amd;
        amd.model = "amd-milan";
        return amd;
    }
    Machine machine;
    svm::Operation operation;
};

constexpr std::uint64_t number(ExitCode code) {
    return static_cast<std::uint64_t>(code);
}

}  // namespace

TEST_CASE("SVM instructions are refused with the manual's exceptions") {
    SvmMachine bench(refused);
    Machine& m = bench.machine;
    FailureLog log;
    m.recorder.set_sink(&log, sim::EventLevel::event);
    CHECK(m.run() == End::halted);
    const std::vector<std::string> expected{"201 vmrun", "201 stgi",   "204 vmmcall",
                                            "212 vmrun", "213 vmload", "214 vmsave",
                                            "215 vmrun", "205 skinit"};
    CHECK(log.lines == expected);
    check_faults(m, {{"without_svme", kUD},
                     {"stgi_without_svme", kUD},
                     {"vmmcall_in_host", kUD},
                     {"svme_while_disabled", kGP},
                     {"misaligned", kGP},
                     {"too_wide", kGP},
                     {"no_memory", kGP},
                     {"no_host_save_area", kGP},
                     {"no_skinit", kUD},
                     {"misaligned_host_save_area", kGP}});
    CHECK(m.result(0) == 8);  // SVMDIS cannot be set once VM_CR is locked
}

TEST_CASE("VMRUN and #VMEXIT switch between host and guest on one core") {
    SvmMachine bench(world_switches);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.result(0) == PAGES);
    CHECK(m.result(1) == 0x4444);
    CHECK(m.result(2) == number(ExitCode::VMMCALL));
    CHECK(m.result(3) == 0x3333);
    CHECK(m.result(4) == m.program["guest_vmmcall"] + 3);
    CHECK(m.result(5) == 0x400);
    CHECK(m.result(6) == number(ExitCode::INVALID));
    CHECK(m.result(7) == number(ExitCode::CPUID));
    CHECK(m.result(8) == m.program["guest_cpuid"]);
    CHECK(m.result(9) == number(ExitCode::EXCP0) + kUD);
    CHECK(m.events() == 1);
    CHECK(m.event(0).vector == kUD);
    CHECK(m.event(0).rip == m.program["guest_ud"]);
    CHECK_FALSE(bench.operation.guest().in_guest());
    CHECK(bench.operation.gif());
}

TEST_CASE("GIF holds interrupts; V_IRQ comes once the guest lets it") {
    SvmMachine bench(interrupt_flag);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.result(0) == 0);
    CHECK(m.result(1) == number(ExitCode::INTR));
    CHECK(m.result(2) == m.program["quiet_guest"]);
    CHECK(m.result(3) == 0);
    CHECK(m.result(4) == 1);
    CHECK(m.result(5) == number(ExitCode::VMMCALL));
    CHECK_FALSE(svm::vintr::V_IRQ::test(m.result(6)));
    CHECK(m.result(7) == 2);
    CHECK(m.event(0).vector == 0x30);
    CHECK(m.event(0).rip == m.program["after_stgi"]);
    CHECK(m.event(1).vector == 0x31);
    CHECK(m.event(1).rip == m.program["behind_shadow"]);
    CHECK(m.result(9) == 2);
    CHECK(m.event(2).vector == 0x32);
    CHECK(m.event(2).rip == m.program["behind_stgi"]);
    CHECK_FALSE(svm::vintr::VGIF::test(m.result(8)));
    CHECK_FALSE(svm::vintr::V_IRQ::test(m.result(8)));
}

TEST_CASE("no VMCB breaks the processor") {
    std::uint64_t random = 1;
    const auto next = [&random] {  // Knuth's MMIX constants
        random = random * 6364136223846793005u + 1442695040888963407u;
        return random >> 20;
    };
    unsigned entered = 0;
    for (unsigned round = 0; round < 400; ++round) {
        CAPTURE(round);
        SvmMachine bench(hostile);
        Machine& m = bench.machine;
        m.bus.on_port_write = [&](std::uint16_t port, std::uint32_t) {
            entered += port == 0x81;
            if (port != 0x80) return;
            const unsigned spoiled = 1 + next() % 4;
            for (unsigned i = 0; i < spoiled; ++i) {
                const bool control = next() % 2 != 0;
                const std::uint64_t field = control ? next() % 0x20 * 8 : 0x400 + next() % 0x54 * 8;
                const std::uint64_t old = m.peek(PAGES + field);
                const std::uint64_t value =
                    next() % 2 != 0 ? old ^ 1ull << next() % 64 : next() << next() % 64;
                m.poke(PAGES + field, value);
            }
        };
        m.run(100 * sim::kMicrosecond);
    }
    CHECK(entered > 10);  // not all of them are refused
}

TEST_CASE("the last taken branch is recorded") {
    SvmMachine bench(branches);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    CHECK(m.result(0) == m.program["recorded"]);
    CHECK(m.result(1) == m.program["target"]);
}
