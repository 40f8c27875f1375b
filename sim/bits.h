#pragma once
// Typed bit fields of registers and table entries; no C bit-fields, no magic shifts.
#include <bit>
#include <concepts>
#include <cstdint>

namespace hvsim::sim {

/// Bits [High:Low] of an unsigned value, named as the manual does: `using VECTOR = Bits<7, 0>;`.
template <unsigned High, unsigned Low = High>
struct Bits {
    static_assert(High >= Low && High < 64);
    static constexpr unsigned kLow = Low;
    static constexpr unsigned kWidth = High - Low + 1;
    static constexpr std::uint64_t kMask = (~std::uint64_t{0} >> (64 - kWidth)) << Low;

    static constexpr std::uint64_t get(std::uint64_t word) noexcept {
        return (word & kMask) >> Low;
    }
    static constexpr bool test(std::uint64_t word) noexcept { return (word & kMask) != 0; }
    template <std::unsigned_integral T>
    [[nodiscard]] static constexpr T set(T word, std::uint64_t value) noexcept {
        return static_cast<T>((word & ~kMask) | ((value << Low) & kMask));
    }
};

constexpr bool bit(std::uint64_t word, unsigned n) noexcept {
    return (word >> n & 1) != 0;
}

}  // namespace hvsim::sim
