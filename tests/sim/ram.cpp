#include "sim/ram.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

using namespace hvsim::sim;

TEST_CASE("an access that is not wholly inside is refused and changes nothing") {
    Ram ram(2 * kPageSize);
    std::uint64_t value = 7;
    CHECK(ram.write<std::uint64_t>(2 * kPageSize - 8, 0x1122334455667788));
    CHECK_FALSE(ram.write<std::uint64_t>(2 * kPageSize - 7, 1));
    CHECK_FALSE(ram.read(2 * kPageSize - 7, value));
    CHECK_FALSE(ram.read(~std::uint64_t{0} - 3, value));
    CHECK(value == 7);
    CHECK(ram.read(2 * kPageSize - 8, value));
    CHECK(value == 0x1122334455667788);
}

TEST_CASE("writers tell the observer about each code page, before the bytes change") {
    struct Observer : CodeWriteObserver {
        std::vector<std::uint64_t> pages;
        void code_page_written(std::uint64_t page) override { pages.push_back(page); }
    } observer;
    Ram ram(4 * kPageSize);
    ram.set_code_write_observer(&observer);
    ram.set_code_page(1, true);
    ram.set_code_page(2, true);
    const std::array<std::uint8_t, 16> bytes{};
    CHECK(ram.write_bytes(100, bytes));
    CHECK(observer.pages.empty());
    CHECK(ram.write_bytes(2 * kPageSize - 8, bytes));
    CHECK(observer.pages == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("memory that does not fit below the device hole goes on at 4 GiB") {
    constexpr std::uint64_t kHole = 0xf8000000, kHigh = Ram::kHighBase;
    Ram ram(kHole + 2 * kPageSize, kHole);
    CHECK(ram.size() == kHole + 2 * kPageSize);
    CHECK(ram.end() == kHigh + 2 * kPageSize);
    CHECK(ram.pieces() == std::vector<RamPiece>{{0, kHole}, {kHigh, 2 * kPageSize}});
    CHECK(ram.write(kHole - 8, std::uint64_t{1}));
    CHECK_FALSE(ram.write(kHole - 4, std::uint64_t{1}));
    CHECK_FALSE(ram.write(kHole, std::uint8_t{1}));
    CHECK_FALSE(ram.write(kHigh - 1, std::uint16_t{1}));
    CHECK(ram.write(kHigh, std::uint64_t{2}));
    CHECK(ram.write(ram.end() - 8, std::uint64_t{3}));
    CHECK_FALSE(ram.write(ram.end() - 7, std::uint64_t{3}));
    CHECK_FALSE(ram.contains(0, kHigh + kPageSize));
    CHECK_FALSE(ram.contains(~std::uint64_t{0}, 2));
}

TEST_CASE("memory below the device hole is one piece") {
    Ram ram(4 * kPageSize, 8 * kPageSize);
    CHECK(ram.pieces() == std::vector<RamPiece>{{0, 4 * kPageSize}});
    CHECK(ram.end() == 4 * kPageSize);
    CHECK_FALSE(ram.contains(Ram::kHighBase, 1));
}
