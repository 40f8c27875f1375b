#pragma once
// Architectural MSRs that a virtual processor answers (SDM 4 table 2-2; APM 2 appendix A).
#include <cstdint>

namespace hvsim::hv::x86_msr {

inline constexpr std::uint32_t kTsc = 0x10;
inline constexpr std::uint32_t kPlatformId = 0x17;
inline constexpr std::uint32_t kFeatureControl = 0x3a;
inline constexpr std::uint32_t kTscAdjust = 0x3b;
inline constexpr std::uint32_t kSpecCtrl = 0x48;
inline constexpr std::uint32_t kPredCmd = 0x49;
inline constexpr std::uint32_t kUcodeWrite = 0x79;
inline constexpr std::uint32_t kUcodeRevision = 0x8b;
inline constexpr std::uint32_t kMtrrCap = 0xfe;
inline constexpr std::uint32_t kArchCapabilities = 0x10a;
inline constexpr std::uint32_t kFlushCmd = 0x10b;
inline constexpr std::uint32_t kSysenterCs = 0x174;
inline constexpr std::uint32_t kSysenterEsp = 0x175;
inline constexpr std::uint32_t kSysenterEip = 0x176;
inline constexpr std::uint32_t kMcgCap = 0x179;
inline constexpr std::uint32_t kMcgStatus = 0x17a;
inline constexpr std::uint32_t kMiscEnable = 0x1a0;
inline constexpr std::uint32_t kDebugCtl = 0x1d9;
inline constexpr std::uint32_t kMtrrPhysBase0 = 0x200;
inline constexpr std::uint32_t kMtrrFix64k = 0x250;
inline constexpr std::uint32_t kMtrrFix16k = 0x258;
inline constexpr std::uint32_t kMtrrFix4k = 0x268;
inline constexpr std::uint32_t kPat = 0x277;
inline constexpr std::uint32_t kMtrrDefType = 0x2ff;
inline constexpr std::uint32_t kXss = 0xda0;
inline constexpr std::uint32_t kEfer = 0xc000'0080;
inline constexpr std::uint32_t kStar = 0xc000'0081;
inline constexpr std::uint32_t kLstar = 0xc000'0082;
inline constexpr std::uint32_t kCstar = 0xc000'0083;
inline constexpr std::uint32_t kSfmask = 0xc000'0084;
inline constexpr std::uint32_t kFsBase = 0xc000'0100;
inline constexpr std::uint32_t kGsBase = 0xc000'0101;
inline constexpr std::uint32_t kKernelGsBase = 0xc000'0102;
inline constexpr std::uint32_t kTscAux = 0xc000'0103;
inline constexpr std::uint32_t kPerfEvtSel0 = 0xc001'0000;  // AMD from here
inline constexpr std::uint32_t kSyscfg = 0xc001'0010;
inline constexpr std::uint32_t kHwcr = 0xc001'0015;
inline constexpr std::uint32_t kTopMem = 0xc001'001a;
inline constexpr std::uint32_t kTopMem2 = 0xc001'001d;
inline constexpr std::uint32_t kNbCfg = 0xc001'001f;
inline constexpr std::uint32_t kInterruptPending = 0xc001'0055;
inline constexpr std::uint32_t kVmCr = 0xc001'0114;
inline constexpr std::uint32_t kDeCfg = 0xc001'1029;

inline constexpr std::uint64_t kPatAfterReset = 0x0007'0406'0007'0406;
inline constexpr std::uint64_t kMtrrCapValue = 8 | 1u << 8 | 1u << 10;  // VCNT 8, FIX, WC
inline constexpr std::uint64_t kUcodeRevisionValue = 0xffff'ffff'0000'0000;
inline constexpr std::uint64_t kVmCrSvmDisabled = 1u << 4 | 1u << 3;  // SVMDIS, LOCK
inline constexpr std::uint64_t kDeCfgLfenceSerializing = 1u << 1;

}  // namespace hvsim::hv::x86_msr
