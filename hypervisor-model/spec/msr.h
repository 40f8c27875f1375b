#pragma once
// Synthetic MSRs (TLFS appendix "Hypervisor synthetic MSRs") and the layouts of their values.
#include <cstdint>

#include "sim/bits.h"
#include "sim/ram.h"

namespace hvsim::hv::msr {

inline constexpr std::uint32_t kGuestOsId = 0x4000'0000;
inline constexpr std::uint32_t kHypercall = 0x4000'0001;
inline constexpr std::uint32_t kVpIndex = 0x4000'0002;
inline constexpr std::uint32_t kReset = 0x4000'0003;
inline constexpr std::uint32_t kVpRuntime = 0x4000'0010;
inline constexpr std::uint32_t kTimeRefCount = 0x4000'0020;
inline constexpr std::uint32_t kReferenceTsc = 0x4000'0021;
inline constexpr std::uint32_t kTscFrequency = 0x4000'0022;
inline constexpr std::uint32_t kApicFrequency = 0x4000'0023;
inline constexpr std::uint32_t kEoi = 0x4000'0070;
inline constexpr std::uint32_t kIcr = 0x4000'0071;
inline constexpr std::uint32_t kTpr = 0x4000'0072;
inline constexpr std::uint32_t kVpAssistPage = 0x4000'0073;
inline constexpr std::uint32_t kScontrol = 0x4000'0080;
inline constexpr std::uint32_t kSversion = 0x4000'0081;
inline constexpr std::uint32_t kSiefp = 0x4000'0082;
inline constexpr std::uint32_t kSimp = 0x4000'0083;
inline constexpr std::uint32_t kEom = 0x4000'0084;
inline constexpr std::uint32_t kSint0 = 0x4000'0090;
inline constexpr std::uint32_t kStimer0Config = 0x4000'00b0;
inline constexpr std::uint32_t kStimer0Count = 0x4000'00b1;
inline constexpr std::uint32_t kGuestIdle = 0x4000'00f0;
inline constexpr std::uint32_t kCrashP0 = 0x4000'0100;
inline constexpr std::uint32_t kCrashControl = 0x4000'0105;
inline constexpr std::uint32_t kReenlightenmentControl = 0x4000'0106;
inline constexpr std::uint32_t kTscEmulationControl = 0x4000'0107;
inline constexpr std::uint32_t kTscEmulationStatus = 0x4000'0108;
inline constexpr std::uint32_t kTscInvariantControl = 0x4000'0118;
inline constexpr std::uint32_t kSyntheticFirst = 0x4000'0000;
inline constexpr std::uint32_t kSyntheticLast = 0x4000'ffff;

/// HYPERCALL, REFERENCE_TSC, VP_ASSIST_PAGE, SIEFP, SIMP: enable 0, page number [63:12].
inline constexpr std::uint64_t kEnable = 1;
inline constexpr std::uint64_t kHypercallLocked = 2;
constexpr bool enabled(std::uint64_t value) {
    return (value & kEnable) != 0;
}
constexpr std::uint64_t page_number(std::uint64_t value) {
    return value >> sim::kPageShift;
}

/// HV_X64_MSR_SINTx (TLFS 11.8.4).
struct Sint {
    using Vector = sim::Bits<7, 0>;
    static constexpr std::uint64_t kMasked = 1u << 16;
    static constexpr std::uint64_t kAutoEoi = 1u << 17;
    static constexpr std::uint64_t kPolling = 1u << 18;
    static constexpr std::uint64_t kAsIntercept = 1u << 19;
    static constexpr std::uint64_t kProxy = 1u << 20;
    static constexpr std::uint64_t kReset = kMasked;
};

/// HV_X64_MSR_STIMERx_CONFIG (TLFS 12.3).
struct StimerConfig {
    static constexpr std::uint64_t kEnable = 1u << 0;
    static constexpr std::uint64_t kPeriodic = 1u << 1;
    static constexpr std::uint64_t kLazy = 1u << 2;
    static constexpr std::uint64_t kAutoEnable = 1u << 3;
    using ApicVector = sim::Bits<11, 4>;
    static constexpr std::uint64_t kDirect = 1u << 12;
    using SintIndex = sim::Bits<19, 16>;
    static constexpr std::uint64_t kReserved = ~std::uint64_t{0x000f'1fff};
};

/// CRASH_CTL.
inline constexpr std::uint64_t kCrashNotify = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kCrashMessage = std::uint64_t{1} << 62;

}  // namespace hvsim::hv::msr
