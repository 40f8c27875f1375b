#include "sim/touched_memory.h"

#include <doctest/doctest.h>

#include <set>

using namespace hvsim;
using sim::kPageSize;

TEST_CASE("pages that were written are among the touched ones, and a big memory has few") {
    constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
    constexpr std::uint64_t kHole = 3 * kGib;
    sim::Ram ram(64 * kGib, kHole);
    const std::set<std::uint64_t> written{0,
                                          5 * kPageSize,
                                          kGib,
                                          kHole - kPageSize,
                                          sim::Ram::kHighBase,
                                          40 * kGib + 7 * kPageSize,
                                          ram.end() - kPageSize};
    for (const std::uint64_t address : written) REQUIRE(ram.write(address, std::uint8_t{1}));
    sim::TouchedMemory touched(ram);
    std::set<std::uint64_t> found;
    for (const sim::RamPiece& piece : ram.pieces())
        for (std::uint64_t page = touched.next(piece.base, piece.end()); page < piece.end();
             page = touched.next(page + kPageSize, piece.end()))
            found.insert(page);
    for (const std::uint64_t address : written) CHECK(found.contains(address));
    // The host may give memory in pages of 2 MiB.
    CHECK(found.size() <= written.size() * 512);

    // Anywhere, in any order, also for what was written since.
    CHECK(touched.next(kGib, 2 * kGib) == kGib);
    CHECK(touched.next(0, kPageSize) == 0);
    CHECK(touched.next(20 * kGib, 20 * kGib) == 20 * kGib);
    sim::Ram other(kPageSize * 4);
    CHECK(sim::TouchedMemory(other).next(0, 4 * kPageSize) == 4 * kPageSize);
}
