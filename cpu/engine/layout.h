#pragma once
// Where the fields of the library's processor state lie. They differ between builds, so they are
// found at start-up (calibration.cpp), never assumed.
#include <array>
#include <cstddef>
#include <cstdint>

namespace hvsim::cpu::engine {

/// Byte offsets from the start of the processor state.
struct Layout {
    std::size_t gpr = 0;  ///< 16 x u64 in hardware order
    std::size_t rip = 0, rflags = 0;
    std::size_t hflags = 0, hflags2 = 0;  ///< u32
    std::size_t cr = 0;                   ///< CR0 to CR4, 5 x u64
    std::size_t dr = 0;                   ///< DR0 to DR7, 8 x u64
    std::size_t efer = 0, xcr0 = 0;
    std::size_t star = 0, lstar = 0, cstar = 0, fmask = 0, kernel_gs_base = 0, tsc_aux = 0;
    std::size_t sysenter_cs = 0 /* u32 */, sysenter_esp = 0, sysenter_eip = 0;
    std::size_t segments = 0, segment_stride = 0;  ///< ES CS SS DS FS GS
    std::size_t ldtr = 0, tr = 0, gdtr = 0, idtr = 0;
    std::array<std::size_t, 8> segment_at{};     ///< by SegmentName
    std::size_t vectors = 0, vectors_bytes = 0;  ///< x87 and SSE state, from TOP to XMM15
    /// Inside a segment (and a table register).
    std::size_t selector = 0, base = 0, limit = 0, flags = 0;
    std::size_t error_code = 0;  ///< u32
    std::size_t vmcb = 0;        ///< physical address, u64
    std::size_t intercepts = 0;  ///< u64, bit 0 is SVM exit code 0x60
    std::size_t intercept_cr_read = 0, intercept_cr_write = 0;  ///< u16
    std::size_t intercept_dr_read = 0, intercept_dr_write = 0;  ///< u16
    std::size_t intercept_exceptions = 0;                       ///< u32
};

/// Finds the layout with a scratch instance of the library. Throws ConfigError naming the library's
/// version when a field isn't where exactly one place fits.
const Layout& calibrated_layout();

/// The library's derived state word and its second one, as far as the engine layer computes them.
namespace hflag {
inline constexpr std::uint32_t kCplMask = 3;
inline constexpr std::uint32_t kInhibitInterrupts = 1U << 3;
inline constexpr std::uint32_t kCs32 = 1U << 4;
inline constexpr std::uint32_t kSs32 = 1U << 5;
inline constexpr std::uint32_t kAddSegment = 1U << 6;
inline constexpr std::uint32_t kProtected = 1U << 7;
inline constexpr unsigned kMpEmTsShift = 9;  ///< CR0.MP, EM, TS
inline constexpr std::uint32_t kMpEmTs = 7U << kMpEmTsShift;
inline constexpr std::uint32_t kLongMode = 1U << 14;
inline constexpr std::uint32_t kCs64 = 1U << 15;
inline constexpr std::uint32_t kSvme = 1U << 20;
inline constexpr std::uint32_t kGuest = 1U << 21;
inline constexpr std::uint32_t kOsFxsr = 1U << 22;
inline constexpr std::uint32_t kSmap = 1U << 23;
inline constexpr std::uint32_t kNmiBlocked = 1U << 2;  // second word
}  // namespace hflag

/// Physical addresses of the layer's own pages, outside any guest memory.
inline constexpr std::uint64_t kPrivateBase = std::uint64_t{1} << 45;
inline constexpr std::uint64_t kVmcbPage = kPrivateBase;
inline constexpr std::uint64_t kMsrBitmap = kPrivateBase + 0x1000;  ///< 0x1800 bytes
inline constexpr std::uint64_t kProbePage = kPrivateBase + 0x3000;  ///< code of the layer itself
inline constexpr std::uint64_t kPrivateBytes = 0x4000;
inline constexpr std::uint64_t kAssistPage = kPrivateBase + 0x100000;

}  // namespace hvsim::cpu::engine
