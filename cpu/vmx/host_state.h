#pragma once
// Loading the host state on a VM exit, where the host is a program on the same core (SDM 3C 28.5).
#include "cpu/core.h"
#include "cpu/vmx/region.h"

namespace hvsim::cpu::vmx {

/// VMX-abort indicators (SDM 3C 28.7).
enum class Abort : std::uint32_t {
    none = 0,
    saving_guest_msrs = 1,
    host_pdptes = 2,
    loading_host_msrs = 4,
};

/// CR0 bits that neither VM entry nor VM exit loads: ET, 15:6, 17, 28:19, NW and CD (SDM
/// 3C 27.3.2.1, 28.5.1).
inline constexpr std::uint64_t kCr0Kept = 0x7ffaffd0;

/// Control registers, MSRs, segments, RIP, RSP and RFLAGS from the host-state area of `vmcs`, on
/// the host's side of the core. What the area does not have stays as the guest left it.
Abort load_host_state(const Region& vmcs, Core& core, std::uint64_t guest_cr0,
                      std::uint64_t guest_efer);

}  // namespace hvsim::cpu::vmx
