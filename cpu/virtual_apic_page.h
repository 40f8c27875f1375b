#pragma once
// The page of a guest's virtualized APIC registers in simulated memory, as both vendors lay it out
// (SDM 3C 30.1, APM 2 15.29.3). Where no memory answers it reads as ones.
#include <bit>
#include <cstdint>
#include <optional>

#include "sim/ram.h"

namespace hvsim::cpu {

class VirtualApicPage {
  public:
    VirtualApicPage(sim::Ram& ram, std::uint64_t address) : ram_(ram), address_(address) {}

    std::uint32_t get(std::uint32_t offset) const {
        std::uint32_t value = ~std::uint32_t{0};
        ram_.read(address_ + offset, value);
        return value;
    }
    void set(std::uint32_t offset, std::uint32_t value) const {
        ram_.write(address_ + offset, value);
    }

    // A set of vectors: eight registers from `registers` on.
    bool has_vector(std::uint32_t registers, unsigned vector) const {
        return (get(word(registers, vector)) >> (vector % 32) & 1) != 0;
    }
    void set_vector(std::uint32_t registers, unsigned vector, bool value) const {
        const std::uint32_t offset = word(registers, vector), bit = 1u << (vector % 32);
        set(offset, value ? get(offset) | bit : get(offset) & ~bit);
    }
    std::optional<unsigned> highest_vector(std::uint32_t registers) const {
        for (unsigned i = 8; i-- > 0;)
            if (const std::uint32_t value = get(registers + 16 * i); value != 0)
                return 32 * i + 31 - static_cast<unsigned>(std::countl_zero(value));
        return std::nullopt;
    }

  private:
    static constexpr std::uint32_t word(std::uint32_t registers, unsigned vector) noexcept {
        return registers + 16 * (vector / 32);
    }

    sim::Ram& ram_;
    std::uint64_t address_;
};

}  // namespace hvsim::cpu
