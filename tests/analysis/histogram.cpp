#include "analysis/histogram.h"

#include <doctest/doctest.h>

using namespace hvsim::analysis;

TEST_CASE("an empty histogram has zeros") {
    CHECK(Histogram().percentiles() == Percentiles{});
}

TEST_CASE("small values are exact") {
    Histogram histogram;
    for (std::uint64_t i = 1; i <= 50; ++i) histogram.add(i);
    CHECK(histogram.percentiles() == Percentiles{50, 1, 25, 45, 50, 50, 25});
}

TEST_CASE("percentiles are at most 1/64 too large, at every magnitude") {
    for (unsigned shift = 0; shift < 56; ++shift) {
        Histogram histogram;
        for (std::uint64_t i = 1; i <= 200; ++i) histogram.add(i << shift);
        const Percentiles p = histogram.percentiles();
        const std::uint64_t median = std::uint64_t{100} << shift;
        const std::uint64_t tail = std::uint64_t{198} << shift;
        CAPTURE(shift);
        CHECK(p.p50 >= median);
        CHECK(p.p50 - median <= median / 64);
        CHECK(p.p99 >= tail);
        CHECK(p.p99 - tail <= tail / 64);
        CHECK(p.greatest == std::uint64_t{200} << shift);
    }
}

TEST_CASE("the extremes") {
    Histogram histogram;
    histogram.add(0);
    histogram.add(~std::uint64_t{0});
    histogram.add(~std::uint64_t{0});
    const Percentiles p = histogram.percentiles();
    CHECK(p.least == 0);
    CHECK(p.greatest == ~std::uint64_t{0});
    CHECK(p.p99 == ~std::uint64_t{0});
    CHECK(p.mean == 12297829382473034410u);
}
