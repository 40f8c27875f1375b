#pragma once
// What this processor's VMX can do: the capability MSRs (SDM 3D appendix A), from one place that
// the entry checks use as well.
#include <cstdint>

#include "cpu/models/model.h"
#include "cpu/vmx/spec/fields.h"

namespace hvsim::cpu::vmx {

inline constexpr std::uint32_t kRevision = 0x48560001;
inline constexpr std::uint32_t kRegionSize = 4096;

/// Settings that a control word may have: bits that must be 1 and bits that may be 1.
struct ControlCapability {
    std::uint32_t must_be_one;
    std::uint32_t may_be_one;
    constexpr bool allows(std::uint32_t value) const noexcept {
        return (value & must_be_one) == must_be_one && (value & ~may_be_one) == 0;
    }
};

/// What works; a model's generation may lack some of the secondary controls.
extern const ControlCapability kPinControls, kPrimaryControls, kSecondaryControls, kExitControls,
    kEntryControls;
ControlCapability secondary_controls(const Model& model) noexcept;
/// Whether the processor has the field: those of absent controls do not exist (SDM 3D appendix B).
bool has_field(const Model& model, Field field) noexcept;

/// The preemption timer counts down when this bit of the TSC changes (A.6).
inline constexpr unsigned kPreemptionTimerRate = 0;
/// Injection of a pending monitor-trap-flag exit (SDM 3C 25.8.3): type 7, vector 0.
inline constexpr std::uint32_t kInjectPendingTrap = 7;

/// VM functions (SDM 3C table 25-10, IA32_VMX_VMFUNC).
inline constexpr std::uint64_t kEptpSwitching = 1u << 0, kVmFunctions = kEptpSwitching;

/// CR0 and CR4 bits fixed in VMX operation (A.7, A.8).
inline constexpr std::uint64_t kCr0Fixed0 = 0x80000021, kCr0Fixed1 = 0xffffffff;
inline constexpr std::uint64_t kCr4Fixed0 = 0x2000;
std::uint64_t cr4_fixed1(const Model& model) noexcept;

/// IA32_VMX_EPT_VPID_CAP (A.10).
std::uint64_t ept_vpid_capability() noexcept;

/// Reads an MSR of 0x480-0x491; false: not implemented (#GP).
bool capability_msr(const Model& model, std::uint32_t number, std::uint64_t& value) noexcept;

}  // namespace hvsim::cpu::vmx
