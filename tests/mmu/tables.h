#pragma once
// A bump allocator and raw table writers for the page-walk tests.
#include <cstdint>

#include "mmu/walk.h"
#include "sim/ram.h"

namespace hvsim::mmu::test {

inline constexpr std::uint64_t kP = 1, kRW = 2, kUS = 4, kA = 0x20, kD = 0x40, kPS = 0x80,
                               kG = 0x100;
inline constexpr std::uint64_t kXD = std::uint64_t{1} << 63;

/// RAM with table pages handed out from 1 MiB upwards.
struct Tables {
    sim::Ram ram{64 << 20};
    std::uint64_t next = 1 << 20;

    std::uint64_t page() {
        const std::uint64_t at = next;
        next += 4096;
        return at;
    }
    std::uint64_t get(std::uint64_t address) const {
        std::uint64_t value = 0;
        REQUIRE(ram.read(address, value));
        return value;
    }
    std::uint32_t get32(std::uint64_t address) const {
        std::uint32_t value = 0;
        REQUIRE(ram.read(address, value));
        return value;
    }
    void put(std::uint64_t address, std::uint64_t value) { REQUIRE(ram.write(address, value)); }
    void put32(std::uint64_t address, std::uint32_t value) { REQUIRE(ram.write(address, value)); }

    /// Address of the entry of `linear` at `level` under `root`, making tables with `flags`.
    std::uint64_t slot(std::uint64_t root, unsigned levels, std::uint64_t linear, unsigned level,
                       std::uint64_t flags) {
        std::uint64_t table = root;
        for (unsigned at = levels; at > level; --at) {
            const std::uint64_t entry = table + (linear >> (12 + 9 * (at - 1)) & 511) * 8;
            std::uint64_t value = get(entry);
            if (value == 0) {
                value = page() | flags;
                put(entry, value);
            }
            table = value & 0x000ffffffffff000;
        }
        return table + (linear >> (12 + 9 * (level - 1)) & 511) * 8;
    }
};

}  // namespace hvsim::mmu::test
