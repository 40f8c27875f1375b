#pragma once
// Model-specific registers of a logical processor that are neither the engine's nor the local
// APIC's: memory types, feature reports, machine check, VMX and SVM enablement.
#include <array>
#include <cstdint>
#include <vector>

#include "cpu/models/model.h"

namespace hvsim::cpu {

/// MSR numbers (SDM 4 table 2-2; APM 2 appendix A).
namespace msr {
inline constexpr std::uint32_t kTsc = 0x10, kApicBase = 0x1b, kFeatureControl = 0x3a,
                               kSpecCtrl = 0x48, kPredCmd = 0x49, kTscAdjust = 0x3b,
                               kBiosUpdateSignature = 0x8b, kMtrrCap = 0xfe,
                               kArchCapabilities = 0x10a, kSysenterCs = 0x174, kSysenterEsp = 0x175,
                               kSysenterEip = 0x176, kMcgCap = 0x179, kMcgStatus = 0x17a,
                               kMcgCtl = 0x17b, kMiscEnable = 0x1a0, kDebugCtl = 0x1d9,
                               kMtrrPhysBase0 = 0x200, kMtrrPhysMask9 = 0x213, kMtrrFix64K = 0x250,
                               kMtrrFix16K8 = 0x258, kMtrrFix16KA = 0x259, kMtrrFix4K0 = 0x268,
                               kMtrrFix4K7 = 0x26f, kPat = 0x277, kMtrrDefType = 0x2ff,
                               kTscDeadline = 0x6e0, kMc0Ctl = 0x400, kPlatformInfo = 0xce,
                               kVmxBasic = 0x480, kVmxLast = 0x491, kX2ApicFirst = 0x800,
                               kX2ApicLast = 0x8ff, kEfer = 0xc0000080, kStar = 0xc0000081,
                               kLstar = 0xc0000082, kCstar = 0xc0000083, kFmask = 0xc0000084,
                               kFsBase = 0xc0000100, kGsBase = 0xc0000101,
                               kKernelGsBase = 0xc0000102, kTscAux = 0xc0000103,
                               kAmdSysCfg = 0xc0010010, kAmdHwcr = 0xc0010015,
                               kAmdNbCfg = 0xc001001f, kAmdDeCfg = 0xc0011029,
                               kAmdPatchLevel = 0x8b, kAmdVmCr = 0xc0010114,
                               kAmdVmHsavePa = 0xc0010117;
}

inline constexpr std::uint64_t kPatReset = 0x0007040600070406;  // SDM 3A 12.12.4

/// IA32_ARCH_CAPABILITIES of processors that announce it (SDM 4 table 2-2): RDCL_NO, IBRS_ALL, L1D
/// flush at entry not needed, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, the MMIO stale-data ones,
/// BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO. The modelled processor speculates nothing.
inline constexpr std::uint64_t kArchCapabilitiesValue =
    1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 13 | 1u << 14 |
    1u << 15 | 1u << 20 | 1u << 24 | 1u << 26 | 1u << 27 | std::uint64_t{1} << 62;

/// True when every byte is a memory type that IA32_PAT may hold (SDM 3A 12.12.2).
bool is_valid_pat(std::uint64_t value) noexcept;

class MsrFile {
  public:
    MsrFile(const Model& model, bool virtualization)
        : model_(model),
          virtualization_(virtualization),
          misc_enable_(kFastStrings | kMonitor),
          machine_check_(4 * model.machine_check_banks) {}

    /// False: not such an MSR, or access refused: #GP(0).
    bool read(std::uint32_t msr, std::uint64_t& value) const noexcept;
    bool write(std::uint32_t msr, std::uint64_t value) noexcept;

    std::uint64_t feature_control() const noexcept { return feature_control_; }
    std::uint64_t debugctl() const noexcept { return debugctl_; }
    void set_debugctl(std::uint64_t value) noexcept { debugctl_ = value; }
    /// MONITOR and MWAIT are there, and software has not switched them off.
    bool monitor_enabled() const noexcept;
    /// They may be executed at any privilege level (AMD's HWCR).
    bool monitor_for_users() const noexcept;
    std::uint64_t vm_cr() const noexcept { return vm_cr_; }
    std::uint64_t vm_hsave_pa() const noexcept { return vm_hsave_pa_; }

  private:
    bool read_machine_check(std::uint32_t number, std::uint64_t& value) const noexcept;
    bool write_machine_check(std::uint32_t number, std::uint64_t value) noexcept;
    bool has_ibrs() const noexcept { return (model_.features_7_edx & 1u << 26) != 0; }
    bool write_mtrr(std::uint32_t msr, std::uint64_t value) noexcept;
    bool write_amd(std::uint32_t msr, std::uint64_t value) noexcept;

    static constexpr std::uint64_t kFastStrings = 1u << 0, kMonitor = 1u << 18;

    const Model& model_;
    bool virtualization_;
    std::uint64_t feature_control_ = 0;
    std::uint64_t debugctl_ = 0;
    std::uint64_t misc_enable_;
    std::uint64_t mtrr_def_type_ = 0;
    std::array<std::uint64_t, 20> mtrr_variable_{};
    std::array<std::uint64_t, 11> mtrr_fixed_{};
    std::uint64_t mcg_status_ = 0, mcg_ctl_ = 0, spec_ctrl_ = 0;
    std::vector<std::uint64_t> machine_check_;      ///< CTL, STATUS, ADDR, MISC of each bank
    std::array<std::uint64_t, 8> perf_counters_{};  ///< AMD: four selectors, four counters
    std::uint64_t vm_cr_ = 0, vm_hsave_pa_ = 0, hwcr_ = 0, syscfg_ = 0, nb_cfg_ = 0, de_cfg_ = 0;
};

}  // namespace hvsim::cpu
