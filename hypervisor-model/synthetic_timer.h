#pragma once
// One synthetic timer (TLFS 12.3): one-shot or periodic in 100 ns reference time, expiring as a
// message or, in direct mode, as an interrupt. Pure state; its virtual processor acts on it.
#include <cstdint>

#include "hypervisor-model/reference_time.h"
#include "hypervisor-model/spec/msr.h"
#include "sim/time.h"

namespace hvsim::hv {

class SyntheticTimer {
  public:
    /// What an expiration asks for.
    enum class Expiration : std::uint8_t { none, interrupt, message };

    void reset() { *this = SyntheticTimer{}; }

    std::uint64_t config() const noexcept { return config_; }
    std::uint64_t count() const noexcept { return count_; }
    bool enabled() const noexcept { return (config_ & msr::StimerConfig::kEnable) != 0; }
    bool periodic() const noexcept { return (config_ & msr::StimerConfig::kPeriodic) != 0; }
    bool lazy() const noexcept { return (config_ & msr::StimerConfig::kLazy) != 0; }
    bool direct() const noexcept { return (config_ & msr::StimerConfig::kDirect) != 0; }
    std::uint8_t vector() const noexcept {
        return static_cast<std::uint8_t>(msr::StimerConfig::ApicVector::get(config_));
    }
    unsigned sint() const noexcept {
        return static_cast<unsigned>(msr::StimerConfig::SintIndex::get(config_));
    }

    /// False: reserved bits, or direct mode where the partition has none (#GP).
    static bool valid_config(std::uint64_t value, bool direct_allowed);
    /// Writes of CONFIG (valid) and COUNT; a waiting message is void, its owner takes it back.
    void write_config(std::uint64_t value, std::uint64_t reference_now);
    void write_count(std::uint64_t value, std::uint64_t reference_now);

    bool armed() const noexcept { return armed_; }
    /// Reference time of the next expiration; only while armed().
    std::uint64_t due() const noexcept { return due_; }

    /// Expires if due. One-shots in direct mode are disabled at once, in message mode when the
    /// message is delivered; further expirations while a message waits are one with it.
    Expiration expire(std::uint64_t reference_now);
    bool message_waiting() const noexcept { return message_waiting_; }
    /// The message has been delivered: its expiration time.
    std::uint64_t message_taken();
    std::uint64_t last_expiration() const noexcept { return expiration_; }

  private:
    void arm(std::uint64_t reference_now);

    std::uint64_t config_ = 0;
    std::uint64_t count_ = 0;
    std::uint64_t due_ = 0;
    std::uint64_t expiration_ = 0;
    bool armed_ = false;
    bool message_waiting_ = false;
};

}  // namespace hvsim::hv
