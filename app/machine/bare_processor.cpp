#include "app/machine/bare_processor.h"

#include <algorithm>

#include "cpu/descriptor.h"

namespace hvsim::app {

sim::Time BareProcessor::wake_time() const {
    if (shut_down_) return sim::kNever;
    if (!idle_) return now_;
    const sim::Time timer = apic_.waits_for_sipi()
                                ? sim::kNever
                                : std::min(apic_.next_deadline(), core_.guest_deadline());
    const sim::Time wake = std::min(timer, notice_);
    return wake == sim::kNever ? sim::kNever : std::max(wake, now_);
}

void BareProcessor::notice(sim::Time at) {
    notice_ = std::min(notice_, at);
    if (running_) {
        if (apic_.has_init_pending())
            core_.request_stop();
        else
            core_.poll_soon();
    }
}

void BareProcessor::memory_written(sim::Time at) {
    if (watches_memory() && core_.memory_wait_is_over()) notice(at);
}

void BareProcessor::shorten(sim::Time until) {
    until_ = std::min(until_, until);
    if (running_) core_.shorten_deadline(until);
}

bool BareProcessor::stuck() const {
    if (apic_.waits_for_sipi()) return true;
    return core_.halted() && !(core_.rflags() & cpu::rflags::kIF);
}

bool BareProcessor::take_signals() {
    if (apic_.has_init_pending()) {
        const cpu::InitOutcome outcome = core_.on_init();
        if (outcome != cpu::InitOutcome::held) apic_.take_init();
        if (outcome == cpu::InitOutcome::reset) apic_.init_reset();
    }
    if (!apic_.waits_for_sipi()) return true;
    const auto vector = apic_.take_sipi();
    if (!vector) return false;
    core_.on_sipi(*vector);
    return true;
}

void BareProcessor::run(sim::Time until) {
    // Rounds that hardly move time must not shut out those who may end the simulation.
    constexpr unsigned kMostRounds = 4096;
    until_ = until;
    for (unsigned round = 0; now_ < until_ && !shut_down_ && round < kMostRounds; ++round) {
        if (idle_) {
            const sim::Time wake = wake_time();
            if (wake >= until_) return;
            now_ = wake;
            idle_ = false;
        }
        notice_ = sim::kNever;
        if (!take_signals()) {
            idle_ = true;
            continue;
        }
        running_ = true;
        const cpu::CoreStop stop = core_.run(now_, until_);
        running_ = false;
        now_ = core_.now();
        if (stop == cpu::CoreStop::halted) idle_ = true;
        if (stop == cpu::CoreStop::shutdown) shut_down_ = true;
    }
}

}  // namespace hvsim::app
