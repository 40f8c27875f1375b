#pragma once
// Structures in memory: root, context, second-stage and interrupt remapping entries, remappable
// interrupt requests, fault reasons. Source: VT-d 4.1 (see registers.h), chapters 5, 7 and 9.
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::iommu::vtd::spec {

// Root entry (VT-d 9.1), 16 bytes; the high quadword is reserved.
using ROOT_P = sim::Bits<0>;
using ROOT_RESERVED = sim::Bits<11, 1>;
using ROOT_CTP = sim::Bits<63, 12>;

// Context entry (VT-d 9.3), 16 bytes. Low quadword:
using CONTEXT_P = sim::Bits<0>;
using CONTEXT_FPD = sim::Bits<1>;
using CONTEXT_TT = sim::Bits<3, 2>;
using CONTEXT_RESERVED_LOW = sim::Bits<11, 4>;
using CONTEXT_SSPTPTR = sim::Bits<63, 12>;
// High quadword:
using CONTEXT_AW = sim::Bits<2, 0>;
using CONTEXT_RESERVED_7 = sim::Bits<7>;
using CONTEXT_DID = sim::Bits<23, 8>;
using CONTEXT_RESERVED_HIGH = sim::Bits<63, 24>;

/// Context entry TT.
enum class TranslationType : std::uint8_t {
    untranslated = 0,  ///< untranslated requests go through the second stage; others are blocked
    device_tlb = 1,    ///< needs ECAP.DT
    pass_through = 2,
    reserved = 3,
};

// Second-stage paging entries (VT-d 9.8).
using SS_R = sim::Bits<0>;
using SS_W = sim::Bits<1>;
using SS_PS = sim::Bits<7>;
using SS_ADDRESS = sim::Bits<51, 12>;
using SS_RESERVED_2M = sim::Bits<20, 12>;
using SS_RESERVED_1G = sim::Bits<29, 12>;
using SS_TM = sim::Bits<62>;  ///< reserved without ECAP.DT

// Interrupt remapping table entry (VT-d 9.9), 16 bytes, remapped format. Low quadword:
using IRTE_P = sim::Bits<0>;
using IRTE_FPD = sim::Bits<1>;
using IRTE_DM = sim::Bits<2>;
using IRTE_RH = sim::Bits<3>;
using IRTE_TM = sim::Bits<4>;
using IRTE_DLM = sim::Bits<7, 5>;
using IRTE_RESERVED_14_12 = sim::Bits<14, 12>;
using IRTE_IM = sim::Bits<15>;  ///< posted format; reserved without CAP.PI
using IRTE_V = sim::Bits<23, 16>;
using IRTE_RESERVED_31_24 = sim::Bits<31, 24>;
using IRTE_DST = sim::Bits<63, 32>;
using IRTE_DST_XAPIC = sim::Bits<47, 40>;
// High quadword:
using IRTE_SID = sim::Bits<15, 0>;
using IRTE_SQ = sim::Bits<17, 16>;
using IRTE_SVT = sim::Bits<19, 18>;
using IRTE_RESERVED_HIGH = sim::Bits<63, 20>;

// Remappable interrupt request (VT-d 5.1.2.2), address and data.
using REQUEST_FORMAT = sim::Bits<4>;
using REQUEST_HANDLE_LOW = sim::Bits<19, 5>;
using REQUEST_HANDLE_15 = sim::Bits<2>;
using REQUEST_SHV = sim::Bits<3>;
using REQUEST_SUBHANDLE = sim::Bits<15, 0>;
using REQUEST_DATA_RESERVED = sim::Bits<31, 16>;

/// Fault reasons (VT-d 7.1.3 for DMA in legacy mode, 5.1.4.1 for interrupts).
enum class FaultReason : std::uint8_t {
    none = 0,
    root_not_present = 0x01,
    context_not_present = 0x02,
    context_invalid = 0x03,
    address_too_wide = 0x04,
    write_denied = 0x05,
    read_denied = 0x06,
    paging_access = 0x07,
    root_access = 0x08,
    context_access = 0x09,
    root_reserved = 0x0a,
    context_reserved = 0x0b,
    paging_reserved = 0x0c,
    translation_blocked = 0x0d,
    interrupt_range = 0x0e,
    request_reserved = 0x20,
    index_too_large = 0x21,
    irte_not_present = 0x22,
    irte_access = 0x23,
    irte_reserved = 0x24,
    compatibility_blocked = 0x25,
    source_rejected = 0x26,
    table_mode_reserved = 0x31,
};

/// Whether FPD in the context entry or IRTE keeps a fault out of the log ("qualified" faults).
constexpr bool is_qualified(FaultReason reason) noexcept {
    switch (reason) {
        case FaultReason::context_not_present:
        case FaultReason::context_invalid:
        case FaultReason::address_too_wide:
        case FaultReason::write_denied:
        case FaultReason::read_denied:
        case FaultReason::paging_access:
        case FaultReason::context_reserved:
        case FaultReason::paging_reserved:
        case FaultReason::translation_blocked:
        case FaultReason::interrupt_range:
        case FaultReason::irte_not_present:
        case FaultReason::irte_reserved:
        case FaultReason::source_rejected:
            return true;
        default:
            return false;
    }
}

}  // namespace hvsim::iommu::vtd::spec
