#include "devices/acpi_pm.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace hvsim;
using devices::AcpiPm;
using devices::PmTimer;

namespace {

struct Line final : devices::InterruptLine {
    std::vector<std::pair<bool, sim::Time>> changes;
    void set(bool level, sim::Time now) override { changes.emplace_back(level, now); }
    bool level() const { return !changes.empty() && changes.back().first; }
};

struct Power final : devices::PowerControl {
    std::vector<std::pair<unsigned, sim::Time>> sleeps;
    std::vector<sim::Time> resets;
    void sleep(unsigned sleep_type, sim::Time now) override {
        sleeps.emplace_back(sleep_type, now);
    }
    void reset(sim::Time now) override { resets.push_back(now); }
};

struct Bench {
    explicit Bench(unsigned bits = 32) : pm(PmTimer(bits), &power, &sci) {}
    std::uint64_t get(unsigned offset, unsigned size = 2) {
        sim::Time at = now;
        return pm.read_register(offset, size, at);
    }
    void set(unsigned offset, unsigned value, unsigned size = 2) {
        pm.write_register(offset, size, value, now);
    }
    Power power;
    Line sci;
    AcpiPm pm;
    sim::Time now = 0;
};

constexpr unsigned kStatus = 0, kEnable = 2, kControl = 4, kTimer = 8, kGpeStatus = 12,
                   kGpeEnable = 14;

}  // namespace

TEST_CASE("registers after power-on") {
    Bench b;
    CHECK(b.get(kStatus) == 0);
    CHECK(b.get(kEnable) == 0);
    CHECK(b.get(kControl) == 1);
    CHECK(b.get(6) == 0);
    CHECK(b.get(kTimer, 4) == 0);
    CHECK(b.get(kGpeStatus, 4) == 0);
}

TEST_CASE("the timer counts virtual time exactly") {
    Bench b;
    b.now = sim::kSecond;
    CHECK(b.get(kTimer, 4) == 3579545);
    b.now = sim::kSecond - 1;
    CHECK(PmTimer(32).value_at(b.now) == 3579544);
    Bench narrow(24);
    narrow.now = 10 * sim::kSecond;
    CHECK(narrow.get(kTimer, 4) == 35795450 % (1 << 24));
    CHECK(narrow.get(kTimer + 2, 1) == (35795450 >> 16 & 0xff));
}

TEST_CASE("the timer does not go back between processors") {
    Bench b;
    sim::Time first = 1'000'000'000;
    sim::Time second = 500;
    const std::uint64_t seen = b.pm.read_register(kTimer, 4, first);
    CHECK(b.pm.read_register(kTimer, 4, second) == seen);
    CHECK(second == 1'000'000'000);
    sim::Time status = 7;
    b.pm.read_register(kStatus, 2, status);
    CHECK(status == 7);  // other registers are no clocks
}

TEST_CASE("the timer's carry sets TMR_STS and, if enabled, raises the SCI") {
    for (const unsigned bits : {24u, 32u}) {
        Bench b(bits);
        const sim::Time carry = sim::time_of_ticks(std::uint64_t{1} << (bits - 1),
                                                   devices::spec::acpi_pm::kPmTimerHertz);
        CHECK(b.pm.next_deadline() == sim::kNever);
        b.set(kEnable, 1);
        CHECK(b.pm.next_deadline() == carry);
        b.pm.advance_to(carry - 1);
        CHECK_FALSE(b.sci.level());
        b.pm.advance_to(carry + 12345);
        CHECK((b.sci.changes == std::vector<std::pair<bool, sim::Time>>{{true, carry}}));
        CHECK(b.pm.next_deadline() == sim::kNever);
        b.now = carry + 20000;
        CHECK(b.get(kStatus) == 1);
        b.set(kStatus, 1);
        CHECK_FALSE(b.sci.level());
        CHECK(b.pm.next_deadline() ==
              sim::time_of_ticks(std::uint64_t{1} << bits, devices::spec::acpi_pm::kPmTimerHertz));
    }
}

TEST_CASE("power button") {
    Bench b;
    b.pm.press_power_button(100);
    CHECK(b.get(kStatus) == 0x100);
    CHECK_FALSE(b.sci.level());
    b.now = 200;
    b.set(kEnable, 0x100);
    CHECK((b.sci.changes == std::vector<std::pair<bool, sim::Time>>{{true, 200}}));
    b.set(kStatus, 0xfeff);
    CHECK(b.get(kStatus) == 0x100);
    b.set(kStatus + 1, 0x01, 1);
    CHECK(b.get(kStatus) == 0);
    CHECK_FALSE(b.sci.level());
}

TEST_CASE("enable and control keep what they implement") {
    Bench b;
    b.set(kEnable, 0xffff);
    CHECK(b.get(kEnable) == 0x0721);
    b.set(kControl, 0xdfff);
    CHECK(b.get(kControl) == 0x1c03);
    b.set(kControl, 0);
    CHECK(b.get(kControl) == 1);
    b.set(kEnable, 0, 4);  // enable and control at once
    CHECK(b.get(kEnable, 4) == 0x00010000);
    CHECK(b.power.sleeps.empty());
}

TEST_CASE("SLP_EN asks for the sleep type, by word or by byte") {
    Bench b;
    b.now = 42;
    b.set(kControl, 5u << 10);
    CHECK(b.power.sleeps.empty());
    b.set(kControl, 5u << 10 | 1u << 13);
    CHECK((b.power.sleeps == std::vector<std::pair<unsigned, sim::Time>>{{5, 42}}));
    CHECK(b.get(kControl) == (5u << 10 | 1));
    b.set(kControl + 1, 0x20 | 7 << 2, 1);
    CHECK(b.power.sleeps.back().first == 7);
    b.set(kControl, 1u << 13);
    CHECK(b.power.sleeps.back().first == 0);
    CHECK(b.power.sleeps.size() == 3);
}

TEST_CASE("general purpose events") {
    Bench b;
    b.set(kGpeEnable, 0x8001);
    b.pm.raise_event(1, 10);
    CHECK_FALSE(b.sci.level());
    b.pm.raise_event(15, 20);
    CHECK((b.sci.changes == std::vector<std::pair<bool, sim::Time>>{{true, 20}}));
    CHECK(b.get(kGpeStatus) == 0x8002);
    CHECK(b.get(kGpeStatus, 4) == 0x80018002);
    b.set(kGpeStatus + 1, 0x80, 1);
    CHECK_FALSE(b.sci.level());
    CHECK(b.get(kGpeStatus) == 0x0002);
}

TEST_CASE("accesses over edges and past the end touch only what is there") {
    Bench b;
    b.set(6, 0xffff);
    b.set(kTimer, 0xffffffff, 4);
    CHECK(b.get(kTimer, 4) == 0);
    b.set(14, 0xffffffff, 4);
    CHECK(b.get(14, 4) == 0x0000ffff);
    CHECK(b.get(100, 4) == 0);
}

TEST_CASE("reset register") {
    Power power;
    devices::ResetRegister reset(0x06, &power);
    sim::Time now = 5;
    reset.write_register(0, 1, 0x02, now);
    CHECK(power.resets.empty());
    CHECK(reset.read_register(0, 1, now) == 0x02);
    reset.write_register(0, 1, 0x06, now);
    CHECK(power.resets == std::vector<sim::Time>{5});
}
