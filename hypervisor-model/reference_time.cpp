#include "hypervisor-model/reference_time.h"

#include "sim/error.h"

namespace hvsim::hv {

using u128 = sim::Uint128;
__extension__ typedef __int128 i128;

// The scale is rounded up: whole microseconds then come out whole, where the truncated scale would
// show one tick less. Either is within one tick of true time over the whole range of the TSC.
ReferenceTime::ReferenceTime(std::uint64_t tsc_hz, sim::Time created)
    : tsc_hz_(tsc_hz),
      scale_(static_cast<std::uint64_t>(((u128{kReferenceHz} << 64) + tsc_hz - 1) / tsc_hz)) {
    SIM_ASSERT(tsc_hz > kReferenceHz);
    offset_ = -static_cast<std::int64_t>(u128{tsc(created)} * scale_ >> 64);
}

std::uint64_t ReferenceTime::at(sim::Time now) const noexcept {
    return static_cast<std::uint64_t>(u128{tsc(now)} * scale_ >> 64) +
           static_cast<std::uint64_t>(offset_);
}

sim::Time ReferenceTime::time_of(std::uint64_t reference) const noexcept {
    // Smallest tsc with (tsc * scale) >> 64 >= reference - offset.
    const i128 product = static_cast<i128>(reference) - offset_;
    if (product <= 0) return 0;
    if (frozen_ || product > static_cast<i128>(~std::uint64_t{0})) return sim::kNever;
    const u128 tsc = ((static_cast<u128>(product) << 64) + scale_ - 1) / scale_;
    // The offset is a small negative number after freezes: undo it without losing the sign.
    const i128 host = static_cast<i128>(tsc) - static_cast<std::int64_t>(tsc_offset_);
    if (host <= 0) return 0;
    if (host > static_cast<i128>(~std::uint64_t{0})) return sim::kNever;
    return sim::time_of_ticks(static_cast<std::uint64_t>(host), tsc_hz_);
}

void ReferenceTime::set_frozen(bool frozen, sim::Time now) {
    if (frozen == frozen_) return;
    if (frozen) {
        frozen_at_ = now;
    } else {
        tsc_offset_ -= sim::ticks_at(now, tsc_hz_) - sim::ticks_at(frozen_at_, tsc_hz_);
    }
    frozen_ = frozen;
}

void ReferenceTime::set(std::uint64_t reference, sim::Time now) {
    offset_ += static_cast<std::int64_t>(reference - at(now));
    bump_sequence();
}

void ReferenceTime::bump_sequence() noexcept {
    // 0 and ~0 both mean "use the MSR" to guests (TLFS 12.7.2).
    if (++sequence_ == ~std::uint32_t{0}) sequence_ = 1;
}

}  // namespace hvsim::hv
