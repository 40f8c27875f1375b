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

std::vector<Histogram::Bucket> Histogram::drawn() const {
    constexpr std::size_t kDrawn = kSteps / 4;
    std::vector<Bucket> drawn;
    for (std::size_t first = 0; first < buckets_.size(); first += kDrawn) {
        Bucket sum{upper_end(first + kDrawn - 1), 0};
        for (std::size_t i = 0; i < kDrawn; ++i) sum.count += buckets_[first + i];
        if (sum.count != 0 || !drawn.empty()) drawn.push_back(sum);
    }
    while (!drawn.empty() && drawn.back().count == 0) drawn.pop_back();
    return drawn;
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
