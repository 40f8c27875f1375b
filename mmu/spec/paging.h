#pragma once
// Guest paging structures and page-fault error codes.
// Source: Intel SDM volume 3A (order 325462), chapter 4; AMD APM volume 2 (24593
// rev. 3.41), 5.3.
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::mmu::paging {

// Paging-structure entries, all formats (SDM 3A tables 4-5 to 4-20).
using P = sim::Bits<0>;
using RW = sim::Bits<1>;
using US = sim::Bits<2>;
using PWT = sim::Bits<3>;
using PCD = sim::Bits<4>;
using A = sim::Bits<5>;
using D = sim::Bits<6>;
using PS = sim::Bits<7>;  ///< in an entry that can map a large page; PAT in a 4 KiB leaf
using G = sim::Bits<8>;
using XD = sim::Bits<63>;
using ADDRESS = sim::Bits<51, 12>;

// 32-bit paging (SDM 3A 4.3).
using ADDRESS_32 = sim::Bits<31, 12>;
using ADDRESS_4M_LOW = sim::Bits<31, 22>;
using ADDRESS_4M_HIGH = sim::Bits<20, 13>;  ///< PSE-36: physical-address bits 39:32
using RESERVED_4M = sim::Bits<21, 13>;      ///< all of them without PSE-36

// PAE paging (SDM 3A 4.4): reserved bits of a PDPTE besides those above MAXPHYADDR (table 4-8).
using PDPTE_RESERVED_LOW = sim::Bits<2, 1>;
using PDPTE_RESERVED_HIGH = sim::Bits<8, 5>;
using PAE_RESERVED_HIGH = sim::Bits<62, 52>;
using PAE_CR3_ADDRESS = sim::Bits<31, 5>;

// Reserved address bits of large-page leaves (SDM 3A tables 4-9, 4-16, 4-18).
using RESERVED_2M = sim::Bits<20, 13>;
using RESERVED_1G = sim::Bits<29, 13>;

/// Page-fault error code (SDM 3A 4.7, figure 4-12).
namespace error_code {
inline constexpr std::uint32_t kPresent = 1u << 0;
inline constexpr std::uint32_t kWrite = 1u << 1;
inline constexpr std::uint32_t kUser = 1u << 2;
inline constexpr std::uint32_t kReserved = 1u << 3;
inline constexpr std::uint32_t kInstruction = 1u << 4;
}  // namespace error_code

/// The bits of an address field that a processor with `width` physical-address bits reserves
/// (51:MAXPHYADDR); `width` 32 to 52.
constexpr std::uint64_t address_bits_above(unsigned width) noexcept {
    return width >= 52 ? 0 : ADDRESS::kMask & ~((std::uint64_t{1} << width) - 1);
}

/// Whether a linear address of 48 (4-level) or 57 (5-level) significant bits is canonical
/// (SDM 1 3.3.7.1).
constexpr bool is_canonical(std::uint64_t linear, unsigned significant_bits) noexcept {
    const std::int64_t upper = static_cast<std::int64_t>(linear) >> (significant_bits - 1);
    return upper == 0 || upper == -1;
}

}  // namespace hvsim::mmu::paging
