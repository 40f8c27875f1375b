#pragma once
// Feature bits of CPUID, and which of them every model announces.
#include <cstdint>

namespace hvsim::cpu::features {

// CPUID.1:ECX (SDM 2A table 3-10)
inline constexpr std::uint32_t kSse3 = 1u << 0, kPclmul = 1u << 1, kMonitor = 1u << 3,
                               kVmx = 1u << 5, kSsse3 = 1u << 9, kCx16 = 1u << 13, kPcid = 1u << 17,
                               kSse41 = 1u << 19, kSse42 = 1u << 20, kX2Apic = 1u << 21,
                               kMovbe = 1u << 22, kPopcnt = 1u << 23, kTscDeadline = 1u << 24,
                               kAes = 1u << 25, kXsave = 1u << 26, kOsxsave = 1u << 27,
                               kRdrand = 1u << 30;
inline constexpr std::uint32_t kCommon1Ecx = kSse3 | kPclmul | kMonitor | kSsse3 | kCx16 | kSse41 |
                                             kSse42 | kX2Apic | kMovbe | kPopcnt | kAes | kXsave;
// CPUID.1:EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX
// FXSR SSE SSE2
inline constexpr std::uint32_t kBaseline1Edx = 0x078bfbff;
inline constexpr std::uint32_t kApic = 1u << 9, kHtt = 1u << 28;

// CPUID.7.0:EBX. The rest (BMI, AVX2, RDSEED, ADX, ...) is left out: the engine either lacks it or
// would take its data from the host.
inline constexpr std::uint32_t kFsgsbase = 1u << 0, kSmep = 1u << 7, kErms = 1u << 9,
                               kInvpcid = 1u << 10, kSmap = 1u << 20;
inline constexpr std::uint32_t kCommon7Ebx = kFsgsbase | kSmep | kErms | kSmap;
inline constexpr std::uint32_t kUmip = 1u << 2;  // CPUID.7.0:ECX
// CPUID.7.0:EDX: IBRS; IA32_ARCH_CAPABILITIES exists and says which side channels the processor has
// not.
inline constexpr std::uint32_t kArchCapabilities = 1u << 26 | 1u << 29;

// CPUID.80000001H: LAHF, SVM / SYSCALL, NX, 1 GiB pages, RDTSCP, LM
inline constexpr std::uint32_t kLahf = 1u << 0, kSvm = 1u << 2, kCr8Legacy = 1u << 4;
inline constexpr std::uint32_t kSyscall = 1u << 11, kNx = 1u << 20, kPage1G = 1u << 26,
                               kRdtscp = 1u << 27, kLongMode = 1u << 29;
inline constexpr std::uint32_t kCommonExtEdx = kSyscall | kNx | kPage1G | kRdtscp | kLongMode;
// AMD repeats CPUID.1:EDX in CPUID.80000001H:EDX (APM 3 E.4.2), less SEP, and CLFSH and up.
inline constexpr std::uint32_t kAmdExtEdx =
    kCommonExtEdx | (kBaseline1Edx & 0x0183f3ff) | 1u << 23 | 1u << 24;

/// CPUID.8000000AH:EDX (APM 3 E.4.9), what works of it.
namespace svm {
inline constexpr std::uint32_t kNestedPaging = 1u << 0, kLastBranches = 1u << 1, kLock = 1u << 2,
                               kNextRip = 1u << 3, kTscRate = 1u << 4, kCleanBits = 1u << 5,
                               kFlushByAsid = 1u << 6, kDecodeAssists = 1u << 7,
                               kPauseFilter = 1u << 10, kPauseFilterThreshold = 1u << 12,
                               kAvic = 1u << 13, kVirtualVmload = 1u << 15,
                               kVirtualGif = 1u << 16, kExecuteTrap = 1u << 17,
                               kX2avic = 1u << 18, kVirtualNmi = 1u << 25;
inline constexpr std::uint32_t kZen1 = kNestedPaging | kLastBranches | kLock | kNextRip | kTscRate |
                                       kCleanBits | kFlushByAsid | kDecodeAssists | kPauseFilter |
                                       kPauseFilterThreshold | kVirtualVmload | kVirtualGif;
inline constexpr std::uint32_t kZen2 = kZen1 | kExecuteTrap;
inline constexpr std::uint32_t kZen4 = kZen2 | kVirtualNmi;
}  // namespace svm

}  // namespace hvsim::cpu::features
