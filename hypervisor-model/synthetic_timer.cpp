#include "hypervisor-model/synthetic_timer.h"

namespace hvsim::hv {

bool SyntheticTimer::valid_config(std::uint64_t value, bool direct_allowed) {
    return (value & msr::StimerConfig::kReserved) == 0 &&
           (direct_allowed || (value & msr::StimerConfig::kDirect) == 0);
}

void SyntheticTimer::write_config(std::uint64_t value, std::uint64_t reference_now) {
    using Config = msr::StimerConfig;
    // SINT0 belongs to the hypervisor's own messages: the timer is not enabled (TLFS 12.3.1).
    if ((value & Config::kDirect) == 0 && Config::SintIndex::get(value) == 0)
        value &= ~Config::kEnable;
    config_ = value;
    message_waiting_ = false;
    arm(reference_now);
}

void SyntheticTimer::write_count(std::uint64_t value, std::uint64_t reference_now) {
    count_ = value;
    message_waiting_ = false;
    if (value == 0)
        config_ &= ~msr::StimerConfig::kEnable;
    else if ((config_ & msr::StimerConfig::kAutoEnable) != 0 && (direct() || sint() != 0))
        config_ |= msr::StimerConfig::kEnable;
    arm(reference_now);
}

void SyntheticTimer::arm(std::uint64_t reference_now) {
    armed_ = enabled() && count_ != 0;
    if (!armed_) return;
    due_ = count_;
    if (periodic() && __builtin_add_overflow(reference_now, count_, &due_))
        due_ = ~std::uint64_t{0};
}

SyntheticTimer::Expiration SyntheticTimer::expire(std::uint64_t reference_now) {
    if (!armed_ || reference_now < due_) return Expiration::none;
    const std::uint64_t expiration = due_;
    if (periodic()) {
        // Missed periods are one expiration; the phase stays.
        const std::uint64_t periods = (reference_now - due_) / count_ + 1;
        std::uint64_t advance = 0;
        if (__builtin_mul_overflow(periods, count_, &advance) ||
            __builtin_add_overflow(due_, advance, &due_))
            due_ = ~std::uint64_t{0};
    } else {
        armed_ = false;
    }
    if (direct()) {
        expiration_ = expiration;
        if (!periodic()) config_ &= ~msr::StimerConfig::kEnable;
        return Expiration::interrupt;
    }
    if (message_waiting_) return Expiration::none;
    expiration_ = expiration;
    message_waiting_ = true;
    return Expiration::message;
}

std::uint64_t SyntheticTimer::message_taken() {
    message_waiting_ = false;
    if (!periodic()) config_ &= ~msr::StimerConfig::kEnable;
    return expiration_;
}

}  // namespace hvsim::hv
