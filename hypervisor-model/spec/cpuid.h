#pragma once
// The hypervisor's CPUID leaves (TLFS 4, "Feature and interface discovery").
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::hv::cpuid {

inline constexpr std::uint32_t kVendor = 0x4000'0000;
inline constexpr std::uint32_t kInterface = 0x4000'0001;
inline constexpr std::uint32_t kVersion = 0x4000'0002;
inline constexpr std::uint32_t kFeatures = 0x4000'0003;
inline constexpr std::uint32_t kRecommendations = 0x4000'0004;
inline constexpr std::uint32_t kLimits = 0x4000'0005;
inline constexpr std::uint32_t kHardwareFeatures = 0x4000'0006;
inline constexpr std::uint32_t kCpuManagement = 0x4000'0007;
inline constexpr std::uint32_t kSharedVirtualMemory = 0x4000'0008;
inline constexpr std::uint32_t kNestedFeatures = 0x4000'0009;
inline constexpr std::uint32_t kNestedVirtualization = 0x4000'000a;
inline constexpr std::uint32_t kStackVendor = 0x4000'0080;
inline constexpr std::uint32_t kStackInterface = 0x4000'0081;
inline constexpr std::uint32_t kStackProperties = 0x4000'0082;
inline constexpr std::uint32_t kRangeEnd = 0x4000'ffff;

inline constexpr std::uint32_t kMicr = 0x7263'694d;         // "Micr"
inline constexpr std::uint32_t kOsof = 0x666f'736f;         // "osof"
inline constexpr std::uint32_t kTHv = 0x7648'2074;          // "t Hv"
inline constexpr std::uint32_t kTVs = 0x5356'2074;          // "t VS"
inline constexpr std::uint32_t kHv1 = 0x3123'7648;          // "Hv#1"
inline constexpr std::uint32_t kVs1 = 0x3123'5356;          // "VS#1"
inline constexpr std::uint32_t kNeverNotify = 0xffff'ffff;  ///< long spin wait: never

/// 0x40000003 EDX.
enum Feature : std::uint32_t {
    kXmmInput = 1u << 4,
    kGuestIdleAvailable = 1u << 5,
    kFrequencyMsrs = 1u << 8,
    kGuestCrashMsrs = 1u << 10,
    kXmmOutput = 1u << 15,
    kSintPolling = 1u << 17,
    kHypercallMsrLock = 1u << 18,
    kDirectTimers = 1u << 19,
};

/// 0x40000004 EAX.
enum Hint : std::uint32_t {
    kRemoteFlush = 1u << 2,
    kApicMsrs = 1u << 3,
    kResetMsr = 1u << 4,
    kRelaxedTiming = 1u << 5,
    kAutoEoiDeprecated = 1u << 9,
    kClusterIpi = 1u << 10,
    kExtendedProcessorMasks = 1u << 11,
};

/// 0x40000006 EAX.
enum HardwareFeature : std::uint32_t {
    kApicOverlayAssist = 1u << 0,
    kMsrBitmaps = 1u << 1,
    kSecondLevelTranslation = 1u << 3,
    kDmaRemapping = 1u << 4,
    kInterruptRemapping = 1u << 5,
};

}  // namespace hvsim::hv::cpuid
