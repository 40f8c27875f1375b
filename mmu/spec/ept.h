#pragma once
// Extended page tables: EPTP, entries, exit qualification of EPT violations.
// Source: Intel SDM volume 3C (order 325462), 25.6.11, 28.2.1 (table 28-7), 29.3.
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::mmu::ept {

// EPTP (SDM 3C table 25-9).
using EPTP_MEMORY_TYPE = sim::Bits<2, 0>;
using EPTP_WALK_LENGTH = sim::Bits<5, 3>;  ///< number of levels less one
using EPTP_AD_ENABLE = sim::Bits<6>;
using EPTP_ADDRESS = sim::Bits<51, 12>;

// Entries (SDM 3C tables 29-1 to 29-7).
using R = sim::Bits<0>;
using W = sim::Bits<1>;
using X = sim::Bits<2>;  ///< supervisor-mode execute when mode-based execute control is on
using MEMORY_TYPE = sim::Bits<5, 3>;
using IPAT = sim::Bits<6>;  ///< ignore PAT
using PS = sim::Bits<7>;    ///< maps a 1 GiB or 2 MiB page
using A = sim::Bits<8>;
using D = sim::Bits<9>;
using XU = sim::Bits<10>;  ///< user-mode execute when mode-based execute control is on
using ADDRESS = sim::Bits<51, 12>;
using SUPPRESS_VE = sim::Bits<63>;

// Reserved bits (SDM 3C 29.3.2).
using RESERVED_TABLE = sim::Bits<6, 3>;      ///< of an entry that references a table
using RESERVED_TABLE_TOP = sim::Bits<7, 3>;  ///< of a PML4E or PML5E
using RESERVED_2M = sim::Bits<20, 12>;       ///< of a PDE that maps a page
using RESERVED_1G = sim::Bits<29, 12>;       ///< of a PDPTE that maps a page

/// Memory types of leaves; the values not named are reserved (SDM 3C 29.3.7).
enum class MemoryType : std::uint8_t {
    uncacheable = 0,
    write_combining = 1,
    write_through = 4,
    write_protected = 5,
    write_back = 6,
};
constexpr bool is_valid_memory_type(std::uint64_t type) noexcept {
    return type <= 1 || (type >= 4 && type <= 6);
}

// Exit qualification of an EPT violation (SDM 3C table 28-7).
namespace qualification {
inline constexpr std::uint64_t kRead = 1u << 0;
inline constexpr std::uint64_t kWrite = 1u << 1;
inline constexpr std::uint64_t kFetch = 1u << 2;
inline constexpr std::uint64_t kReadable = 1u << 3;
inline constexpr std::uint64_t kWritable = 1u << 4;
inline constexpr std::uint64_t kExecutable = 1u << 5;
inline constexpr std::uint64_t kUserExecutable = 1u << 6;  ///< with mode-based execute only
inline constexpr std::uint64_t kLinearValid = 1u << 7;
inline constexpr std::uint64_t kFinalAccess = 1u << 8;  ///< clear: access of a paging structure
}  // namespace qualification

}  // namespace hvsim::mmu::ept
