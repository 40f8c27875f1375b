#include "analysis/page/time_bins.h"

#include <algorithm>

namespace hvsim::analysis {

void TimeBins::add_span(std::size_t series, sim::Time begin, sim::Time end) {
    if (end <= begin) return;
    fit(end - 1);
    std::vector<std::uint64_t>& values = series_[series];
    while (begin < end) {
        const std::uint64_t bin = begin / width_;
        const sim::Time stop = std::min(end, (bin + 1) * width_);
        values[bin] += stop - begin;
        begin = stop;
    }
}

void TimeBins::halve() {
    for (std::vector<std::uint64_t>& values : series_) {
        for (std::size_t i = 0; i < kMostBins / 2; ++i)
            values[i] = values[2 * i] + values[2 * i + 1];
        std::fill(values.begin() + kMostBins / 2, values.end(), 0);
    }
    width_ *= 2;
}

}  // namespace hvsim::analysis
