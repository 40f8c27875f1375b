#pragma once
// The MSR areas of VM entries and VM exits (SDM 3C 25.7.2, 25.8.2, 27.4, 28.4, 28.6).
#include <cstdint>

#include "cpu/core.h"

namespace hvsim::cpu::vmx {

/// IA32_VMX_MISC bits 27:25 of 0 recommend at most so many entries; more are refused.
inline constexpr std::uint32_t kMsrAreaLimit = 512;

/// Loads `count` MSRs from the area at `address`: the number of the first entry that cannot be
/// loaded, from 1 on, or 0.
std::uint32_t load_msr_area(Core& core, std::uint64_t address, std::uint32_t count);
/// Stores MSRs into the area; likewise.
std::uint32_t store_msr_area(Core& core, std::uint64_t address, std::uint32_t count);

}  // namespace hvsim::cpu::vmx
