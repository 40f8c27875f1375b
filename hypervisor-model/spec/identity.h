#pragma once
// Identifiers that occur in every hypercall (TLFS 2.1, 7.8).
#include <cstdint>

namespace hvsim::hv {

using PartitionId = std::uint64_t;
using VpIndex = std::uint32_t;
using PortId = std::uint32_t;        ///< low 24 bits significant
using ConnectionId = std::uint32_t;  ///< low 24 bits significant

inline constexpr PartitionId kInvalidPartition = 0;
inline constexpr PartitionId kSelfPartition = ~std::uint64_t{0};
inline constexpr VpIndex kAnyVp = 0xffff'ffff;
inline constexpr VpIndex kSelfVp = 0xffff'fffe;
inline constexpr std::uint32_t kIdMask24 = 0x00ff'ffff;

}  // namespace hvsim::hv
