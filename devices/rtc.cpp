#include "devices/rtc.h"

#include <algorithm>

#include "sim/error.h"

namespace hvsim::devices {

namespace regs = spec::mc146818;

namespace {

// Figure "update cycle" with a 32.768 kHz time base: UIP rises 244 us before the update, which
// takes 1984 us; the new time stands and UF is set when both are over.
constexpr sim::Duration kUpdateInProgress = (244 + 1984) * sim::kMicrosecond;
/// After a held divider chain is let go the first update comes half a second later.
constexpr sim::Duration kFirstUpdate = sim::kSecond / 2;

}  // namespace

Rtc::Rtc(const RtcConfig& config, InterruptLine* interrupt)
    : interrupt_(interrupt), seconds_(config.start) {
    bytes_[regs::kA] = 0x26;  // 32.768 kHz, 1024 Hz
    bytes_[regs::kB] = static_cast<std::uint8_t>(regs::B::H24::kMask);
    bytes_[regs::kD] = static_cast<std::uint8_t>(regs::D::VRT::kMask);
}

void Rtc::set_cmos(std::uint8_t index, std::uint8_t value) {
    SIM_ASSERT(index > regs::kD && index < regs::kBytes && index != regs::kCentury);
    bytes_[index] = value;
}

bool Rtc::set_mode() const noexcept {
    return regs::B::SET::test(bytes_[regs::kB]);
}

bool Rtc::divider_held() const noexcept {
    return regs::A::DV::get(bytes_[regs::kA]) >= regs::A::kDividerReset;
}

bool Rtc::is_time(std::uint8_t index) const noexcept {
    switch (index) {
        case regs::kSeconds:
        case regs::kMinutes:
        case regs::kHours:
        case regs::kDayOfWeek:
        case regs::kDate:
        case regs::kMonth:
        case regs::kYear:
        case regs::kCentury:
            return true;
        default:
            return false;
    }
}

std::uint8_t Rtc::encode(unsigned value) const noexcept {
    if (regs::B::DM::test(bytes_[regs::kB])) return static_cast<std::uint8_t>(value);
    return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t byte) const noexcept {
    if (regs::B::DM::test(bytes_[regs::kB])) return byte;
    return (byte >> 4) * 10u + (byte & 0xfu);
}

std::uint8_t Rtc::encode_hour(unsigned hour) const noexcept {
    if (regs::B::H24::test(bytes_[regs::kB])) return encode(hour);
    const std::uint8_t shown = encode(hour % 12 == 0 ? 12 : hour % 12);
    return static_cast<std::uint8_t>(shown | (hour >= 12 ? regs::kPm : 0));
}

unsigned Rtc::decode_hour(std::uint8_t byte) const noexcept {
    if (regs::B::H24::test(bytes_[regs::kB])) return decode(byte);
    const unsigned shown = decode(byte & static_cast<std::uint8_t>(~regs::kPm)) % 12;
    return shown + ((byte & regs::kPm) != 0 ? 12 : 0);
}

void Rtc::store_time(std::int64_t seconds) {
    const CalendarTime time = calendar_of(seconds);
    bytes_[regs::kSeconds] = encode(time.second);
    bytes_[regs::kMinutes] = encode(time.minute);
    bytes_[regs::kHours] = encode_hour(time.hour);
    bytes_[regs::kDayOfWeek] = encode(time.weekday);
    bytes_[regs::kDate] = encode(time.day);
    bytes_[regs::kMonth] = encode(time.month);
    bytes_[regs::kYear] = encode(static_cast<unsigned>(time.year % 100));
    bytes_[regs::kCentury] = encode(static_cast<unsigned>(time.year / 100));
}

std::int64_t Rtc::stored_time() const {
    CalendarTime time;
    const unsigned century = std::min(decode(bytes_[regs::kCentury]), 99u);
    time.year = century * 100 + std::min(decode(bytes_[regs::kYear]), 99u);
    time.month = std::clamp(decode(bytes_[regs::kMonth]), 1u, 12u);
    time.day = std::clamp(decode(bytes_[regs::kDate]), 1u, days_in_month(time.year, time.month));
    time.hour = std::min(decode_hour(bytes_[regs::kHours]), 23u);
    time.minute = std::min(decode(bytes_[regs::kMinutes]), 59u);
    time.second = std::min(decode(bytes_[regs::kSeconds]), 59u);
    return seconds_of(time);
}

std::int64_t Rtc::seconds_at(sim::Time now) const noexcept {
    if (now < next_update_) return seconds_;
    return seconds_ + 1 + static_cast<std::int64_t>((now - next_update_) / sim::kSecond);
}

/// The first update later than `now`; the divider chain must not be held.
sim::Time Rtc::update_after(sim::Time now) const noexcept {
    if (now < next_update_) return next_update_;
    return next_update_ + ((now - next_update_) / sim::kSecond + 1) * sim::kSecond;
}

/// Moves the base so that seconds_ is the time at `now`.
void Rtc::rebase(sim::Time now) {
    seconds_ = seconds_at(now);
    if (next_update_ != sim::kNever) next_update_ = update_after(now);
}

bool Rtc::update_in_progress(sim::Time now) const noexcept {
    return running() && update_after(now) - now <= kUpdateInProgress;
}

/// The first update later than `now` whose time the alarm bytes match.
sim::Time Rtc::alarm_after(sim::Time now) const noexcept {
    if (!running()) return sim::kNever;
    const auto any = [this](std::uint8_t index) { return bytes_[index] >= regs::kAlarmAny; };
    const bool any_second = any(regs::kSecondsAlarm);
    const bool any_minute = any(regs::kMinutesAlarm);
    const bool any_hour = any(regs::kHoursAlarm);
    const unsigned second = decode(bytes_[regs::kSecondsAlarm]);
    const unsigned minute = decode(bytes_[regs::kMinutesAlarm]);
    const unsigned hour = decode_hour(bytes_[regs::kHoursAlarm]);
    if ((!any_second && second > 59) || (!any_minute && minute > 59) || (!any_hour && hour > 23))
        return sim::kNever;
    // Skip forward over hours and minutes that do not match: the values are possible, so a match is
    // at most a day ahead and at most 24 + 60 + 60 steps.
    constexpr std::int64_t kDay = 86400;
    const std::int64_t first = seconds_at(now) + 1;
    std::int64_t at = first;
    while (at <= first + kDay) {
        const auto of_day = static_cast<unsigned>((at % kDay + kDay) % kDay);
        if (!any_hour && of_day / 3600 != hour)
            at += 3600 - of_day % 3600;
        else if (!any_minute && of_day / 60 % 60 != minute)
            at += 60 - of_day % 60;
        else if (!any_second && of_day % 60 != second)
            ++at;
        else
            return update_after(now) + static_cast<sim::Duration>(at - first) * sim::kSecond;
    }
    return sim::kNever;
}

/// Table "periodic interrupt rates" for a 32.768 kHz time base; 0 = none.
std::uint64_t Rtc::periodic_hertz() const noexcept {
    const std::uint64_t select = regs::A::RS::get(bytes_[regs::kA]);
    if (select == 0 || divider_held()) return 0;
    return select <= 2 ? 512u >> select : 65536u >> select;
}

sim::Time Rtc::periodic_after(sim::Time now) const noexcept {
    const std::uint64_t hertz = periodic_hertz();
    if (hertz == 0) return sim::kNever;
    const sim::Duration since = now > divider_start_ ? now - divider_start_ : 0;
    std::uint64_t tick = sim::ticks_at(since, hertz) + 1;
    while (sim::time_of_ticks(tick, hertz) <= since) ++tick;
    return divider_start_ + sim::time_of_ticks(tick, hertz);
}

// Sets the flags of everything that happened since the last time; the flags are set whether their
// interrupts are enabled or not (register C).
void Rtc::settle(sim::Time now) {
    if (now <= settled_) return;
    std::uint8_t& c = bytes_[regs::kC];
    if (running() && update_after(settled_) <= now) c = regs::C::UF::set(c, 1);
    if (alarm_after(settled_) <= now) c = regs::C::AF::set(c, 1);
    if (periodic_after(settled_) <= now) c = regs::C::PF::set(c, 1);
    settled_ = now;
}

void Rtc::update_interrupt(sim::Time now) {
    const std::uint8_t b = bytes_[regs::kB];
    std::uint8_t& c = bytes_[regs::kC];
    const bool level = (regs::C::UF::test(c) && regs::B::UIE::test(b)) ||
                       (regs::C::AF::test(c) && regs::B::AIE::test(b)) ||
                       (regs::C::PF::test(c) && regs::B::PIE::test(b));
    c = regs::C::IRQF::set(c, level);
    if (level == line_level_) return;
    line_level_ = level;
    if (interrupt_ != nullptr) interrupt_->set(level, now);
}

sim::Time Rtc::next_deadline() const noexcept {
    const std::uint8_t b = bytes_[regs::kB];
    const std::uint8_t c = bytes_[regs::kC];
    sim::Time next = sim::kNever;
    if (line_level_) return next;
    if (regs::B::UIE::test(b) && !regs::C::UF::test(c) && running())
        next = std::min(next, update_after(settled_));
    if (regs::B::AIE::test(b) && !regs::C::AF::test(c))
        next = std::min(next, alarm_after(settled_));
    if (regs::B::PIE::test(b) && !regs::C::PF::test(c))
        next = std::min(next, periodic_after(settled_));
    return next;
}

void Rtc::advance_to(sim::Time now) {
    for (sim::Time due = next_deadline(); due <= now && due != sim::kNever; due = next_deadline()) {
        settle(due);
        update_interrupt(due);
    }
    settle(now);
    update_interrupt(now);
}

std::uint64_t Rtc::read_register(std::uint64_t offset, unsigned, sim::Time& now) {
    if (offset != kDataPort) return 0xff;  // the index port cannot be read on a PC
    now = read_ = std::max(now, read_);
    advance_to(now);
    return read_data(now);
}

std::uint8_t Rtc::read_data(sim::Time now) {
    const std::uint8_t value = bytes_[index_];
    if (index_ == regs::kA) return regs::A::UIP::set(value, update_in_progress(now));
    if (index_ == regs::kC) {
        bytes_[regs::kC] = 0;
        update_interrupt(now);
        return value;
    }
    if (!is_time(index_) || set_mode()) return value;
    store_time(seconds_at(now));
    return bytes_[index_];
}

void Rtc::write_register(std::uint64_t offset, unsigned, std::uint64_t value, sim::Time now) {
    const auto byte = static_cast<std::uint8_t>(value);
    if (offset == kIndexPort) {
        index_ = byte & 0x7f;
        return;
    }
    if (offset != kDataPort) return;
    now = std::max(now, read_);
    advance_to(now);
    write_data(byte, now);
    update_interrupt(now);
}

void Rtc::write_data(std::uint8_t value, sim::Time now) {
    if (index_ == regs::kA) {
        write_a(value, now);
    } else if (index_ == regs::kB) {
        write_b(value, now);
    } else if (index_ == regs::kC || index_ == regs::kD) {
        return;  // read only
    } else if (is_time(index_) && !set_mode()) {
        // The running clock takes the byte at once and keeps its phase.
        rebase(now);
        store_time(seconds_);
        bytes_[index_] = value;
        seconds_ = stored_time();
    } else {
        bytes_[index_] = value;
    }
}

void Rtc::write_a(std::uint8_t value, sim::Time now) {
    const bool was_held = divider_held();
    rebase(now);
    bytes_[regs::kA] = regs::A::UIP::set(value, 0);
    if (was_held == divider_held()) return;
    next_update_ = was_held ? now + kFirstUpdate : sim::kNever;
    divider_start_ = now;
}

void Rtc::write_b(std::uint8_t value, sim::Time now) {
    const bool was_set = set_mode();
    const bool set = regs::B::SET::test(value);
    rebase(now);
    if (!was_set && set) {
        store_time(seconds_);
        value = regs::B::UIE::set(value, 0);
    }
    bytes_[regs::kB] = value;
    if (was_set && !set) seconds_ = stored_time();
}

}  // namespace hvsim::devices
