#pragma once
#include <algorithm>
#include <cstdint>

#include "devices/spec/acpi_pm.h"
#include "sim/time.h"

namespace hvsim::devices {

/// The ACPI power management timer (ACPI 6.4 4.8.3.3): counts virtual time at 3.579545 MHz.
class PmTimer {
  public:
    /// `bits`: 24 or 32, as FADT's TMR_VAL_EXT says.
    explicit PmTimer(unsigned bits = 32) : bits_(bits) {}

    std::uint32_t value_at(sim::Time now) const noexcept {
        const std::uint64_t ticks = sim::ticks_at(now, spec::acpi_pm::kPmTimerHertz);
        return static_cast<std::uint32_t>(ticks & ((std::uint64_t{1} << bits_) - 1));
    }
    /// The counter as a processor at `now` sees it; never less than what another has seen, to whose
    /// time `now` moves up.
    std::uint32_t read(sim::Time& now) noexcept {
        now = read_ = std::max(now, read_);
        return value_at(now);
    }
    /// When the highest bit next changes after `now` (that sets TMR_STS).
    sim::Time next_carry(sim::Time now) const noexcept {
        const std::uint64_t half = std::uint64_t{1} << (bits_ - 1);
        const std::uint64_t ticks = sim::ticks_at(now, spec::acpi_pm::kPmTimerHertz);
        return sim::time_of_ticks((ticks / half + 1) * half, spec::acpi_pm::kPmTimerHertz);
    }

  private:
    unsigned bits_;
    sim::Time read_ = 0;  ///< the latest time given out
};

}  // namespace hvsim::devices
