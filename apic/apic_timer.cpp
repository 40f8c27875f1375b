#include "apic/apic_timer.h"

#include "sim/error.h"

namespace hvsim::apic {

namespace {

__extension__ typedef unsigned __int128 Wide;  // ticks times picoseconds pass 64 bits

// start + the time of `ticks` ticks; kNever when virtual time ends before.
sim::Time after(sim::Time start, Wide ticks, std::uint64_t hertz) {
    if (ticks > ~std::uint64_t{0}) return sim::kNever;
    const sim::Time span = sim::time_of_ticks(static_cast<std::uint64_t>(ticks), hertz);
    return span >= sim::kNever - start ? sim::kNever : start + span;
}

}  // namespace

ApicTimer::ApicTimer(std::uint64_t timer_hz, std::uint64_t tsc_hz)
    : timer_hz_(timer_hz), tsc_hz_(tsc_hz) {
    SIM_ASSERT(timer_hz != 0 && tsc_hz != 0);
}

void ApicTimer::reset() {
    const std::uint64_t offset = state_.tsc_offset;
    state_ = ApicTimerState{};
    state_.tsc_offset = offset;
}

std::uint64_t ApicTimer::counts_since_start(sim::Time now) const noexcept {
    if (now <= state_.start) return 0;
    return sim::ticks_at(now - state_.start, timer_hz_) / divisor(state_.divide_configuration);
}

void ApicTimer::set_mode(TimerMode mode, sim::Time now) {
    if (mode == state_.mode) return;
    const bool leaves_counting = mode == TimerMode::tsc_deadline || mode == TimerMode::reserved;
    const bool was_counting_mode =
        state_.mode == TimerMode::one_shot || state_.mode == TimerMode::periodic;
    if (leaves_counting || !was_counting_mode) {
        // Going to or from TSC-deadline mode disarms the timer (SDM 3A 11.5.4.1).
        state_.counting = false;
        state_.initial_count = 0;
        state_.tsc_deadline = 0;
        state_.tsc_deadline_time = sim::kNever;
    } else if (state_.counting) {
        // The count goes on; its phase is kept by starting at the last step, not at `now`.
        const std::uint64_t counts = counts_since_start(now);
        const std::uint32_t left = current_count(now);
        state_.start =
            after(state_.start, static_cast<Wide>(counts) * divisor(state_.divide_configuration),
                  timer_hz_);
        state_.first_count = left;
        state_.periods = 0;
    }
    state_.mode = mode;
}

void ApicTimer::set_initial_count(std::uint32_t count, sim::Time now) {
    // Ignored in TSC-deadline mode (SDM 3A 11.5.4.1).
    if (state_.mode == TimerMode::tsc_deadline || state_.mode == TimerMode::reserved) return;
    state_.initial_count = count;
    state_.first_count = count;
    state_.start = now;
    state_.periods = 0;
    state_.counting = count != 0;
}

void ApicTimer::set_divide_configuration(std::uint32_t value, sim::Time now) {
    if (divisor(value) != divisor(state_.divide_configuration) && state_.counting) {
        // The divider starts anew with the count that is left.
        state_.first_count = current_count(now);
        state_.start = now;
        state_.periods = 0;
    }
    state_.divide_configuration = value;
}

std::uint32_t ApicTimer::current_count(sim::Time now) const noexcept {
    if (!state_.counting) return 0;
    const std::uint64_t counts = counts_since_start(now);
    if (counts < state_.first_count) return static_cast<std::uint32_t>(state_.first_count - counts);
    if (state_.mode != TimerMode::periodic) return 0;
    const std::uint64_t into = (counts - state_.first_count) % state_.initial_count;
    return static_cast<std::uint32_t>(state_.initial_count - into);
}

void ApicTimer::write_tsc_deadline(std::uint64_t deadline, sim::Time now) {
    if (state_.mode != TimerMode::tsc_deadline) return;
    state_.tsc_deadline = deadline;
    arm_tsc_deadline(now);
}

void ApicTimer::set_tsc_offset(std::uint64_t offset, sim::Time now) {
    state_.tsc_offset = offset;
    arm_tsc_deadline(now);
}

void ApicTimer::arm_tsc_deadline(sim::Time now) {
    state_.tsc_deadline_time = sim::kNever;
    if (state_.mode != TimerMode::tsc_deadline || state_.tsc_deadline == 0) return;
    const std::uint64_t current = tsc(now);
    state_.tsc_deadline_time = state_.tsc_deadline <= current
                                   ? now
                                   : after(0,
                                           static_cast<Wide>(sim::ticks_at(now, tsc_hz_)) +
                                               (state_.tsc_deadline - current),
                                           tsc_hz_);
}

sim::Time ApicTimer::next_deadline() const noexcept {
    if (state_.mode == TimerMode::tsc_deadline) return state_.tsc_deadline_time;
    if (!state_.counting) return sim::kNever;
    const Wide counts =
        state_.first_count + static_cast<Wide>(state_.periods) * state_.initial_count;
    return after(state_.start, counts * divisor(state_.divide_configuration), timer_hz_);
}

std::uint64_t ApicTimer::advance_to(sim::Time now) {
    const sim::Time deadline = next_deadline();
    if (deadline > now || deadline == sim::kNever) return 0;
    if (state_.mode == TimerMode::tsc_deadline) {
        state_.tsc_deadline = 0;
        state_.tsc_deadline_time = sim::kNever;
        return 1;
    }
    if (state_.mode == TimerMode::one_shot) {
        state_.counting = false;
        return 1;
    }
    const std::uint64_t reached =
        1 + (counts_since_start(now) - state_.first_count) / state_.initial_count;
    const std::uint64_t fired = reached - state_.periods;
    state_.periods = reached;
    return fired;
}

}  // namespace hvsim::apic
