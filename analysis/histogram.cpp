#include "analysis/histogram.h"

#include <algorithm>

namespace hvsim::analysis {

/// The least value that at least `hundredths` percent of the values do not exceed.
std::uint64_t Histogram::at_fraction(std::uint64_t hundredths) const noexcept {
    const sim::Uint128 wanted = (sim::Uint128{count_} * hundredths + 99) / 100;
    sim::Uint128 seen = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        seen += buckets_[bucket];
        if (seen >= wanted) return std::clamp(upper_end(bucket), least_, greatest_);
    }
    return greatest_;
}

Percentiles Histogram::percentiles() const noexcept {
    if (count_ == 0) return {};
    return {count_,
            least_,
            at_fraction(50),
            at_fraction(90),
            at_fraction(99),
            greatest_,
            static_cast<std::uint64_t>(sum_ / count_)};
}

}  // namespace hvsim::analysis
