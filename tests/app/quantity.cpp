#include "app/scenario/quantity.h"

#include <doctest/doctest.h>

#include "app/scenario/nearest.h"

using namespace hvsim::app;
using namespace hvsim::sim;

TEST_CASE("sizes") {
    CHECK(parse_size("512 MiB") == 512 * kMiB);
    CHECK(parse_size("2GiB") == 2 * kGiB);
    CHECK(parse_size("1.5 GiB") == 1536 * kMiB);
    CHECK(parse_size("0 B") == 0);
    CHECK(parse_size("16777215 TiB") == std::uint64_t{16777215} * 1024 * kGiB);
    for (const char* wrong :
         {"", "MiB", "512", "512 MB", "-1 MiB", "1.5 B", "1. MiB", ".5 GiB", "1..5 GiB",
          "16777216 TiB", "99999999999999999999 B", "1 MiB ", " 1 MiB"})
        CHECK_MESSAGE(!parse_size(wrong), wrong);
    CHECK(format_size(512 * kMiB) == "512 MiB");
    CHECK(format_size(1536 * kMiB) == "1536 MiB");
    CHECK(format_size(kMiB + 1) == "1048577 B");
    CHECK(format_size(0) == "0 B");
}

TEST_CASE("durations") {
    CHECK(parse_duration("10us") == 10 * kMicrosecond);
    CHECK(parse_duration("3 s") == 3 * kSecond);
    CHECK(parse_duration("2.5 ms") == 2500 * kMicrosecond);
    CHECK(parse_duration("0.001 ns") == 1);
    CHECK(parse_duration("1 min") == 60 * kSecond);
    CHECK(parse_duration("7ps") == 7);
    for (const char* wrong : {"", "10", "us", "10 us ", "0.5 ps", "10 sec", "1e3 s", "+1 s",
                              "18446745 s", "0.0000000000001 s", "1,5 s"})
        CHECK_MESSAGE(!parse_duration(wrong), wrong);
    CHECK(format_duration(10 * kMicrosecond) == "10 us");
    CHECK(format_duration(120 * kSecond) == "120 s");
    CHECK(format_duration(1500) == "1500 ps");
}

TEST_CASE("the nearest word") {
    constexpr std::string_view words[] = {"processors", "ram", "vendor", "quantum"};
    CHECK(nearest("procesors", words) == "processors");
    CHECK(nearest("rma", words) == "ram");
    CHECK(nearest("memory", words).empty());
    CHECK(nearest("x", words).empty());
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("ab", "ba") == 1);
}
