#pragma once
// Pages shared with a guest: reference TSC page (TLFS 12.7.1), VP assist page (7.8.7, 10.3.5),
// hypercall page (3.13).
#include <array>
#include <cstddef>
#include <cstdint>

namespace hvsim::hv {

/// HV_REFERENCE_TSC_PAGE: time = ((tsc * scale) >> 64) + offset while sequence != 0.
struct ReferenceTscPage {
    std::uint32_t sequence = 0;
    std::uint32_t reserved = 0;
    std::uint64_t scale = 0;  ///< 64.64 fixed point, 100 ns for one TSC tick
    std::int64_t offset = 0;  ///< 100 ns
};
static_assert(sizeof(ReferenceTscPage) == 24 && offsetof(ReferenceTscPage, offset) == 16);

/// Offsets in HV_VP_ASSIST_PAGE.
namespace vp_assist {
inline constexpr unsigned kApicAssist = 0;
inline constexpr std::uint32_t kNoEoiRequired = 1;
inline constexpr unsigned kEnlightenVmEntry = 40;
inline constexpr unsigned kInterceptMessage = 112;
}  // namespace vp_assist

/// The first bytes of the hypercall page; the rest is INT3.
inline constexpr std::array<std::uint8_t, 4> kVmcallStub{0x0f, 0x01, 0xc1, 0xc3};
inline constexpr std::array<std::uint8_t, 4> kVmmcallStub{0x0f, 0x01, 0xd9, 0xc3};
inline constexpr std::uint8_t kHypercallPageFill = 0xcc;
inline constexpr unsigned kHypercallInstructionLength = 3;

}  // namespace hvsim::hv
