#pragma once
// Architectural MSRs of a virtual processor that neither engine, APIC nor SynIC keeps.
#include <array>
#include <cstdint>

namespace hvsim::hv {

inline constexpr unsigned kFixedMtrrs = 11;
inline constexpr unsigned kVariableMtrrs = 8;

struct VpMsrState {
    std::uint64_t mtrr_def_type = 0;
    std::array<std::uint64_t, kFixedMtrrs> mtrr_fixed{};  ///< 64K, 16K x 2, 4K x 8
    std::array<std::uint64_t, kVariableMtrrs> mtrr_base{};
    std::array<std::uint64_t, kVariableMtrrs> mtrr_mask{};
    std::uint64_t misc_enable = 1;      ///< fast strings
    std::uint64_t feature_control = 1;  ///< locked, nothing enabled
    std::uint64_t spec_ctrl = 0;
    std::uint64_t debug_ctl = 0;
    std::uint64_t mcg_status = 0;
    std::uint64_t xss = 0;
    std::uint64_t tsc_adjust = 0;
    std::uint64_t syscfg = 0;  ///< AMD
    std::uint64_t hwcr = 0;    ///< AMD
    // Synthetic, per processor
    std::uint64_t tsc_emulation_control = 0;
    std::uint64_t tsc_emulation_status = 0;

    bool operator==(const VpMsrState&) const = default;
};

}  // namespace hvsim::hv
