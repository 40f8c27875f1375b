// PAUSE in a guest: PAUSE-loop exiting of VT-x, the pause filter of AMD-V.
#include "cpu/models/model.h"
#include "tests/cpu/svm_bench.h"
#include "tests/cpu/vmx_machine.h"

using namespace hvsim;
using namespace hvsim::cpu;

namespace {

constexpr std::uint64_t kTickIsPicosecond = 1'000'000'000'000;

Action pause_action() {
    Action action;
    action.kind = ActionKind::pause;
    action.instruction_length = 2;
    return action;
}

/// A guest with PAUSE-loop exiting; times are in ticks of the TSC.
struct Loops : vmx::test::VmxMachine {
    Loops(std::uint32_t gap, std::uint32_t window, std::uint32_t more_primary = 0) {
        timing.clock_tsc_hz = kTickIsPicosecond;
        set({{vmx::Field::PRIMARY_CONTROLS, (*this)[vmx::Field::PRIMARY_CONTROLS] | more_primary},
             {vmx::Field::SECONDARY_CONTROLS, vmx::secondary::kEpt | vmx::secondary::kVpid |
                                                  vmx::secondary::kUnrestrictedGuest |
                                                  vmx::secondary::kPauseLoopExiting},
             {vmx::Field::PLE_GAP, gap},
             {vmx::Field::PLE_WINDOW, window}});
        launch();
    }
    bool pause_at(sim::Time at) {
        core.set_now(at);
        return guest.intercepts(pause_action());
    }
    void set_cpl(unsigned cpl) {
        Segment ss = core.segment(SegmentName::ss);
        ss.access_rights = static_cast<std::uint32_t>(ar::DPL::set(ss.access_rights, cpl));
        core.set_segment(SegmentName::ss, ss);
    }
};

/// A guest with the PAUSE intercept; times are in ticks of the TSC.
struct Filter : svm::test::Bench {
    Filter(std::uint16_t count, std::uint16_t threshold) {
        core.profile.clock_tsc_hz = kTickIsPicosecond;
        intercept(svm::ExitCode::PAUSE);
        put(svm::vmcb::PAUSE_FILTER_COUNT, count);
        put(svm::vmcb::PAUSE_FILTER_THRESHOLD, threshold);
        CHECK(guest.vmrun().entered());
    }
    bool pause_at(sim::Time at) {
        core.set_now(at);
        return guest.intercepts(pause_action());
    }
};

}  // namespace

TEST_CASE("PAUSE-loop exiting: the window counts from the loop's first PAUSE") {
    Loops m(100, 1000);
    CHECK_FALSE(m.pause_at(5000));  // the first one after the entry begins a loop
    for (sim::Time at = 5100; at <= 6000; at += 100) CHECK_FALSE(m.pause_at(at));  // = window
    CHECK(m.pause_at(6001));
}

TEST_CASE("PAUSE-loop exiting: a gap begins a new loop") {
    Loops m(100, 1000);
    CHECK_FALSE(m.pause_at(5000));
    CHECK_FALSE(m.pause_at(5100));  // = gap: the same loop
    CHECK_FALSE(m.pause_at(5201));  // > gap: another one begins here
    for (sim::Time at = 5300; at <= 6200; at += 100) CHECK_FALSE(m.pause_at(at));
    CHECK_FALSE(m.pause_at(6201));  // 1000 after its first
    CHECK(m.pause_at(6202));
    // PAUSEs that are far apart never exit.
    Loops rare(100, 1000);
    for (sim::Time at = 0; at < 100'000; at += 101) CHECK_FALSE(rare.pause_at(at));
}

TEST_CASE("PAUSE-loop exiting: extreme gap and window") {
    Loops every(0xffffffff, 0);
    CHECK_FALSE(every.pause_at(1));
    CHECK_FALSE(every.pause_at(1));  // no time has passed: not more than the window
    CHECK(every.pause_at(2));
    Loops none(0, 0);  // no two PAUSEs are in one loop
    for (sim::Time at = 1; at < 50; ++at) CHECK_FALSE(none.pause_at(at));
    Loops never(0xffffffff, 0xffffffff);
    CHECK_FALSE(never.pause_at(0));
    CHECK_FALSE(never.pause_at(0xffffffff));
    CHECK(never.pause_at(0x1'0000'0000));
}

TEST_CASE("PAUSE-loop exiting: an entry forgets the loop, CPL 3 is not looked at") {
    Loops m(100, 1000);
    CHECK_FALSE(m.pause_at(0));
    m.core.set_now(50);
    Action leave;
    leave.kind = ActionKind::cpuid;
    m.exit(leave);
    m.resume();
    CHECK_FALSE(m.pause_at(100));
    for (sim::Time at = 200; at <= 1100; at += 100) CHECK_FALSE(m.pause_at(at));
    m.set_cpl(3);
    CHECK_FALSE(m.pause_at(1150));
    m.set_cpl(0);
    CHECK(m.pause_at(1200));
}

TEST_CASE("PAUSE exiting exits always; its reason is that of the loop") {
    Loops m(100, 1000, vmx::primary::kPauseExiting);
    CHECK(m.pause_at(5));
    m.set_cpl(3);
    CHECK(m.pause_at(6));
    m.exit(pause_action());
    CHECK(m[vmx::Field::EXIT_REASON] == 40);
    CHECK(m[vmx::Field::EXIT_QUALIFICATION] == 0);
    CHECK(m[vmx::Field::EXIT_INSTRUCTION_LENGTH] == 2);
}

TEST_CASE("the capability MSR announces PAUSE-loop exiting") {
    std::uint64_t value = 0;
    REQUIRE(vmx::capability_msr(default_model(Vendor::intel), 0x48b, value));
    CHECK((value >> 32 & 1u << 10) != 0);
    CHECK((value & 1u << 10) == 0);
}

TEST_CASE("pause filter: n PAUSEs pass, VMRUN fills the count again") {
    Filter b(3, 0);
    for (const sim::Time at : {0, 1'000'000, 1'000'001}) CHECK_FALSE(b.pause_at(at));
    CHECK(b.pause_at(2'000'000));
    CHECK(b.provoke(pause_action()));
    CHECK(b.exit_code() == 0x77);
    CHECK(b.get(svm::vmcb::NRIP) == b.get(svm::vmcb::RIP) + 2);
    CHECK(b.get(svm::vmcb::PAUSE_FILTER_COUNT) == 3);  // the count inside is the processor's
    CHECK(b.guest.vmrun().entered());
    for (int i = 0; i < 3; ++i) CHECK_FALSE(b.pause_at(3'000'000));
    CHECK(b.pause_at(3'000'000));
}

TEST_CASE("pause filter: the threshold fills the count again") {
    Filter b(2, 100);
    CHECK_FALSE(b.pause_at(1000));  // long after the one before
    CHECK_FALSE(b.pause_at(1100));  // = threshold: counts
    CHECK_FALSE(b.pause_at(1200));
    CHECK_FALSE(b.pause_at(1301));  // > threshold
    CHECK_FALSE(b.pause_at(1302));
    CHECK_FALSE(b.pause_at(1303));
    CHECK(b.pause_at(1304));
    Filter rare(1, 100);
    for (sim::Time at = 1000; at < 100'000; at += 101) CHECK_FALSE(rare.pause_at(at));
}

TEST_CASE("pause filter: without a count every PAUSE exits, without the intercept none") {
    Filter all(0, 0);
    CHECK(all.pause_at(0));
    Filter threshold(0, 100);
    CHECK(threshold.pause_at(1000));
    svm::test::Bench none;
    none.put(svm::vmcb::PAUSE_FILTER_COUNT, 1);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(none.provoke(pause_action()));
}

TEST_CASE("pause filter: the clean bit of the intercepts covers its fields") {
    Filter b(1, 0);
    CHECK_FALSE(b.pause_at(0));
    CHECK(b.provoke(pause_action()));
    b.put(svm::vmcb::PAUSE_FILTER_COUNT, 5);
    b.put(svm::vmcb::CLEAN, svm::clean::kIntercepts);
    CHECK(b.guest.vmrun().entered());
    CHECK_FALSE(b.pause_at(1));
    CHECK(b.provoke(pause_action()));
    b.put(svm::vmcb::CLEAN, 0);
    CHECK(b.guest.vmrun().entered());
    for (int i = 0; i < 5; ++i) CHECK_FALSE(b.pause_at(2));
    CHECK(b.pause_at(2));
}

TEST_CASE("CPUID announces the pause filter where there is AMD-V") {
    const Model* model = find_model("amd-rome");
    REQUIRE(model != nullptr);
    CpuidContext context;
    context.virtualization = true;
    constexpr std::uint32_t kFilters = 1u << 10 | 1u << 12;
    CHECK((cpuid(*model, context, 0x8000000a, 0).edx & kFilters) == kFilters);
    context.virtualization = false;
    CHECK(cpuid(*model, context, 0x8000000a, 0).edx == 0);
}
