#pragma once
// Percentiles without floating point: a histogram whose buckets are 1/16 of a power of two wide.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "sim/time.h"

namespace hvsim::vmbus {

class LatencyHistogram {
  public:
    void add(sim::Duration value) {
        buckets_[bucket_of(value)]++;
        count_++;
        max_ = std::max(max_, value);
    }
    std::uint64_t count() const { return count_; }
    sim::Duration max() const { return max_; }

    /// An upper bound, at most 1/16 too high, of the value that `permille` of 1000 values do not
    /// exceed; 0 when there are none.
    sim::Duration percentile(std::uint32_t permille) const {
        if (count_ == 0) return 0;
        const std::uint64_t wanted = std::max<std::uint64_t>(
            1, count_ / 1000 * permille + (count_ % 1000 * permille + 999) / 1000);
        std::uint64_t seen = 0;
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
            seen += buckets_[bucket];
            if (seen >= wanted) return std::min(max_, last_of(bucket));
        }
        return max_;
    }

  private:
    static constexpr unsigned kBits = 4;
    static constexpr std::size_t kPerPower = std::size_t{1} << kBits;
    static constexpr std::size_t kBuckets = (64 - kBits + 1) * kPerPower;

    static constexpr std::size_t bucket_of(std::uint64_t value) {
        if (value < kPerPower) return static_cast<std::size_t>(value);
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
        return static_cast<std::size_t>((shift + 1) * kPerPower +
                                        ((value >> shift) & (kPerPower - 1)));
    }
    static constexpr std::uint64_t last_of(std::size_t bucket) {
        if (bucket < kPerPower) return bucket;
        const unsigned shift = static_cast<unsigned>(bucket / kPerPower) - 1;
        const std::uint64_t first = (kPerPower + bucket % kPerPower) << shift;
        return first + ((std::uint64_t{1} << shift) - 1);
    }

    std::array<std::uint64_t, kBuckets> buckets_{};
    std::uint64_t count_ = 0;
    sim::Duration max_ = 0;
};

}  // namespace hvsim::vmbus
