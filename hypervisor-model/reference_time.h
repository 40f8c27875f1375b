#pragma once
// A partition's clocks: its TSC and the 100 ns reference time derived from it (TLFS 12). The
// reference counter MSR, the reference TSC page and the synthetic timers all use one formula,
// so they agree to the tick.
#include <cstdint>

#include "hypervisor-model/spec/pages.h"
#include "sim/time.h"

namespace hvsim::hv {

inline constexpr std::uint64_t kReferenceHz = 10'000'000;

class ReferenceTime {
  public:
    /// `tsc_hz` > 10 MHz. Reference time is 0 at `created`; the partition's TSC is that of the
    /// host.
    ReferenceTime(std::uint64_t tsc_hz, sim::Time created);

    std::uint64_t tsc_hz() const noexcept { return tsc_hz_; }
    /// Offset of the partition's TSC from the host's, modulo 2^64.
    std::uint64_t tsc_offset() const noexcept { return tsc_offset_; }
    std::uint64_t tsc(sim::Time now) const noexcept {
        return sim::ticks_at(frozen_ ? frozen_at_ : now, tsc_hz_) + tsc_offset_;
    }
    /// Reference time in 100 ns units.
    std::uint64_t at(sim::Time now) const noexcept;
    /// Earliest time with at(time) >= `reference`; kNever: not in the simulation's range, or the
    /// clock stands.
    sim::Time time_of(std::uint64_t reference) const noexcept;

    /// Stops or restarts both clocks (partition property TimeFreeze). No time passes for the guest
    /// in between.
    /// DEVIATION: the counts of virtual APIC timers go on; whoever freezes time also keeps the
    /// processors from running.
    void set_frozen(bool frozen, sim::Time now);
    bool frozen() const noexcept { return frozen_; }
    /// Sets the reference time (partition property ReferenceTime, restore); the TSC keeps going.
    void set(std::uint64_t reference, sim::Time now);

    std::uint64_t scale() const noexcept { return scale_; }
    std::int64_t offset() const noexcept { return offset_; }
    /// Changes whenever scale or offset of the page changed; never 0.
    std::uint32_t sequence() const noexcept { return sequence_; }
    ReferenceTscPage page() const noexcept { return {sequence_, 0, scale_, offset_}; }

  private:
    void bump_sequence() noexcept;

    std::uint64_t tsc_hz_;
    std::uint64_t scale_;
    std::uint64_t tsc_offset_ = 0;
    std::int64_t offset_ = 0;
    std::uint32_t sequence_ = 1;
    bool frozen_ = false;
    sim::Time frozen_at_ = 0;
};

}  // namespace hvsim::hv
