#pragma once
// Breakpoints as DR0 to DR3 and DR7 set them up (SDM 3B 18.2).
#include <array>
#include <cstdint>

namespace hvsim::cpu {

namespace dr6 {
inline constexpr std::uint64_t kBreakpoints = 0xf;
inline constexpr std::uint64_t kBD = 1 << 13, kBS = 1 << 14;
}  // namespace dr6

namespace dr7 {
inline constexpr std::uint64_t kEnables = 0xff;  ///< L0, G0 to L3, G3
inline constexpr std::uint64_t kGD = 1 << 13;
}  // namespace dr7

struct Breakpoint {
    /// DR7.R/W; `port` needs CR4.DE.
    enum class Kind : std::uint8_t { execute, write, port, access };
    Kind kind{};
    bool enabled = false;
    std::uint8_t bytes = 1;  ///< DR7.LEN
    std::uint64_t address = 0;

    bool overlaps(std::uint64_t first, std::uint64_t size) const noexcept {
        return first - address < bytes || address - first < size;
    }
};

/// Breakpoint `index` of these registers.
constexpr Breakpoint breakpoint(unsigned index, std::uint64_t address, std::uint64_t dr7) noexcept {
    constexpr std::array<std::uint8_t, 4> kBytes{1, 2, 8, 4};
    Breakpoint result;
    result.enabled = (dr7 >> (2 * index) & 3) != 0;
    result.kind = static_cast<Breakpoint::Kind>(dr7 >> (16 + 4 * index) & 3);
    result.bytes = kBytes[dr7 >> (18 + 4 * index) & 3];
    // SDM 3B 18.2.5: the low bits that LEN covers are ignored.
    result.address = result.kind == Breakpoint::Kind::execute
                         ? address
                         : address & ~std::uint64_t{result.bytes - 1u};
    return result;
}

}  // namespace hvsim::cpu
