#pragma once
// The second dimension of address translation: guest-physical to system-physical through EPT or
// NPT, walked in simulated memory.
#include <cstdint>

#include "mmu/nested_tlb.h"
#include "mmu/spec/ept.h"
#include "mmu/spec/npt.h"
#include "sim/ram.h"

namespace hvsim::mmu {

/// What the processor wants to do with an address.
enum class Access : std::uint8_t { read, write, execute };

enum class SecondStageKind : std::uint8_t { none, ept, npt };
/// The format of NPT tables follows the host's paging mode (APM 2 15.25.1).
enum class NptMode : std::uint8_t { legacy, pae, level4, level5 };

/// Page-modification logging (SDM 3C 29.3.6): told before a leaf's D bit is set.
class PageModificationLog {
  public:
    virtual ~PageModificationLog() = default;
    /// False: the log is full, and the access does not happen.
    virtual bool append(std::uint64_t guest_physical) = 0;
};

/// Where and how guest-physical addresses are translated; fill it once per VM entry.
/// A table outside of RAM reads as all ones, as from a bus where nobody answers: reserved bits are
/// set, so EPT reports a misconfiguration and NPT a reserved-bit fault. Writes there are lost.
struct SecondStage {
    sim::Ram* ram = nullptr;
    SecondStageKind kind = SecondStageKind::none;
    std::uint64_t root = 0;        ///< EPTP (SDM 3C table 25-9) or nCR3
    std::uint8_t maxphyaddr = 46;  ///< physical-address width of the processor, 32 to 52
    bool pages_1g = true;          ///< 1 GiB leaves are supported
    // EPT only:
    bool execute_only = true;            ///< IA32_VMX_EPT_VPID_CAP bit 0
    bool mode_based_execute = false;     ///< secondary processor-based control 22
    PageModificationLog* log = nullptr;  ///< not owned; nullptr = no logging
    // NPT only:
    NptMode npt_mode = NptMode::level4;
    bool npt_page_size_extensions = true;  ///< legacy: the host's CR4.PSE, 4 MiB pages
    bool npt_nx = true;                    ///< the host's EFER.NXE at VMRUN
    /// The host's EFER.NXE or CR4.SMEP: faults tell fetches from reads (APM 2 5.4).
    bool npt_tells_fetches = true;
    /// Guest mode execute trap: U/S of a page says who may fetch from it, CPL 3 or the others, and
    /// nothing else (APM 2 15.25.9).
    bool npt_execute_trap = false;

    NestedTlb* tlb = nullptr;  ///< not owned; nullptr = every translation is a walk
};

/// Costs of a translation, in memory references and hits of the nested TLB.
struct WalkSteps {
    std::uint16_t guest = 0;   ///< guest paging-structure entries read
    std::uint16_t nested = 0;  ///< EPT or NPT entries read
    std::uint16_t nested_tlb_hits = 0;
    std::uint16_t updates = 0;  ///< entries written back with A or D set
};

/// One access on its way through the second stage.
struct NestedRequest {
    Access access = Access::read;
    bool guest_table = false;  ///< access of a guest paging structure, not of the final address
    bool linear_valid = true;  ///< false: access without a linear address (PDPTE load)
    bool user_linear = false;  ///< U/S of the guest mapping: selects XU under mode-based execute
    bool user_mode = false;    ///< CPL 3
};

enum class NestedFaultKind : std::uint8_t {
    none,
    ept_violation,
    ept_misconfiguration,
    page_modification_log_full,
    npt_fault,
};

/// A VM exit in the making.
struct NestedFault {
    NestedFaultKind kind = NestedFaultKind::none;
    std::uint64_t guest_physical = 0;
    std::uint64_t information = 0;  ///< exit qualification, or EXITINFO1

    /// Not of a guest paging structure: `guest_physical` is what the linear address translates to.
    bool is_final_access() const noexcept {
        if (kind == NestedFaultKind::npt_fault)
            return (information & npt::exitinfo1::kFinalAccess) != 0;
        constexpr std::uint64_t kLinearValid = 1 << 7, kFinal = 1 << 8;  // SDM 3C table 28-7
        return kind != NestedFaultKind::ept_violation || !(information & kLinearValid) ||
               (information & kFinal) != 0;
    }
};

/// Outcome of the second stage for one guest-physical address; rights are for data and for fetches
/// of this request's user_linear.
struct NestedTranslation {
    std::uint64_t system_physical = 0;
    NestedFault fault;  ///< kind none: translated
    std::uint8_t page_shift = 63;
    std::uint8_t memory_type = 6;  ///< EPT leaf's type (bits 2:0) and IPAT (bit 3)
    bool readable = true;
    bool writable = true;  ///< write allowed and D set (or A/D not in use)
    bool executable = true;
};

/// Translates one guest-physical address, sets A/D bits where the format has them and counts its
/// references in `steps`. Sources: SDM 3C 29.3; APM 2 15.25.
NestedTranslation translate_guest_physical(const SecondStage& stage, std::uint64_t gpa,
                                           const NestedRequest& request, WalkSteps& steps);

}  // namespace hvsim::mmu
