#pragma once
// Descriptors of the invalidation queue, 128 bits each. Source: VT-d 4.1 (see registers.h), 6.5.2.
#include <array>
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::iommu::vtd::spec {

enum class DescriptorType : std::uint8_t {
    context_cache = 1,
    iotlb = 2,
    device_tlb = 3,
    interrupt_entry_cache = 4,
    wait = 5,
};

/// Type: bits 11:9 above bits 3:0.
using DESCRIPTOR_TYPE_LOW = sim::Bits<3, 0>;
using DESCRIPTOR_TYPE_HIGH = sim::Bits<11, 9>;
constexpr std::uint8_t descriptor_type(std::uint64_t low) noexcept {
    return static_cast<std::uint8_t>(DESCRIPTOR_TYPE_HIGH::get(low) << 4 |
                                     DESCRIPTOR_TYPE_LOW::get(low));
}

// Context-cache invalidate (6.5.2.1).
using CC_G = sim::Bits<5, 4>;
using CC_DID = sim::Bits<31, 16>;
using CC_SID = sim::Bits<47, 32>;
using CC_FM = sim::Bits<49, 48>;

// IOTLB invalidate (6.5.2.3).
using IOTLB_DESC_G = sim::Bits<5, 4>;
using IOTLB_DESC_DW = sim::Bits<6>;
using IOTLB_DESC_DR = sim::Bits<7>;
using IOTLB_DESC_DID = sim::Bits<31, 16>;
using IOTLB_DESC_AM = sim::Bits<5, 0>;  ///< high quadword, as are the next two
using IOTLB_DESC_IH = sim::Bits<6>;
using IOTLB_DESC_ADDR = sim::Bits<63, 12>;

// Interrupt entry cache invalidate (6.5.2.7).
using IEC_G = sim::Bits<4>;  ///< set: index-selective
using IEC_IM = sim::Bits<31, 27>;
using IEC_IIDX = sim::Bits<47, 32>;

// Invalidation wait (6.5.2.8).
using WAIT_IF = sim::Bits<4>;
using WAIT_SW = sim::Bits<5>;
using WAIT_FN = sim::Bits<6>;
using WAIT_PD = sim::Bits<7>;
using WAIT_STATUS_DATA = sim::Bits<63, 32>;
using WAIT_STATUS_ADDRESS = sim::Bits<63, 2>;  ///< high quadword

/// The bits that are defined in each type's quadwords; others must be zero.
struct DescriptorRow {
    DescriptorType type;
    std::uint64_t defined_low;
    std::uint64_t defined_high;
};
inline constexpr std::uint64_t kTypeBits = DESCRIPTOR_TYPE_LOW::kMask | DESCRIPTOR_TYPE_HIGH::kMask;
inline constexpr std::array<DescriptorRow, 4> kDescriptorTable{{
    {DescriptorType::context_cache,
     kTypeBits | CC_G::kMask | CC_DID::kMask | CC_SID::kMask | CC_FM::kMask, 0},
    {DescriptorType::iotlb,
     kTypeBits | IOTLB_DESC_G::kMask | IOTLB_DESC_DW::kMask | IOTLB_DESC_DR::kMask |
         IOTLB_DESC_DID::kMask,
     IOTLB_DESC_AM::kMask | IOTLB_DESC_IH::kMask | IOTLB_DESC_ADDR::kMask},
    {DescriptorType::interrupt_entry_cache,
     kTypeBits | IEC_G::kMask | IEC_IM::kMask | IEC_IIDX::kMask, 0},
    {DescriptorType::wait,
     kTypeBits | WAIT_IF::kMask | WAIT_SW::kMask | WAIT_FN::kMask | WAIT_PD::kMask |
         WAIT_STATUS_DATA::kMask,
     WAIT_STATUS_ADDRESS::kMask},
}};

}  // namespace hvsim::iommu::vtd::spec
