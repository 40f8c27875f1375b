#pragma once
// The hypercall interface (TLFS 3): takes a hypercall from a virtual processor's registers, checks
// it, gives it to its handler and puts the result back.
#include <cstdint>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/status.h"

namespace hvsim::hv {

struct HypercallOutcome {
    enum class Kind : std::uint8_t {
        completed,         ///< result is in the registers; RIP goes behind the instruction
        continue_later,    ///< rep start was updated; RIP stays, pending interrupts first
        undefined,         ///< #UD
        memory_intercept,  ///< an input or output page is not accessible; RIP stays
    };
    Kind kind = Kind::completed;
    HvStatus status = HvStatus::success;
    unsigned reps_done = 0;  ///< in this slice: cost units
    bool yield = false;      ///< the caller spins on a lock: let another processor run
    std::uint64_t gpa = 0;   ///< memory_intercept
    bool write = false;      ///< memory_intercept
    std::uint16_t code = 0;
};

class HypercallDispatcher {
  public:
    explicit HypercallDispatcher(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}

    /// `caller` executed VMCALL or VMMCALL, or a native task of it asked for the same.
    HypercallOutcome dispatch(VirtualProcessor& caller, sim::Time now);

  private:
    Hypervisor& hypervisor_;
};

}  // namespace hvsim::hv
