#include "cpu/msr_file.h"

#include "cpu/vmx/capabilities.h"

namespace hvsim::cpu {
namespace {

constexpr std::uint64_t kFeatureControlLock = 1u << 0, kFeatureControlVmx = 1u << 2;
constexpr std::uint64_t kFeatureControlValid = kFeatureControlLock | 1u << 1 | kFeatureControlVmx;
constexpr std::uint64_t kMtrrCapValue = 10 | 1u << 8 | 1u << 10;  // ten variable, fixed, WC
constexpr std::uint64_t kDebugCtlValid = 1u << 0 | 1u << 1;       // LBR, BTF
constexpr std::uint64_t kVmCrLock = 1u << 3, kVmCrSvmDisable = 1u << 4;

// SDM 3B 16.3.1: MCG_CAP.MCG_CTL_P; MCG_STATUS.RIPV, EIPV, MCIP.
constexpr std::uint64_t kMcgCtlPresent = 1u << 8, kMcgStatusValid = 7;

// PerfEvtSel0 to 3, PerfCtr0 to 3: on every AMD64 processor (APM 2 13.2.1).
constexpr std::uint32_t kPerfFirst = 0xc0010000;

constexpr bool is_mtrr_type(std::uint64_t type) noexcept {
    return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

/// Position in the array of fixed-range MTRRs, or -1.
constexpr int fixed_index(std::uint32_t number) noexcept {
    if (number == msr::kMtrrFix64K) return 0;
    if (number == msr::kMtrrFix16K8 || number == msr::kMtrrFix16KA)
        return static_cast<int>(number - msr::kMtrrFix16K8) + 1;
    if (number >= msr::kMtrrFix4K0 && number <= msr::kMtrrFix4K7)
        return static_cast<int>(number - msr::kMtrrFix4K0) + 3;
    return -1;
}

}  // namespace

bool is_valid_pat(std::uint64_t value) noexcept {
    for (unsigned i = 0; i < 8; ++i) {
        const std::uint64_t type = value >> (8 * i) & 0xff;
        if (!is_mtrr_type(type) && type != 7) return false;
    }
    return true;
}

bool MsrFile::monitor_enabled() const noexcept {
    constexpr std::uint32_t kMonitorFeature = 1u << 3;   // CPUID.1:ECX
    constexpr std::uint64_t kMonitorDisabled = 1u << 9;  // HWCR.MonMwaitDis
    if (!(model_.features_1_ecx & kMonitorFeature)) return false;
    if (model_.vendor == Vendor::amd) return (hwcr_ & kMonitorDisabled) == 0;
    return (misc_enable_ & kMonitor) != 0;  // SDM 4, IA32_MISC_ENABLE[18]
}

bool MsrFile::monitor_for_users() const noexcept {
    constexpr std::uint64_t kUserEnabled = 1u << 10;  // HWCR.MonMwaitUserEn
    return model_.vendor == Vendor::amd && (hwcr_ & kUserEnabled) != 0;
}

/// SDM 3B 16.3; APM 2 9.3. Nothing ever goes wrong, so the banks hold what software leaves there.
bool MsrFile::read_machine_check(std::uint32_t number, std::uint64_t& value) const noexcept {
    const bool has_ctl = model_.vendor == Vendor::amd;
    switch (number) {
        case msr::kMcgCap:
            value = model_.machine_check_banks | (has_ctl ? kMcgCtlPresent : 0);
            return true;
        case msr::kMcgStatus:
            value = mcg_status_;
            return true;
        case msr::kMcgCtl:
            value = mcg_ctl_;
            return has_ctl;
        default:
            break;
    }
    const std::size_t index = number - msr::kMc0Ctl;
    if (number < msr::kMc0Ctl || index >= machine_check_.size()) return false;
    value = machine_check_[index];
    return true;
}

bool MsrFile::write_machine_check(std::uint32_t number, std::uint64_t value) noexcept {
    constexpr std::size_t kCtl = 0, kStatus = 1;
    constexpr std::uint64_t kStatusWritable = 1u << 18;  // HWCR.McStatusWrEn
    if (number == msr::kMcgStatus) {
        if ((value & ~kMcgStatusValid) != 0) return false;
        mcg_status_ = value;
        return true;
    }
    if (number == msr::kMcgCtl) {
        mcg_ctl_ = value;
        return model_.vendor == Vendor::amd;
    }
    const std::size_t index = number - msr::kMc0Ctl;
    if (number < msr::kMc0Ctl || index >= machine_check_.size()) return false;
    const bool all_or_nothing = value == 0 || value == ~std::uint64_t{0};
    if (index % 4 == kCtl && !all_or_nothing) return false;
    if (index % 4 == kStatus && value != 0 && !(hwcr_ & kStatusWritable)) return false;
    machine_check_[index] = value;
    return true;
}

bool MsrFile::read(std::uint32_t number, std::uint64_t& value) const noexcept {
    if (const int fixed = fixed_index(number); fixed >= 0) {
        value = mtrr_fixed_[static_cast<std::size_t>(fixed)];
        return true;
    }
    if (number >= msr::kMtrrPhysBase0 && number <= msr::kMtrrPhysMask9) {
        value = mtrr_variable_[number - msr::kMtrrPhysBase0];
        return true;
    }
    if (read_machine_check(number, value)) return true;
    const bool intel = model_.vendor == Vendor::intel;
    switch (number) {
        case msr::kBiosUpdateSignature:
            value = 0;
            return true;
        case msr::kMtrrCap:
            value = kMtrrCapValue;
            return true;
        case msr::kMtrrDefType:
            value = mtrr_def_type_;
            return true;
        case msr::kDebugCtl:
            value = debugctl_;
            return true;
        default:
            break;
    }
    if (intel) {
        switch (number) {
            case msr::kFeatureControl:
                value = feature_control_;
                return virtualization_;
            case msr::kMiscEnable:
                value = misc_enable_;
                return true;
            case msr::kPlatformInfo:
                value = 0;
                return true;
            case msr::kSpecCtrl:
                value = spec_ctrl_;
                return has_ibrs();
            case msr::kArchCapabilities:
                value = kArchCapabilitiesValue;
                return (model_.features_7_edx & 1u << 29) != 0;
            default:
                break;
        }
        if (virtualization_ && number >= msr::kVmxBasic && number <= msr::kVmxLast)
            return vmx::capability_msr(model_, number, value);
        return false;
    }
    if (number >= kPerfFirst && number < kPerfFirst + perf_counters_.size()) {
        value = perf_counters_[number - kPerfFirst];
        return true;
    }
    switch (number) {
        case msr::kAmdHwcr:
            value = hwcr_;
            return true;
        case msr::kAmdSysCfg:
            value = syscfg_;
            return true;
        case msr::kAmdNbCfg:
            value = nb_cfg_;
            return true;
        case msr::kAmdDeCfg:
            value = de_cfg_;
            return true;
        case msr::kAmdVmCr:
            value = vm_cr_;
            return virtualization_;
        case msr::kAmdVmHsavePa:
            value = vm_hsave_pa_;
            return virtualization_;
        default:
            return false;
    }
}

bool MsrFile::write_mtrr(std::uint32_t number, std::uint64_t value) noexcept {
    const std::uint64_t address_mask =
        ((std::uint64_t{1} << model_.physical_address_bits) - 1) & ~std::uint64_t{0xfff};
    if (const int fixed = fixed_index(number); fixed >= 0) {
        for (unsigned i = 0; i < 8; ++i)
            if (!is_mtrr_type(value >> (8 * i) & 0xff)) return false;
        mtrr_fixed_[static_cast<std::size_t>(fixed)] = value;
        return true;
    }
    if (number == msr::kMtrrDefType) {
        if ((value & ~std::uint64_t{0xcff}) != 0 || !is_mtrr_type(value & 0xff)) return false;
        mtrr_def_type_ = value;
        return true;
    }
    const bool is_mask = (number & 1) != 0;
    const std::uint64_t low = is_mask ? 0x800 : 0xff;
    if ((value & ~(address_mask | low)) != 0) return false;
    if (!is_mask && !is_mtrr_type(value & 0xff)) return false;
    mtrr_variable_[number - msr::kMtrrPhysBase0] = value;
    return true;
}

bool MsrFile::write_amd(std::uint32_t number, std::uint64_t value) noexcept {
    // DEVIATION: performance counters keep what is written and count nothing.
    if (number >= kPerfFirst && number < kPerfFirst + perf_counters_.size()) {
        perf_counters_[number - kPerfFirst] = value;
        return true;
    }
    switch (number) {
        case msr::kAmdHwcr:
            hwcr_ = value;
            return true;
        case msr::kAmdSysCfg:
            syscfg_ = value;
            return true;
        case msr::kAmdNbCfg:
            nb_cfg_ = value;
            return true;
        case msr::kAmdDeCfg:
            de_cfg_ = value;
            return true;
        case msr::kAmdVmCr: {  // APM 2 15.30.1: bits above 4 are reserved
            if (!virtualization_ || (value & ~std::uint64_t{0x1f}) != 0) return false;
            // While LOCK is 1, LOCK and SVMDIS ignore writes.
            if (vm_cr_ & kVmCrLock)
                value = (value & ~(kVmCrLock | kVmCrSvmDisable)) |
                        (vm_cr_ & (kVmCrLock | kVmCrSvmDisable));
            vm_cr_ = value;
            return true;
        }
        case msr::kAmdVmHsavePa:  // APM 2 15.30.4: page aligned, implemented bits
            if (!virtualization_ || (value & 0xfff) != 0 || value >> model_.physical_address_bits)
                return false;
            vm_hsave_pa_ = value;
            return true;
        default:
            return false;
    }
}

bool MsrFile::write(std::uint32_t number, std::uint64_t value) noexcept {
    if (fixed_index(number) >= 0 || number == msr::kMtrrDefType ||
        (number >= msr::kMtrrPhysBase0 && number <= msr::kMtrrPhysMask9))
        return write_mtrr(number, value);
    if (write_machine_check(number, value)) return true;
    switch (number) {
        case msr::kBiosUpdateSignature:
            return true;
        case msr::kDebugCtl:
            // DEVIATION: IA32_DEBUGCTL.LBR of Intel records no branches. AMD's is that of the
            // virtualization extension, and keeps nothing without it.
            if ((value & ~kDebugCtlValid) != 0 || (model_.vendor == Vendor::amd && value != 0))
                return false;
            debugctl_ = value;
            return true;
        default:
            break;
    }
    if (model_.vendor == Vendor::amd) return write_amd(number, value);
    switch (number) {
        case msr::kFeatureControl:  // SDM 3C 24.7: writable until locked
            if (!virtualization_ || (feature_control_ & kFeatureControlLock) != 0 ||
                (value & ~kFeatureControlValid) != 0)
                return false;
            feature_control_ = value;
            return true;
        case msr::kMiscEnable:
            misc_enable_ = value;
            return true;
        case msr::kSpecCtrl:  // IBRS, STIBP, SSBD
            if (!has_ibrs() || (value & ~std::uint64_t{7}) != 0) return false;
            spec_ctrl_ = value;
            return true;
        case msr::kPredCmd:
            return has_ibrs() && (value & ~std::uint64_t{1}) == 0;
        default:
            return false;
    }
}

}  // namespace hvsim::cpu
