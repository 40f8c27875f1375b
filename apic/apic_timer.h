#pragma once
// The local APIC's timer (SDM 3A 11.5.4): one-shot, periodic and TSC-deadline. Counts are computed
// from time, nothing ticks.
#include <cstdint>

#include "sim/time.h"

namespace hvsim::apic {

/// LVT timer bits 18:17. `reserved` never fires.
enum class TimerMode : std::uint8_t { one_shot = 0, periodic = 1, tsc_deadline = 2, reserved = 3 };

/// Everything a timer remembers.
struct ApicTimerState {
    sim::Time start = 0;             ///< when the count stood at first_count
    std::uint64_t periods = 0;       ///< expirations since start
    std::uint64_t tsc_deadline = 0;  ///< IA32_TSC_DEADLINE, 0 = disarmed
    sim::Time tsc_deadline_time = sim::kNever;
    std::uint64_t tsc_offset = 0;  ///< TSC = ticks since time 0 + offset, modulo 2^64
    std::uint32_t initial_count = 0;
    std::uint32_t first_count = 0;  ///< counts from start to the first expiration
    std::uint32_t divide_configuration = 0;
    TimerMode mode = TimerMode::one_shot;
    bool counting = false;

    bool operator==(const ApicTimerState&) const = default;
};

class ApicTimer {
  public:
    /// Both frequencies in Hz, not zero; `timer_hz` before the divider.
    ApicTimer(std::uint64_t timer_hz, std::uint64_t tsc_hz);

    void reset();
    /// Callers advance to `now` before they change a setting.
    void set_mode(TimerMode mode, sim::Time now);
    void set_initial_count(std::uint32_t count, sim::Time now);
    void set_divide_configuration(std::uint32_t value, sim::Time now);
    std::uint32_t current_count(sim::Time now) const noexcept;
    void write_tsc_deadline(std::uint64_t deadline, sim::Time now);
    void set_tsc_offset(std::uint64_t offset, sim::Time now);
    std::uint64_t tsc(sim::Time now) const noexcept {
        return sim::ticks_at(now, tsc_hz_) + state_.tsc_offset;
    }

    sim::Time next_deadline() const noexcept;
    /// Expirations at or before `now` since the last call.
    std::uint64_t advance_to(sim::Time now);

    /// What the divide configuration register's bits 3, 1 and 0 mean: 1, 2, 4 ... 128.
    static constexpr std::uint32_t divisor(std::uint32_t configuration) noexcept {
        const std::uint32_t code = (configuration & 3) | (configuration >> 1 & 4);
        return 1u << ((code + 1) & 7);
    }

    std::uint64_t timer_hz() const noexcept { return timer_hz_; }
    const ApicTimerState& state() const noexcept { return state_; }
    void restore(const ApicTimerState& state) { state_ = state; }

  private:
    std::uint64_t counts_since_start(sim::Time now) const noexcept;
    void arm_tsc_deadline(sim::Time now);

    std::uint64_t timer_hz_;
    std::uint64_t tsc_hz_;
    ApicTimerState state_;
};

}  // namespace hvsim::apic
