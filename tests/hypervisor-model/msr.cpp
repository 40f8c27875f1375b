// The MSR tables: rights, reserved bits, side effects.
#include <doctest/doctest.h>

#include "fixture.h"
#include "hypervisor-model/spec/x86_msr.h"
#include "hypervisor-model/vp_msr_table.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

struct Msrs {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    bool write(std::uint32_t index, std::uint64_t value) {
        return !vp.write_msr(index, value, m.now).gp;
    }
    bool readable(std::uint32_t index) { return !vp.read_msr(index, m.now).gp; }
    std::uint64_t read(std::uint32_t index) { return vp.read_msr(index, m.now).value; }
};

}  // namespace

TEST_CASE("every synthetic MSR faults without its privilege or feature") {
    Msrs t;
    for (const MsrRow& row : synthetic_msrs()) {
        CAPTURE(row.name);
        CHECK(t.child.has_privilege(row.privilege));
        const PartitionFeatures all = t.child.features();
        t.child.features().privileges &= ~mask_of(row.privilege);
        t.child.features().features &= ~row.feature;
        if (row.privilege != Privilege::none || row.feature != 0) {
            CHECK_FALSE(t.readable(row.first));
            CHECK_FALSE(t.write(row.first, 0));
        }
        t.child.features() = all;
        CHECK(t.readable(row.first) == (row.read != nullptr));
        if (row.read != nullptr && row.write == nullptr) CHECK_FALSE(t.write(row.first, 0));
        if (row.write != nullptr && row.reserved != 0)
            CHECK_FALSE(t.write(row.first, row.reserved));
        CHECK(t.readable(row.first + row.count - 1) == (row.read != nullptr));
    }
}

TEST_CASE("holes between synthetic MSRs fault") {
    Msrs t;
    for (std::uint32_t index = 0x4000'0000; index < 0x4000'0200; ++index) {
        if (find_msr_row(index) != nullptr) continue;
        CHECK_FALSE(t.readable(index));
        CHECK_FALSE(t.write(index, 0));
    }
    CHECK_FALSE(t.readable(0x4000'1080));
}

TEST_CASE("hypercall page: order, lock, reserved bits, range") {
    Msrs t;
    CHECK(t.write(msr::kHypercall, 0x5'0001));
    CHECK(t.read(msr::kHypercall) == 0x5'0000);  // no identity: the enable bit stays clear
    CHECK_FALSE(t.child.hypercalls_enabled());
    CHECK(t.write(msr::kGuestOsId, 0x8100'0006'0100'0000));
    CHECK_FALSE(t.write(msr::kHypercall, 0x5'0005));
    CHECK_FALSE(t.write(msr::kHypercall, std::uint64_t{1} << 60 | 1));  // beyond the space
    CHECK(t.write(msr::kHypercall, 0x5'0001));
    CHECK(t.child.hypercalls_enabled());
    CHECK(t.write(msr::kHypercall, 0x5'0003));  // locked from here
    CHECK_FALSE(t.write(msr::kHypercall, 0));
    CHECK_FALSE(t.write(msr::kHypercall, 0x5'0003));
    CHECK(t.write(msr::kGuestOsId, 0));
    CHECK_FALSE(t.child.hypercalls_enabled());
    CHECK(t.read(msr::kHypercall) == 0x5'0000);
}

TEST_CASE("actions for the run loop") {
    Msrs t;
    CHECK(t.vp.write_msr(msr::kReset, 1, t.m.now).action == VpAction::reset_partition);
    CHECK(t.vp.write_msr(msr::kReset, 0, t.m.now).action == VpAction::none);
    CHECK_FALSE(t.write(msr::kReset, 2));
    CHECK(t.read(msr::kReset) == 0);

    CHECK(t.vp.read_msr(msr::kGuestIdle, t.m.now).action == VpAction::halt_until_interrupt);
    t.m.enable_apic(t.vp);
    t.m.context(t.vp).rflags_ = 2;  // interrupts off: idle ends all the same
    CHECK_FALSE(t.vp.runnable(t.m.now));
    apic::InterruptMessage message;
    message.vector = 0x40;
    t.vp.receive(message, t.m.now);
    CHECK(t.vp.runnable(t.m.now));
    t.vp.leave_halt();
    CHECK_FALSE(t.vp.idle());
    t.m.context(t.vp).halted_ = true;  // but HLT does not
    CHECK_FALSE(t.vp.runnable(t.m.now));
    t.m.context(t.vp).rflags_ = 0x202;
    CHECK(t.vp.runnable(t.m.now));
}

TEST_CASE("guest crash") {
    Msrs t;
    CHECK(t.read(msr::kCrashControl) == (std::uint64_t{3} << 62));
    for (std::uint32_t i = 0; i < 5; ++i) CHECK(t.write(msr::kCrashP0 + i, 0x100 + i));
    CHECK(t.vp.write_msr(msr::kCrashControl, std::uint64_t{1} << 62, t.m.now).action ==
          VpAction::none);
    CHECK_FALSE(t.child.crash());
    CHECK(t.vp.write_msr(msr::kCrashControl, msr::kCrashNotify, t.m.now).action ==
          VpAction::crash_notified);
    REQUIRE(t.child.crash());
    CHECK(t.child.crash()->parameters[4] == 0x104);
    CHECK(t.m.recorder.count(sim::EventKind::kGuestCrash) == 1);
}

TEST_CASE("counters and frequencies") {
    Msrs t;
    CHECK(t.read(msr::kTscFrequency) == 2'500'000'000);
    CHECK(t.read(msr::kApicFrequency) == 25'000'000);
    CHECK(t.read(msr::kVpIndex) == 0);
    CHECK(t.read(msr::kSversion) == 1);
    t.vp.add_run_time(1'234'567);
    CHECK(t.read(msr::kVpRuntime) == 12);
    t.m.now += sim::kSecond;
    CHECK(t.read(msr::kTimeRefCount) == 10'000'000);
}

TEST_CASE("APIC through synthetic MSRs") {
    Msrs t;
    t.m.enable_apic(t.vp);
    CHECK(t.write(msr::kTpr, 0x35));
    CHECK(t.vp.apic().tpr() == 0x35);
    CHECK_FALSE(t.write(msr::kTpr, 0x100));
    CHECK(t.write(msr::kTpr, 0));
    CHECK(t.write(msr::kIcr, 0x0004'4041));  // self, fixed, vector 0x41
    CHECK(t.vp.pending_vector() == 0x41);
    t.vp.accept_interrupt(t.m.now);
    CHECK(t.write(msr::kEoi, 0));
    CHECK_FALSE(t.vp.apic().isr_vector());
    CHECK_FALSE(t.readable(msr::kEoi));
    CHECK_FALSE(t.write(msr::kEoi, std::uint64_t{1} << 32));
}

TEST_CASE("x2APIC registers and APIC base") {
    Msrs t;
    CHECK_FALSE(t.readable(0x802));  // xAPIC mode
    CHECK(t.write(0x1b, 0xfee0'0d00));
    CHECK(t.read(0x802) == 0);
    CHECK(t.write(0x80f, 0x1ff));
    CHECK(t.write(0x83f, 0x44));  // self IPI
    CHECK(t.vp.accept_interrupt(t.m.now) == 0x44);
    CHECK_FALSE(t.write(0x80b, 1));
    CHECK(t.write(0x80b, 0));
    CHECK_FALSE(t.vp.apic().isr_vector());
    CHECK_FALSE(t.readable(0x80e));
}

TEST_CASE("architectural MSRs check what they are given") {
    Msrs t;
    using namespace x86_msr;
    CHECK(t.write(kPat, 0x0007'0405'0106'0700));
    CHECK_FALSE(t.write(kPat, 2));
    CHECK_FALSE(t.write(kPat, 0xff));
    CHECK(t.write(kLstar, 0xffff'ffff'8000'0000));
    CHECK_FALSE(t.write(kLstar, 0x0000'8000'0000'0000));
    t.m.context(t.vp).crs[4] |= 1u << 12;  // 57 bits
    CHECK(t.write(kLstar, 0x0000'8000'0000'0000));
    CHECK_FALSE(t.write(kLstar, std::uint64_t{1} << 60));
    CHECK_FALSE(t.write(kSysenterCs, std::uint64_t{1} << 32));
    CHECK_FALSE(t.write(kTscAux, std::uint64_t{1} << 32));
    CHECK(t.write(kMtrrDefType, 0xc06));
    CHECK(t.read(kMtrrDefType) == 0xc06);
    CHECK_FALSE(t.write(kMtrrDefType, 0xc02));
    CHECK_FALSE(t.write(kMtrrDefType, 0x1c06));
    CHECK_FALSE(t.write(kMtrrCap, 0));
    CHECK(t.write(kMtrrPhysBase0 + 14, 0x8000'0006));
    CHECK_FALSE(t.write(kMtrrPhysBase0 + 14, 0x8000'0106));
    CHECK_FALSE(t.write(kMtrrPhysBase0 + 15, std::uint64_t{1} << 46 | 0x800));
    CHECK(t.write(kMtrrPhysBase0 + 15, 0x3fff'c000'0800));
    CHECK_FALSE(t.readable(kMtrrPhysBase0 + 16));
    CHECK(t.write(kMtrrFix4k + 7, 0x0606'0606'0606'0606));
    CHECK_FALSE(t.write(kMtrrFix4k, 0x0306'0606'0606'0606));
    CHECK_FALSE(t.readable(0x251));
    CHECK_FALSE(t.write(kFeatureControl, 5));
    CHECK_FALSE(t.write(kMiscEnable, 1u << 1));
    CHECK_FALSE(t.readable(kVmCr));  // AMD only
    CHECK_FALSE(t.readable(0xc000'0fff));
}

TEST_CASE("EFER") {
    Msrs t;
    FakeContext& c = t.m.context(t.vp);
    CHECK(t.write(x86_msr::kEfer, 0xd01));
    CHECK(c.efer_ == 0xd01);
    CHECK_FALSE(t.write(x86_msr::kEfer, 0xc01));  // LME off while paging
    CHECK_FALSE(t.write(x86_msr::kEfer, 0x1d01));
    c.crs[0] = 0x11;
    CHECK(t.write(x86_msr::kEfer, 1));
    CHECK(c.efer_ == 0x401);  // LMA is the processor's
}

TEST_CASE("AMD's own MSRs") {
    HypervisorConfig config = Machine::default_config();
    config.vendor = Vendor::amd;
    Machine m(config);
    VirtualProcessor& vp = *m.make_child().vp(0);
    CHECK(vp.read_msr(x86_msr::kVmCr, m.now).value == 0x18);
    CHECK_FALSE(vp.write_msr(x86_msr::kHwcr, 1, m.now).gp);
    CHECK(vp.read_msr(x86_msr::kHwcr, m.now).value == 1);
    CHECK(vp.read_msr(x86_msr::kDeCfg, m.now).value == 2);
    for (std::uint32_t i = 0; i < 8; ++i) {
        CHECK_FALSE(vp.write_msr(x86_msr::kPerfEvtSel0 + i, 0x43'0076, m.now).gp);
        CHECK(vp.read_msr(x86_msr::kPerfEvtSel0 + i, m.now) == MsrResult::of(0));
    }
    CHECK(vp.read_msr(x86_msr::kPerfEvtSel0 + 8, m.now).gp);
    Msrs intel;
    CHECK_FALSE(intel.readable(x86_msr::kPerfEvtSel0));
    CHECK_FALSE(intel.write(x86_msr::kPerfEvtSel0 + 7, 0));
}

TEST_CASE("unknown MSRs: fault, parent's answer, or nothing") {
    Msrs t;
    CHECK(t.vp.read_msr(0x1234, t.m.now) == MsrResult::fault());
    CHECK(t.m.simple(0x4d, hc::InstallIntercept{t.child.id(), 1, 1, 0x1234}) == HvStatus::success);
    CHECK(t.vp.read_msr(0x1234, t.m.now).intercept);
    CHECK(t.vp.write_msr(0x1234, 0, t.m.now).gp);
    CHECK(t.m.simple(0x4d, hc::InstallIntercept{t.child.id(), 0, 1, 0x1234}) == HvStatus::success);
    CHECK_FALSE(t.vp.read_msr(0x1234, t.m.now).intercept);
    t.child.set_property(0x5'0017, 1, t.m.now);
    CHECK_FALSE(t.vp.write_msr(0x1234, 7, t.m.now).gp);
    CHECK(t.vp.read_msr(0x1234, t.m.now).value == 0);
    CHECK(t.vp.read_msr(0x4000'0004, t.m.now).gp);  // synthetic ones fault all the same
}

TEST_CASE("TSC") {
    Msrs t;
    CHECK(t.read(0x10) == 2'500'000'000);
    CHECK(t.write(0x10, 1000));
    CHECK(t.read(0x10) == 1000);
    t.m.now += sim::kMicrosecond;
    CHECK(t.read(0x10) == 3500);
    CHECK(t.vp.tsc_offset() == 1000 - std::uint64_t{2'500'000'000});
    CHECK(t.write(0x6e0, 6000));  // TSC deadline is on the same clock
}
