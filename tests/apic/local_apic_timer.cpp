// The timer (SDM 3A 11.5.4).
#include "tests/apic/apic_machine.h"

using namespace hvsim;
using namespace hvsim::apic::test;

namespace {

constexpr sim::Time kTick = 5 * sim::kNanosecond;  // of 200 MHz

struct TimerApic : OneApic {
    TimerApic() {
        write(0x3e0, 0xb);  // divide by 1
        write(0x320, 0x40);
    }
    bool fired() {
        if (!apic.highest_pending()) return false;
        CHECK(apic.acknowledge(0) == 0x40);
        apic.eoi(0);
        return true;
    }
};

}  // namespace

TEST_CASE("one-shot counts down exactly, for every divide configuration") {
    const std::uint32_t divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};
    for (std::uint32_t code = 0; code < 8; ++code) {
        TimerApic one;
        one.write(0x3e0, (code & 3) | (code & 4) << 1);
        const sim::Time step = kTick * divisors[code];
        const sim::Time start = 777 * sim::kNanosecond + 13;
        one.write(0x380, 1000, start);
        CHECK(one.read(0x390, start) == 1000);
        CHECK(one.read(0x390, start + step - 1) == 1000);
        CHECK(one.read(0x390, start + step) == 999);
        CHECK(one.read(0x390, start + 500 * step) == 500);
        CHECK(one.apic.next_deadline() == start + 1000 * step);
        one.apic.advance_to(start + 1000 * step - 1);
        CHECK_FALSE(one.fired());
        CHECK(one.read(0x390, start + 1000 * step - 1) == 1);
        one.apic.advance_to(start + 1000 * step);
        CHECK(one.fired());
        CHECK(one.read(0x390, start + 1000 * step) == 0);
        CHECK(one.read(0x380, start + 1000 * step) == 1000);
        CHECK(one.apic.next_deadline() == sim::kNever);
        one.apic.advance_to(start + 5000 * step);
        CHECK_FALSE(one.fired());
    }
}

TEST_CASE("reserved bits of the divide configuration are not kept") {
    TimerApic one;
    one.write(0x3e0, 0xffffffff);
    CHECK(one.read(0x3e0) == 0xb);
}

TEST_CASE("a periodic timer of a frequency that does not divide time never drifts") {
    LocalApicConfig config;
    config.timer_hz = 333'333'333;
    OneApic one(config);
    one.write(0x3e0, 0xb);
    one.write(0x320, 0x20040);
    const sim::Time start = 12345;
    one.write(0x380, 7, start);
    for (std::uint64_t n = 1; n <= 100'000; ++n) {
        const sim::Time due = start + sim::time_of_ticks(7 * n, config.timer_hz);
        REQUIRE(one.apic.next_deadline() == due);
        one.apic.advance_to(due);
        REQUIRE(one.apic.highest_pending());
        one.apic.acknowledge(due);
        one.apic.eoi(due);
    }
    CHECK(one.apic.statistics().timer_expirations == 100'000);
}

TEST_CASE("a periodic timer reloads; missed periods make one interrupt and keep the phase") {
    TimerApic one;
    one.write(0x320, 0x20040);
    one.write(0x380, 100, 0);
    CHECK(one.read(0x390, 100 * kTick) == 100);
    CHECK(one.fired());
    CHECK(one.read(0x390, 199 * kTick) == 1);
    one.apic.advance_to(1050 * kTick);
    CHECK(one.fired());
    CHECK_FALSE(one.fired());
    CHECK(one.apic.statistics().timer_expirations == 10);
    CHECK(one.apic.next_deadline() == 1100 * kTick);
    CHECK(one.read(0x390, 1050 * kTick) == 50);
    one.write(0x380, 0, 1060 * kTick);
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.read(0x390, 2000 * kTick) == 0);
}

TEST_CASE("changing between one-shot and periodic does not disturb the count") {
    TimerApic one;
    one.write(0x380, 1000, 0);
    one.write(0x320, 0x20040, 700 * kTick + 3);
    CHECK(one.read(0x390, 700 * kTick + 3) == 300);
    CHECK(one.apic.next_deadline() == 1000 * kTick);
    CHECK(one.read(0x390, 1250 * kTick) == 750);  // reloaded
    CHECK(one.fired());
    one.write(0x320, 0x40, 1300 * kTick);
    CHECK(one.apic.next_deadline() == 2000 * kTick);
    one.apic.advance_to(2000 * kTick);
    CHECK(one.fired());
    CHECK(one.apic.next_deadline() == sim::kNever);
    one.write(0x320, 0x20040, 2100 * kTick);  // an expired count stays expired
    CHECK(one.read(0x390, 2100 * kTick) == 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
}

TEST_CASE("a new divisor goes on with the count that is left") {
    TimerApic one;
    one.write(0x380, 1000, 0);
    one.write(0x3e0, 0x0, 400 * kTick);  // by 2
    CHECK(one.read(0x390, 400 * kTick) == 600);
    CHECK(one.apic.next_deadline() == 1600 * kTick);
    one.write(0x3e0, 0x0, 401 * kTick);  // the same again changes nothing
    CHECK(one.apic.next_deadline() == 1600 * kTick);
}

TEST_CASE("a masked timer counts without interrupt") {
    TimerApic one;
    one.write(0x320, 0x10040);
    one.write(0x380, 10, 0);
    one.apic.advance_to(10 * kTick);
    CHECK_FALSE(one.fired());
    one.write(0x320, 0x40, 11 * kTick);
    CHECK_FALSE(one.fired());
    CHECK(one.apic.statistics().timer_expirations == 1);
}

TEST_CASE("TSC deadline: exact, once, cleared when it fires") {
    TimerApic one;  // TSC 2 GHz: 500 ps a tick
    one.write(0x320, 0x40040);
    CHECK(one.apic.write_msr(kMsrTscDeadline, 1001, 100));
    CHECK(one.apic.read_msr(kMsrTscDeadline, 100) == 1001);
    CHECK(one.apic.next_deadline() == 500'500);
    one.apic.advance_to(500'499);
    CHECK_FALSE(one.fired());
    one.apic.advance_to(500'500);
    CHECK(one.fired());
    CHECK(one.apic.read_msr(kMsrTscDeadline, 500'500) == 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.apic.write_msr(kMsrTscDeadline, 1001, 600'000));  // in the past: at once
    CHECK(one.fired());
    CHECK(one.apic.write_msr(kMsrTscDeadline, ~std::uint64_t{0}, 600'000));  // past time's end
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.apic.read_msr(kMsrTscDeadline, 600'000) == ~std::uint64_t{0});
    CHECK(one.apic.write_msr(kMsrTscDeadline, 0, 600'000));
    CHECK(one.apic.next_deadline() == sim::kNever);
    // The count registers sleep in this mode.
    one.write(0x380, 55, 600'000);
    CHECK(one.read(0x380, 600'000) == 0);
    CHECK(one.read(0x390, 600'000) == 0);
}

TEST_CASE("a TSC offset moves the deadline, over the wrap as well") {
    TimerApic one;
    one.write(0x320, 0x40040);
    one.apic.set_tsc_offset(std::uint64_t{0} - 1000, 0);       // the TSC starts at -1000
    CHECK(one.apic.write_msr(kMsrTscDeadline, 500, 600'000));  // TSC 200
    CHECK(one.apic.next_deadline() == 750'000);
    one.apic.set_tsc_offset(0, 600'000);  // TSC 1200: passed
    CHECK(one.fired());
}

TEST_CASE("going to and from TSC-deadline mode disarms; other modes ignore the MSR") {
    TimerApic one;
    one.write(0x380, 1000, 0);
    one.write(0x320, 0x40040, 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.apic.write_msr(kMsrTscDeadline, 5000, 0));
    one.write(0x320, 0x40, 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.apic.read_msr(kMsrTscDeadline, 0) == 0);
    CHECK(one.apic.write_msr(kMsrTscDeadline, 5000, 0));
    CHECK(one.apic.read_msr(kMsrTscDeadline, 0) == 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
    one.write(0x320, 0x60040, 0);  // reserved mode: nothing ever
    one.write(0x380, 1, 0);
    CHECK(one.apic.next_deadline() == sim::kNever);
}

TEST_CASE("without the TSC-deadline feature there is no MSR and no mode bit") {
    LocalApicConfig config;
    config.tsc_deadline = false;
    OneApic one(config);
    CHECK_FALSE(one.apic.read_msr(kMsrTscDeadline, 0));
    CHECK_FALSE(one.apic.write_msr(kMsrTscDeadline, 0, 0));
    one.write(0x320, 0x60040);
    CHECK(one.read(0x320) == 0x20040);
    one.enter_x2apic();
    CHECK_FALSE(one.apic.write_msr(0x832, 0x40040, 0));
}

TEST_CASE("extreme counts saturate instead of wrapping") {
    LocalApicConfig config;
    config.timer_hz = 1;
    OneApic one(config);
    one.write(0x320, 0x20040);
    one.write(0x3e0, 0xa);  // by 128
    one.write(0x380, 0xffffffff, 3);
    CHECK(one.apic.next_deadline() == sim::kNever);
    CHECK(one.read(0x390, sim::kNever - 1) == 0xffffffff - 18446744u / 128);
}

TEST_CASE("saving and restoring in mid-count changes nothing") {
    TimerApic one;
    one.write(0x320, 0x20040);
    one.write(0x380, 1234, 17);
    one.apic.advance_to(5000 * kTick);
    TimerApic other;
    other.apic.restore(one.apic.state());
    CHECK(other.apic.state() == one.apic.state());
    CHECK(other.apic.next_deadline() == one.apic.next_deadline());
    CHECK(other.read(0x390, 5003 * kTick) == one.read(0x390, 5003 * kTick));
}
