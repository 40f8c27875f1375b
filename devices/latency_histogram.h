#pragma once
// Latencies without floating point: exact below 16 ps, then 16 buckets for each power of two, so a
// percentile is at most 1/16 too high.
#include <array>
#include <bit>
#include <cstdint>

#include "sim/time.h"

namespace hvsim::devices {

class LatencyHistogram {
  public:
    void add(sim::Duration value) noexcept {
        ++buckets_[bucket_of(value)];
        ++count_;
        sum_ += value;
        if (value > greatest_) greatest_ = value;
    }
    std::uint64_t count() const noexcept { return count_; }
    sim::Duration sum() const noexcept { return sum_; }
    sim::Duration greatest() const noexcept { return greatest_; }
    sim::Duration mean() const noexcept { return count_ == 0 ? 0 : sum_ / count_; }

    /// The smallest bucket bound that `per_mille`/1000 of the values do not exceed; 0 if there are
    /// none.
    sim::Duration percentile(unsigned per_mille) const noexcept {
        const std::uint64_t wanted = (count_ * per_mille + 999) / 1000;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen >= wanted && seen != 0) return last_of(i) < greatest_ ? last_of(i) : greatest_;
        }
        return 0;
    }

  private:
    static constexpr unsigned kSubBits = 4;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSub;

    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        if (value < kSub) return value;
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
        return (shift + 1) * kSub + (value >> shift & (kSub - 1));
    }
    static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
        if (bucket < kSub) return bucket;
        const auto shift = static_cast<unsigned>(bucket / kSub - 1);
        return ((kSub + bucket % kSub + 1) << shift) - 1;  // wraps to the greatest value at the end
    }

    std::array<std::uint64_t, kBuckets> buckets_{};
    std::uint64_t count_ = 0;
    sim::Duration sum_ = 0;
    sim::Duration greatest_ = 0;
};

}  // namespace hvsim::devices
