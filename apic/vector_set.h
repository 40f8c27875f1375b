#pragma once
// A set of interrupt vectors, as IRR, ISR and TMR hold it.
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace hvsim::apic {

class VectorSet {
  public:
    constexpr bool test(std::uint8_t vector) const noexcept {
        return (words_[vector >> 6] >> (vector & 63) & 1) != 0;
    }
    constexpr void set(std::uint8_t vector) noexcept {
        words_[vector >> 6] |= std::uint64_t{1} << (vector & 63);
    }
    constexpr void clear(std::uint8_t vector) noexcept {
        words_[vector >> 6] &= ~(std::uint64_t{1} << (vector & 63));
    }
    constexpr void assign(std::uint8_t vector, bool value) noexcept {
        if (value)
            set(vector);
        else
            clear(vector);
    }
    constexpr bool any() const noexcept {
        return (words_[0] | words_[1] | words_[2] | words_[3]) != 0;
    }
    /// The highest vector in the set.
    constexpr std::optional<std::uint8_t> highest() const noexcept {
        for (unsigned i = 4; i-- > 0;)
            if (words_[i] != 0)
                return static_cast<std::uint8_t>(
                    i * 64 + 63 - static_cast<unsigned>(std::countl_zero(words_[i])));
        return std::nullopt;
    }
    /// Register `index` of the bank of eight that holds this set (SDM 3A figure 11-20).
    constexpr std::uint32_t word32(unsigned index) const noexcept {
        return static_cast<std::uint32_t>(words_[index >> 1] >> (index & 1 ? 32 : 0));
    }
    constexpr bool operator==(const VectorSet&) const noexcept = default;

  private:
    std::array<std::uint64_t, 4> words_{};
};

}  // namespace hvsim::apic
