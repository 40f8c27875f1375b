#pragma once
// How a quantity is distributed, in bounded memory.
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "sim/time.h"

namespace hvsim::analysis {

/// What a report shows of a distribution.
struct Percentiles {
    std::uint64_t count = 0;
    std::uint64_t least = 0;
    std::uint64_t p50 = 0;
    std::uint64_t p90 = 0;
    std::uint64_t p99 = 0;
    std::uint64_t greatest = 0;
    std::uint64_t mean = 0;  ///< rounded down

    bool operator==(const Percentiles&) const = default;
};

/// Counts values in buckets that are at most 1/64 of their value wide: a percentile is the upper
/// end of its bucket, at most 1.6 % too large; least, greatest and mean are exact.
class Histogram {
  public:
    void add(std::uint64_t value) noexcept {
        ++buckets_[bucket_of(value)];
        ++count_;
        sum_ += value;
        if (value < least_) least_ = value;
        if (value > greatest_) greatest_ = value;
    }
    std::uint64_t count() const noexcept { return count_; }
    Percentiles percentiles() const noexcept;
    /// Values up to `upper` and above the bucket before it.
    struct Bucket {
        std::uint64_t upper = 0;
        std::uint64_t count = 0;
    };
    /// The buckets from the least value to the greatest, four for each power of two, for a drawing.
    std::vector<Bucket> drawn() const;

  private:
    static constexpr unsigned kBits = 6;
    static constexpr unsigned kSteps = 1 << kBits;

    /// Values below 64 have a bucket each; above, each power of two has 64.
    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        if (value < kSteps) return static_cast<std::size_t>(value);
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
        return (shift + 1) * kSteps + static_cast<std::size_t>((value >> shift) - kSteps);
    }
    static constexpr std::uint64_t upper_end(std::size_t bucket) noexcept {
        if (bucket < kSteps) return bucket;
        const std::size_t shift = bucket / kSteps - 1;
        const std::uint64_t step = bucket % kSteps + kSteps;
        return (step << shift) + ((std::uint64_t{1} << shift) - 1);
    }
    std::uint64_t at_fraction(std::uint64_t hundredths) const noexcept;

    std::array<std::uint64_t, (64 - kBits + 1) * kSteps> buckets_{};
    std::uint64_t count_ = 0;
    sim::Uint128 sum_ = 0;
    std::uint64_t least_ = ~std::uint64_t{0};
    std::uint64_t greatest_ = 0;
};

}  // namespace hvsim::analysis
