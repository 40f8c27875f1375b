#include "devices/rtc.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace hvsim;
using devices::CalendarTime;
using devices::Rtc;

namespace {

struct Line final : devices::InterruptLine {
    std::vector<std::pair<bool, sim::Time>> changes;
    void set(bool level, sim::Time now) override { changes.emplace_back(level, now); }
    bool level() const { return !changes.empty() && changes.back().first; }
};

constexpr std::int64_t kStart = 1709251198;  // Thursday 2024-02-29 23:59:58

struct Bench {
    explicit Bench(std::int64_t start = kStart) : rtc({start}, &line) {}
    unsigned get(unsigned index) {
        sim::Time at = now;
        rtc.write_register(0, 1, index, now);
        return static_cast<unsigned>(rtc.read_register(1, 1, at));
    }
    void set(unsigned index, unsigned value) {
        rtc.write_register(0, 1, index, now);
        rtc.write_register(1, 1, value, now);
    }
    std::vector<unsigned> time() {
        return {get(0x32), get(9), get(8), get(7), get(6), get(4), get(2), get(0)};
    }
    Line line;
    Rtc rtc;
    sim::Time now = 0;
};

using Time = std::vector<unsigned>;

}  // namespace

TEST_CASE("calendar") {
    CHECK(devices::calendar_of(0) == CalendarTime{1970, 1, 1, 0, 0, 0, 5});
    CHECK(devices::calendar_of(951782400) == CalendarTime{2000, 2, 29, 0, 0, 0, 3});
    CHECK(devices::calendar_of(kStart) == CalendarTime{2024, 2, 29, 23, 59, 58, 5});
    CHECK(devices::calendar_of(4102444800) == CalendarTime{2100, 1, 1, 0, 0, 0, 6});
    CHECK(devices::calendar_of(-1) == CalendarTime{1969, 12, 31, 23, 59, 59, 4});
    CHECK(devices::calendar_of(-62167219200) == CalendarTime{0, 1, 1, 0, 0, 0, 7});
    CHECK(devices::calendar_of(253402300799) == CalendarTime{9999, 12, 31, 23, 59, 59, 6});
    for (std::int64_t s = -62167219200; s < 253402300799; s += 86400 * 13 + 4321)
        REQUIRE(devices::seconds_of(devices::calendar_of(s)) == s);
}

TEST_CASE("the date runs with virtual time, over a leap day's midnight") {
    Bench b;
    CHECK(b.time() == Time{0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x58});
    b.now = sim::kSecond - 1;
    CHECK(b.get(0) == 0x58);
    b.now = sim::kSecond;
    CHECK(b.get(0) == 0x59);
    b.now = 2 * sim::kSecond;
    CHECK(b.time() == Time{0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00});
    CHECK(b.get(0x0a) == 0x26);
    CHECK(b.get(0x0b) == 0x02);
    CHECK(b.get(0x0d) == 0x80);
}

TEST_CASE("binary and 12-hour modes") {
    Bench b;
    b.set(0x0b, 0x06);
    CHECK(b.time() == Time{20, 24, 2, 29, 5, 23, 59, 58});
    b.set(0x0b, 0x00);
    CHECK(b.get(4) == 0x91);  // 11 p.m.
    b.set(0x0b, 0x04);
    CHECK(b.get(4) == 0x8b);
    b.now = 2 * sim::kSecond;
    CHECK(b.get(4) == 12);  // midnight
    b.now += 12 * 3600 * sim::kSecond;
    CHECK(b.get(4) == (0x80 | 12));  // noon
}

TEST_CASE("update in progress stands before each update") {
    Bench b;
    const sim::Duration span = 2228 * sim::kMicrosecond;
    b.now = sim::kSecond - span - 1;
    CHECK((b.get(0x0a) & 0x80) == 0);
    b.now = sim::kSecond - span;
    CHECK((b.get(0x0a) & 0x80) == 0x80);
    b.now = sim::kSecond - 1;
    CHECK((b.get(0x0a) & 0x80) == 0x80);
    CHECK(b.get(0) == 0x58);
    b.now = sim::kSecond;
    CHECK((b.get(0x0a) & 0x80) == 0);
    CHECK(b.get(0) == 0x59);
    b.set(0x0b, 0x82);
    b.now = 2 * sim::kSecond - 1;
    CHECK((b.get(0x0a) & 0x80) == 0);  // nothing is updated while SET
}

TEST_CASE("no clock goes back between processors") {
    Bench b;
    b.now = 5 * sim::kSecond;
    CHECK(b.get(0) == 0x03);
    sim::Time behind = sim::kSecond;
    b.rtc.write_register(0, 1, 0, behind);
    CHECK(b.rtc.read_register(1, 1, behind) == 0x03);
    CHECK(behind == 5 * sim::kSecond);
}

// The order in which the Linux driver sets the time: SET, divider reset, bytes, SET off, divider
// on.
TEST_CASE("setting the time") {
    Bench b;
    b.now = 300 * sim::kMillisecond;
    b.set(0x0b, 0x82);
    b.set(0x0a, 0x76);
    b.set(9, 0x31);
    b.set(8, 0x12);
    b.set(7, 0x31);
    b.set(4, 0x23);
    b.set(2, 0x59);
    b.set(0, 0x59);
    b.set(0x32, 0x20);
    b.now += 3 * sim::kSecond;
    CHECK(b.get(0) == 0x59);
    b.set(0x0b, 0x02);
    b.set(0x0a, 0x26);
    const sim::Time started = b.now;
    b.now = started + 500 * sim::kMillisecond - 1;
    CHECK(b.time() == Time{0x20, 0x31, 0x12, 0x31, 4, 0x23, 0x59, 0x59});
    b.now = started + 500 * sim::kMillisecond;
    CHECK(b.time() == Time{0x20, 0x32, 0x01, 0x01, 5, 0x00, 0x00, 0x00});
    b.now += 59 * sim::kSecond;
    CHECK(b.get(0) == 0x59);
}

TEST_CASE("a byte written to the running clock takes effect at once and keeps the phase") {
    Bench b;
    b.now = 300 * sim::kMillisecond;
    b.set(2, 0x30);
    CHECK(b.time() == Time{0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x30, 0x58});
    b.now = sim::kSecond;
    CHECK(b.get(0) == 0x59);
}

TEST_CASE("values that are no date are brought into range") {
    Bench b;
    b.set(0x0b, 0x82);
    for (unsigned index : {0u, 2u, 4u, 6u, 7u, 8u, 9u, 0x32u}) b.set(index, 0xff);
    CHECK(b.get(8) == 0xff);
    b.set(0x0b, 0x02);
    CHECK(b.time() == Time{0x99, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59});
    b.now = sim::kSecond;
    CHECK(b.get(8) == 0x01);
    b.set(0x0b, 0x82);
    b.set(8, 0);
    b.set(7, 0);
    b.set(0x0b, 0x02);
    CHECK(b.get(8) == 0x01);
    CHECK(b.get(7) == 0x01);
}

TEST_CASE("update-ended interrupt") {
    Bench b;
    CHECK(b.rtc.next_deadline() == sim::kNever);
    b.set(0x0b, 0x12);
    CHECK(b.rtc.next_deadline() == sim::kSecond);
    b.rtc.advance_to(sim::kSecond - 1);
    CHECK_FALSE(b.line.level());
    b.rtc.advance_to(sim::kSecond);
    CHECK((b.line.changes == std::vector<std::pair<bool, sim::Time>>{{true, sim::kSecond}}));
    CHECK(b.rtc.next_deadline() == sim::kNever);  // the line stands until C is read
    b.now = 3 * sim::kSecond;
    CHECK(b.get(0x0c) == 0xf0);  // periodic ticks set their flag too, and midnight is the alarm
    CHECK_FALSE(b.line.level());
    CHECK(b.get(0x0c) == 0);
    CHECK(b.rtc.next_deadline() == 4 * sim::kSecond);
    b.set(0x0b, 0x92);  // SET takes UIE away
    CHECK(b.get(0x0b) == 0x82);
    CHECK(b.rtc.next_deadline() == sim::kNever);
}

TEST_CASE("a late dispatcher still sends the interrupt at its time") {
    Bench b;
    b.set(0x0b, 0x12);
    b.rtc.advance_to(10 * sim::kSecond);
    CHECK((b.line.changes == std::vector<std::pair<bool, sim::Time>>{{true, sim::kSecond}}));
}

TEST_CASE("alarm") {
    Bench b;
    b.set(5, 0x00);
    b.set(3, 0x00);
    b.set(1, 0x05);
    b.set(0x0b, 0x22);
    CHECK(b.rtc.next_deadline() == 7 * sim::kSecond);
    b.rtc.advance_to(7 * sim::kSecond);
    CHECK((b.line.changes == std::vector<std::pair<bool, sim::Time>>{{true, 7 * sim::kSecond}}));
    b.now = 7 * sim::kSecond;
    CHECK((b.get(0x0c) & 0xa0) == 0xa0);
    CHECK(b.rtc.next_deadline() == (7 + 86400) * sim::kSecond);
    b.set(5, 0xff);  // every hour
    CHECK(b.rtc.next_deadline() == (7 + 3600) * sim::kSecond);
    b.set(3, 0xc0);  // every minute
    CHECK(b.rtc.next_deadline() == (7 + 60) * sim::kSecond);
    b.set(1, 0xc0);  // every second
    CHECK(b.rtc.next_deadline() == 8 * sim::kSecond);
    b.set(1, 0x60);  // no such second
    CHECK(b.rtc.next_deadline() == sim::kNever);
}

TEST_CASE("alarm at the very second that just was is a day away") {
    Bench b;
    b.set(5, 0x23);
    b.set(3, 0x59);
    b.set(1, 0x58);
    b.set(0x0b, 0x22);
    CHECK(b.rtc.next_deadline() == 86400 * sim::kSecond);
    b.set(5, 0x22);
    CHECK(b.rtc.next_deadline() == (86400 - 3600) * sim::kSecond);
}

TEST_CASE("periodic interrupt: every rate") {
    const unsigned hertz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                256, 128, 64,  32,   16,   8,    4,    2};
    for (unsigned rate = 0; rate < 16; ++rate) {
        Bench b;
        b.set(0x0a, 0x20 | rate);
        b.set(0x0b, 0x42);
        if (rate == 0) {
            CHECK(b.rtc.next_deadline() == sim::kNever);
            continue;
        }
        std::uint64_t ticks = 0;
        while (b.rtc.next_deadline() <= sim::kSecond) {
            b.now = b.rtc.next_deadline();
            b.rtc.advance_to(b.now);
            REQUIRE(b.line.level());
            REQUIRE((b.get(0x0c) & 0xc0) == 0xc0);
            ++ticks;
        }
        CHECK(ticks == hertz[rate]);
        CHECK(b.now == sim::kSecond);
    }
}

TEST_CASE("CMOS RAM, read-only registers and the index port") {
    Bench b;
    b.rtc.set_cmos(0x15, 0x80);
    CHECK(b.get(0x15) == 0x80);
    for (unsigned index = 0x0e; index < 0x80; ++index)
        if (index != 0x32) b.set(index, index ^ 0x5a);
    for (unsigned index = 0x0e; index < 0x80; ++index)
        if (index != 0x32) CHECK(b.get(index) == (index ^ 0x5a));
    CHECK(b.get(0x80 | 0x0e) == (0x0e ^ 0x5a));  // bit 7 is the NMI mask
    b.set(0x0c, 0xff);
    b.set(0x0d, 0x00);
    CHECK(b.get(0x0c) == 0);
    CHECK(b.get(0x0d) == 0x80);
    sim::Time at = 0;
    CHECK(b.rtc.read_register(0, 1, at) == 0xff);
}

TEST_CASE("any sequence of accesses leaves a clock with a future") {
    Bench b;
    std::uint64_t state = 9;
    for (int i = 0; i < 30000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const auto r = static_cast<unsigned>(state >> 33);
        b.now += r % 7 * 100 * sim::kMillisecond;
        if (r / 7 % 2 != 0)
            b.set(r >> 4 & 0x0f, r >> 9 & 0xff);
        else
            b.get(r >> 4 & 0x0f);
        REQUIRE(b.rtc.next_deadline() > b.now);
        const bool raised = b.line.level();
        const unsigned enables = b.get(0x0b) & 0x70;
        const unsigned flags = b.get(0x0c);  // and lowers the line
        REQUIRE(raised == ((flags & enables) != 0));
        REQUIRE(raised == ((flags & 0x80) != 0));
        REQUIRE_FALSE(b.line.level());
    }
}
