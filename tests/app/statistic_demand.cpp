#include "app/statistic_demand.h"

#include <doctest/doctest.h>

#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

std::vector<analysis::Statistic> statistics() {
    return {{"hv.partition2.vp0.ipis", 3, "count", ""},
            {"hv.partition2.vp1.ipis", 4, "count", ""},
            {"hv.partition2.vp10.ipis", 5, "count", ""},
            {"hv.partition2.vp0.vector.0xef", 7, "count", ""},
            {"greatest.a", ~std::uint64_t{0}, "count", ""},
            {"greatest.b", 1, "count", ""}};
}

std::optional<std::uint64_t> found(const char* name) {
    return StatisticDemand(std::string(name) + " > 0").found_in(statistics());
}

bool holds(const char* comparison, std::uint64_t value) {
    return StatisticDemand(std::string("x ") + comparison).holds(value);
}

}  // namespace

TEST_CASE("every comparison, with and without blanks") {
    CHECK(holds("== 5", 5));
    CHECK(!holds("== 5", 6));
    CHECK(holds("!= 5", 6));
    CHECK(!holds("!=5", 5));
    CHECK(holds("< 5", 4));
    CHECK(!holds("<5", 5));
    CHECK(holds("<= 5", 5));
    CHECK(!holds("<=5", 6));
    CHECK(holds("> 5", 6));
    CHECK(!holds(">5", 5));
    CHECK(holds(">= 5", 5));
    CHECK(!holds(">=5", 4));
    CHECK(holds("== 18446744073709551615", ~std::uint64_t{0}));
}

TEST_CASE("names, stars and sums") {
    CHECK(found("hv.partition2.vp1.ipis") == 4);
    CHECK(found("hv.partition2.vp*.ipis") == 12);
    CHECK(found("hv.partition2.vp1*.ipis") == 9);
    CHECK(found("*.*.*.ipis") == 12);
    CHECK(!found("*.ipis").has_value());  // a star does not cross a dot
    CHECK(!found("hv.partition2.vp1").has_value());
    CHECK(!found("hv.partition2.vp1.ipis.more").has_value());
    CHECK(found("hv.partition2.vp0.vector.0xef*") == 7);
    CHECK(found("greatest.*") == ~std::uint64_t{0});
}

TEST_CASE("what is no demand") {
    for (const char* text :
         {"", "x", "x > ", "> 5", "x = 5", "x ! 5", "x > -1", "x > 5 y", "x > 0x10", "x y > 5",
          "x > 18446744073709551616", "x > 1.5", "x == == 5"})
        CHECK_THROWS_AS(StatisticDemand{text}, sim::ConfigError);
}

TEST_CASE("the nearest name") {
    CHECK(nearest_statistic("hv.partition2.vp1.ipsi", statistics()) == "hv.partition2.vp1.ipis");
    CHECK(nearest_statistic("something.else", statistics()).empty());
}
