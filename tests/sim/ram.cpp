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
