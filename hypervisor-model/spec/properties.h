#pragma once
// HV_PARTITION_PROPERTY_CODE (TLFS 5.2 and the public headers).
#include <cstdint>

namespace hvsim::hv::property {

inline constexpr std::uint32_t kPrivilegeFlags = 0x1'0000;
inline constexpr std::uint32_t kSyntheticProcessorFeatures = 0x1'0001;
inline constexpr std::uint32_t kSuspend = 0x2'0000;
inline constexpr std::uint32_t kCpuReserve = 0x2'0001;
inline constexpr std::uint32_t kCpuCap = 0x2'0002;
inline constexpr std::uint32_t kCpuWeight = 0x2'0003;
inline constexpr std::uint32_t kCpuGroupId = 0x2'0004;
inline constexpr std::uint32_t kTimeFreeze = 0x3'0003;
inline constexpr std::uint32_t kApicFrequency = 0x3'0004;
inline constexpr std::uint32_t kReferenceTime = 0x3'0005;
inline constexpr std::uint32_t kVirtualTlbPageCount = 0x5'0000;
inline constexpr std::uint32_t kVsmConfig = 0x5'0001;
inline constexpr std::uint32_t kZeroMemoryOnReset = 0x5'0002;
inline constexpr std::uint32_t kProcessorsPerSocket = 0x5'0003;
inline constexpr std::uint32_t kUnimplementedMsrAction = 0x5'0017;  ///< 0 #GP, 1 ignore
inline constexpr std::uint32_t kReferenceTscPageActive = 0x5'0019;
inline constexpr std::uint32_t kAutoEoiEnabled = 0x5'001a;
inline constexpr std::uint32_t kProcessorVendor = 0x6'0000;
inline constexpr std::uint32_t kClflushSize = 0x6'0003;
inline constexpr std::uint32_t kCompatibilityVersion = 0x6'0005;
inline constexpr std::uint32_t kPhysicalAddressWidth = 0x6'0006;
inline constexpr std::uint32_t kProcessorClockFrequency = 0x6'0009;
inline constexpr std::uint32_t kGuestOsId = 0x7'0000;

inline constexpr std::uint32_t kMaximumWeight = 10000;  ///< CpuWeight 1..10000
inline constexpr std::uint32_t kFullShare = 0x1'0000;   ///< CpuReserve, CpuCap: 100 %

}  // namespace hvsim::hv::property
