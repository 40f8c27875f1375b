// Sets of pages as runs, against a plain set.
#include "hypervisor-model/page_runs.h"

#include <doctest/doctest.h>

#include <set>

using hvsim::hv::PageRuns;

TEST_CASE("runs agree with a plain set under any order of changes") {
    PageRuns runs;
    std::set<std::uint64_t> plain;
    std::uint32_t random = 12345;
    for (int step = 0; step < 5000; ++step) {
        random = random * 1664525 + 1013904223;
        const std::uint64_t first = random >> 8 & 63;
        const std::uint64_t count = (random >> 16 & 15) + 1;
        const bool insert = (random >> 30 & 1) != 0;
        for (std::uint64_t i = first; i < first + count; ++i)
            insert ? static_cast<void>(plain.insert(i)) : static_cast<void>(plain.erase(i));
        insert ? runs.insert(first, count) : runs.erase(first, count);
        REQUIRE(runs.pages() == plain.size());
        std::uint64_t previous_end = ~std::uint64_t{0};
        for (const auto& [begin, length] : runs.runs()) {
            REQUIRE(length > 0);
            REQUIRE(begin != previous_end);
            previous_end = begin + length;
        }
        for (std::uint64_t i = 0; i < 80; ++i) REQUIRE(runs.contains(i) == plain.contains(i));
    }
}
