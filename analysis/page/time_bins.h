#pragma once
// Sums over time in bounded memory, however long a run is.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/time.h"

namespace hvsim::analysis {

/// Series of sums in bins of one width. Whenever a time lies behind the last bin, the width doubles
/// and neighbours are added up, so nobody needs to know beforehand how long the run will be.
class TimeBins {
  public:
    static constexpr std::size_t kMostBins = 1024;
    explicit TimeBins(sim::Duration first_width = 1 << 20) : width_(first_width) {}

    /// A new series; its number counts from 0.
    std::size_t add_series() {
        series_.emplace_back(kMostBins);
        return series_.size() - 1;
    }
    void add(std::size_t series, sim::Time time, std::uint64_t amount) {
        fit(time);
        series_[series][time / width_] += amount;
    }
    /// Adds to each bin how many picoseconds of it lie in [begin, end).
    void add_span(std::size_t series, sim::Time begin, sim::Time end);

    sim::Duration width() const noexcept { return width_; }
    /// The first `count(end)` values of a series are those up to `end`.
    std::size_t count(sim::Time end) const noexcept {
        const std::uint64_t bins = end / width_ + (end % width_ != 0 ? 1 : 0);
        return bins < kMostBins ? static_cast<std::size_t>(bins) : kMostBins;
    }
    const std::vector<std::uint64_t>& values(std::size_t series) const { return series_[series]; }

  private:
    void fit(sim::Time time) {
        while (time / width_ >= kMostBins) halve();
    }
    void halve();

    sim::Duration width_;
    std::vector<std::vector<std::uint64_t>> series_;
};

}  // namespace hvsim::analysis
