// Reference time, its page, synthetic timers.
#include <doctest/doctest.h>

#include "fixture.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

constexpr sim::Duration kTick = 100 * sim::kNanosecond;
constexpr std::uint64_t kDirect = 0x1ed9;  // as Linux writes it: enable, auto-enable, vector 0xed

/// What a guest computes from the reference TSC page (TLFS 12.7.2).
std::uint64_t from_page(const ReferenceTscPage& page, std::uint64_t tsc) {
    return static_cast<std::uint64_t>(static_cast<sim::Uint128>(tsc) * page.scale >> 64) +
           static_cast<std::uint64_t>(page.offset);
}

struct Timers {
    Machine m;
    VirtualProcessor& vp;
    explicit Timers() : vp(*m.make_child().vp(0)) {
        m.enable_apic(vp);
        m.enable_synic(vp);
        m.now += sim::kMillisecond;
    }
    std::uint64_t ref() { return vp.partition().time().at(m.now); }
    sim::Time at(std::uint64_t reference) { return vp.partition().time().time_of(reference); }
    void config(std::uint64_t value) { CHECK_FALSE(vp.write_msr(0x4000'00b0, value, m.now).gp); }
    void count(std::uint64_t value) { CHECK_FALSE(vp.write_msr(0x4000'00b1, value, m.now).gp); }
    void go_to(sim::Time time) {
        m.now = time;
        vp.advance_to(time);
    }
    bool take(std::uint8_t vector) {
        if (vp.pending_vector() != vector) return false;
        vp.accept_interrupt(m.now);
        vp.end_of_interrupt(m.now);
        return true;
    }
};

}  // namespace

TEST_CASE("counter, page and expiry agree at every frequency and time") {
    for (const std::uint64_t hz : {10'000'001ull, 1'000'000'000ull, 2'100'000'000ull,
                                   2'500'000'000ull, 2'999'999'999ull, 5'123'456'789ull}) {
        CAPTURE(hz);
        for (const sim::Time created :
             {sim::Time{0}, sim::Time{1}, sim::Time{12'345'678'901'234}}) {
            const ReferenceTime time(hz, created);
            CHECK(time.at(created) == 0);
            std::uint64_t previous = 0;
            for (sim::Duration after = 0; after < 5'000'000 * sim::kSecond;
                 after = after * 3 / 2 + 777) {
                const sim::Time now = created + after;
                const std::uint64_t value = time.at(now);
                CHECK(value == from_page(time.page(), time.tsc(now)));
                CHECK(value >= previous);
                previous = value;
                // True time, within one tick.
                const std::uint64_t exact = after / kTick;
                CHECK(value + 1 >= exact);
                CHECK(value <= exact + 1);
                // The expiry of this count is the first moment that shows it.
                const sim::Time due = time.time_of(value + 1);
                CHECK(due > now);
                CHECK(time.at(due) == value + 1);
                CHECK(time.at(due - 1) == value);
            }
        }
    }
}

TEST_CASE("expiry beyond the simulation's range never comes") {
    const ReferenceTime time(2'500'000'000, 0);
    CHECK(time.time_of(~std::uint64_t{0}) == sim::kNever);
    CHECK(time.time_of(0) == 0);
}

TEST_CASE("frozen clocks stand, and go on from where they stood") {
    ReferenceTime time(2'500'000'000, 0);
    const sim::Time stop = 3 * sim::kSecond, go = 100 * sim::kSecond;
    const std::uint64_t reference = time.at(stop), tsc = time.tsc(stop);
    time.set_frozen(true, stop);
    CHECK(time.at(50 * sim::kSecond) == reference);
    CHECK(time.tsc(50 * sim::kSecond) == tsc);
    CHECK(time.time_of(reference + 1) == sim::kNever);
    time.set_frozen(false, go);
    CHECK(time.at(go) == reference);
    CHECK(time.tsc(go) == tsc);
    CHECK(time.at(go + sim::kSecond) == reference + 10'000'000);
    CHECK(time.time_of(reference + 10'000'000) == go + sim::kSecond);
    const std::uint32_t sequence = time.sequence();
    time.set(5, go);
    CHECK(time.at(go) == 5);
    CHECK(time.sequence() != sequence);
}

TEST_CASE("the reference TSC page in the guest") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    CHECK_FALSE(vp.write_msr(msr::kReferenceTsc, 0x7'0001, m.now).gp);
    const auto page = [&] {
        ReferenceTscPage value;
        std::array<std::uint8_t, sizeof(value)> bytes{};
        CHECK(child.gpa_space().read(0x7'0000, bytes).ok());
        std::memcpy(&value, bytes.data(), sizeof(value));
        return value;
    };
    CHECK(page().sequence == 1);
    for (const sim::Time later : {1ull, 99'999ull, 123'456'789'012ull}) {
        const sim::Time now = m.now + later;
        CHECK(from_page(page(), vp.tsc(now)) == vp.read_msr(msr::kTimeRefCount, now).value);
    }
    // A processor that sets its own TSC breaks the page's promise: guests go to the MSR.
    vp.write_msr(0x10, 0, m.now);
    CHECK(vp.tsc(m.now) == 0);
    CHECK(page().sequence == 0);
    CHECK(vp.write_msr(msr::kReferenceTsc, 0x7'0003, m.now).gp);
    CHECK_FALSE(vp.write_msr(msr::kReferenceTsc, 0, m.now).gp);
}

TEST_CASE("one-shot in direct mode") {
    Timers t;
    t.config(kDirect);
    const std::uint64_t due = t.ref() + 5000;
    t.count(due);
    CHECK(t.vp.next_deadline() == t.at(due));
    t.go_to(t.at(due) - 1);
    CHECK_FALSE(t.vp.pending_vector());
    t.go_to(t.at(due));
    CHECK(t.take(0xed));
    CHECK(t.vp.next_deadline() == sim::kNever);
    CHECK((t.vp.read_msr(0x4000'00b0, t.m.now).value & 1) == 0);
    // Auto-enable: the next count starts it again; in the past it fires at once, once.
    t.count(1);
    CHECK(t.take(0xed));
    CHECK_FALSE(t.vp.pending_vector());
    t.count(0);
    CHECK(t.vp.next_deadline() == sim::kNever);
}

TEST_CASE("periodic: phase stays, missed periods are one") {
    Timers t;
    t.config(kDirect | msr::StimerConfig::kPeriodic);
    const std::uint64_t start = t.ref();
    t.count(1000);
    for (unsigned i = 1; i <= 3; ++i) {
        CHECK(t.vp.next_deadline() == t.at(start + i * 1000));
        t.go_to(t.vp.next_deadline());
        CHECK(t.take(0xed));
    }
    t.go_to(t.at(start + 7500));
    CHECK(t.take(0xed));
    CHECK_FALSE(t.vp.pending_vector());
    CHECK(t.vp.next_deadline() == t.at(start + 8000));
}

TEST_CASE("message mode: waits for the slot, stays enabled until delivered") {
    Timers t;
    t.config(0x2'0009);  // SINT2, auto-enable, enable
    MessageSlot busy;
    busy.type = 1;
    t.vp.synic().post(2, busy, 0, t.m.now);
    CHECK(t.take(0xf3));
    const std::uint64_t due = t.ref() + 100;
    t.count(due);
    t.go_to(t.at(due) + 5 * kTick);
    CHECK(t.m.slot(t.vp, 2).type == 1);
    CHECK(t.m.slot(t.vp, 2).flags == 1);
    CHECK((t.vp.read_msr(0x4000'00b0, t.m.now).value & 1) == 1);
    CHECK(t.vp.counters().timer_messages == 0);
    t.m.clear_slot(t.vp, 2);
    t.m.now += 10 * kTick;
    t.vp.write_msr(msr::kEom, 0, t.m.now);
    const MessageSlot slot = t.m.slot(t.vp, 2);
    CHECK(t.vp.counters().timer_messages == 1);
    CHECK(t.vp.counters().by_timer == 0);
    CHECK(slot.type == 0x8000'0010);
    CHECK(slot.payload_size == 24);
    TimerMessagePayload payload;
    std::memcpy(&payload, slot.payload.data(), sizeof(payload));
    CHECK(payload.timer_index == 0);
    CHECK(payload.expiration_time == due);
    CHECK(payload.delivery_time == t.ref());
    CHECK(payload.delivery_time == due + 15);
    CHECK((t.vp.read_msr(0x4000'00b0, t.m.now).value & 1) == 0);
    CHECK(t.take(0xf3));
}

TEST_CASE("a new count takes a waiting message back") {
    Timers t;
    t.vp.write_msr(msr::kSint0 + 2, 0x10000, t.m.now);
    t.config(0x2'0009);
    t.count(1);
    CHECK(t.vp.synic().anything_queued());
    t.count(t.ref() + 1000);
    CHECK_FALSE(t.vp.synic().anything_queued());
    t.go_to(t.vp.next_deadline());
    CHECK(t.vp.synic().queued_for(2) == 1);
    t.config(0);
    CHECK_FALSE(t.vp.synic().anything_queued());
}

TEST_CASE("configurations that are refused or do not start") {
    Timers t;
    CHECK(t.vp.write_msr(0x4000'00b0, 1u << 13, t.m.now).gp);
    CHECK(t.vp.write_msr(0x4000'00b0, 1u << 20, t.m.now).gp);
    CHECK(t.vp.write_msr(0x4000'00b0, std::uint64_t{1} << 63, t.m.now).gp);
    t.config(0x9);  // SINT0 in message mode: not enabled
    CHECK(t.vp.read_msr(0x4000'00b0, t.m.now).value == 8);
    t.count(1);
    CHECK_FALSE(t.vp.synic().anything_queued());
    t.config(kDirect);  // count 1 is long past
    CHECK(t.take(0xed));
    t.vp.partition().features().features &= ~std::uint32_t{cpuid::kDirectTimers};
    CHECK(t.vp.write_msr(0x4000'00b0, kDirect, t.m.now).gp);
    // All four exist, no fifth.
    for (std::uint32_t index = 0x4000'00b0; index < 0x4000'00b8; ++index)
        CHECK_FALSE(t.vp.read_msr(index, t.m.now).gp);
    CHECK(t.vp.read_msr(0x4000'00b8, t.m.now).gp);
}

TEST_CASE("extreme counts") {
    Timers t;
    t.config(kDirect | msr::StimerConfig::kPeriodic);
    t.count(~std::uint64_t{0});
    CHECK(t.vp.next_deadline() == sim::kNever);
    t.count(1);
    const sim::Time far = 1'000'000 * sim::kSecond;
    t.go_to(far);
    CHECK(t.take(0xed));
    CHECK(t.vp.next_deadline() > far);
    CHECK(t.vp.next_deadline() <= far + kTick);
}

TEST_CASE("a lazy timer does not wake a halted processor") {
    Timers t;
    t.config(kDirect | msr::StimerConfig::kLazy);
    const std::uint64_t due = t.ref() + 10;
    t.count(due);
    t.m.context(t.vp).halted_ = true;
    CHECK(t.vp.next_deadline() == sim::kNever);
    t.go_to(t.at(due) + sim::kMillisecond);
    CHECK_FALSE(t.vp.pending_vector());
    t.m.context(t.vp).halted_ = false;
    t.vp.advance_to(t.m.now);
    CHECK(t.take(0xed));
}

TEST_CASE("suspended time: timers stand with the clock") {
    Timers t;
    t.config(kDirect);
    const std::uint64_t due = t.ref() + 1000;
    t.count(due);
    t.vp.partition().set_property(0x3'0003, 1, t.m.now);
    CHECK(t.vp.next_deadline() == sim::kNever);
    t.m.now += sim::kSecond;
    t.vp.partition().set_property(0x3'0003, 0, t.m.now);
    CHECK(t.vp.next_deadline() == t.m.now + 1000 * kTick);
}

TEST_CASE("a reference time that is set moves the timers with it") {
    Timers t;
    t.config(kDirect);
    t.count(t.ref() + 1'000'000);
    t.vp.partition().set_property(0x3'0005, t.ref() + 999'990, t.m.now);
    CHECK(t.vp.next_deadline() == t.m.now + 10 * kTick);
}
