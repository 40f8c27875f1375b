#pragma once
// Linear-address translation: guest paging in every mode, two-dimensional where a second stage is
// given. Sources: Intel SDM 3A chapter 4, 3C 29.3; AMD APM 2 chapter 5, 15.25.
#include <array>
#include <cstdint>
#include <optional>

#include "mmu/second_stage.h"
#include "mmu/spec/paging.h"

namespace hvsim::mmu {

/// SDM 3A 4.1.1.
enum class PagingMode : std::uint8_t { none, bits32, pae, level4, level5 };

/// The registers that guest paging depends on; fill it when one of them changes.
struct PagingState {
    PagingMode mode = PagingMode::none;
    bool write_protect = false;         ///< CR0.WP
    bool page_size_extensions = false;  ///< CR4.PSE (32-bit paging only)
    bool smep = false;                  ///< CR4.SMEP
    bool smap = false;                  ///< CR4.SMAP
    bool no_execute = false;            ///< EFER.NXE (not in 32-bit paging)
    bool alignment_check = false;       ///< EFLAGS.AC: explicit supervisor accesses pass SMAP
    bool pse36 = true;                  ///< CPUID PSE-36
    bool pages_1g = true;               ///< CPUID Page1GB
    std::uint8_t maxphyaddr = 46;       ///< guest's CPUID 0x80000008 EAX[7:0], 32 to 52
    std::uint64_t cr3 = 0;
    std::array<std::uint64_t, 4> pdpte{};  ///< PDPTE registers, PAE paging only
};

/// PagingMode from CR0.PG, CR4.PAE, CR4.LA57 and EFER.LMA.
constexpr PagingMode paging_mode(bool pg, bool pae, bool la57, bool lma) noexcept {
    if (!pg) return PagingMode::none;
    if (lma) return la57 ? PagingMode::level5 : PagingMode::level4;
    return pae ? PagingMode::pae : PagingMode::bits32;
}

/// Who asks for what.
struct AccessRequest {
    Access access = Access::read;
    bool user = false;  ///< CPL = 3
    /// Access to a system structure (GDT, LDT, IDT, TSS): supervisor whatever the CPL, and
    /// EFLAGS.AC does not help against SMAP (SDM 3A 4.6).
    bool implicit_supervisor = false;
};

enum class WalkOutcome : std::uint8_t {
    ok,
    page_fault,     ///< #PF for the guest
    non_canonical,  ///< #GP, or #SS for stack accesses, for the guest
    nested_fault,   ///< EPT violation, EPT misconfiguration or nested page fault: a VM exit
};

/// The answer to one translation. With `ok`, `readable`, `writable` and `executable` say what may
/// be cached for further accesses of the same kind of requester (user, implicit_supervisor, AC) to
/// this 4 KiB page: `writable` only when every D bit on the way is set already.
struct WalkResult {
    WalkOutcome outcome = WalkOutcome::ok;
    std::uint8_t guest_page_shift = 12;   ///< 12, 21, 22 or 30; without paging 32
    std::uint8_t nested_page_shift = 63;  ///< 12, 21 or 30; 63 = no second stage
    std::uint8_t memory_type = 6;         ///< EPT leaf: type in bits 2:0, IPAT in bit 3
    bool readable = false;
    bool writable = false;
    bool executable = false;
    bool user_page = false;             ///< U/S set in every entry
    bool global_page = false;           ///< G of the leaf
    std::uint32_t error_code = 0;       ///< page_fault: SDM 3A 4.7
    std::uint64_t linear = 0;           ///< as translated (truncated to 32 bits outside long mode);
                                        ///< page_fault: CR2
    std::uint64_t guest_physical = 0;   ///< ok; nested_fault of the final access
    std::uint64_t system_physical = 0;  ///< ok
    NestedFault nested;                 ///< nested_fault
    WalkSteps steps;
};

/// Translates `linear`; sets A/D bits in guest and nested tables as the access demands. Nothing is
/// written to guest tables when the guest's rights deny the access.
WalkResult walk(const PagingState& paging, const SecondStage& second_stage, std::uint64_t linear,
                const AccessRequest& request);

/// What MOV to CR3/CR0/CR4 reads in PAE paging: four PDPTEs at cr3[31:5] through the second stage.
struct PdpteLoad {
    std::array<std::uint64_t, 4> pdpte{};
    bool reserved_bits_set = false;  ///< in a present PDPTE: #GP(0) (SDM 3A 4.4.1)
    NestedFault fault;
    WalkSteps steps;
};
PdpteLoad load_pdptes(const SecondStage& second_stage, std::uint64_t cr3, unsigned maxphyaddr);

/// Whether a present PDPTE has reserved bits set (SDM 3A table 4-8).
constexpr bool pdpte_reserved_bits_set(std::uint64_t pdpte, unsigned maxphyaddr) noexcept {
    const std::uint64_t reserved = paging::PDPTE_RESERVED_LOW::kMask |
                                   paging::PDPTE_RESERVED_HIGH::kMask |
                                   paging::PAE_RESERVED_HIGH::kMask | paging::XD::kMask |
                                   paging::address_bits_above(maxphyaddr);
    return paging::P::test(pdpte) && (pdpte & reserved) != 0;
}

}  // namespace hvsim::mmu
