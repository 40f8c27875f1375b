// Architectural MSRs of a virtual processor: those of the register context with their checks, TSC,
// MTRRs and the small ones that operating systems look at (SDM 4; APM 2 appendix A).
#include <array>

#include "cpu/msr_file.h"
#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/x86_msr.h"
#include "hypervisor-model/vp_msr_table.h"
#include "mmu/spec/paging.h"

namespace hvsim::hv {
namespace {

using sim::Time;
using Vp = VirtualProcessor;

MsrResult done() {
    return MsrResult::of(0);
}
MsrResult checked(bool ok) {
    return ok ? done() : MsrResult::fault();
}

// --- Kept by the register context ---

MsrResult read_context(Vp& vp, std::uint32_t index) {
    std::uint64_t value = 0;
    return vp.context().read_msr(index, value) ? MsrResult::of(value) : MsrResult::fault();
}

template <std::uint32_t First>
MsrResult context_read(Vp& vp, unsigned n, Time) {
    return read_context(vp, First + n);
}
template <std::uint32_t First>
MsrResult context_write(Vp& vp, unsigned n, std::uint64_t value, Time) {
    return checked(vp.context().write_msr(First + n, value));
}
/// Addresses: canonical for the paging mode's width (CR4.LA57), else #GP.
template <std::uint32_t First>
MsrResult context_write_address(Vp& vp, unsigned n, std::uint64_t value, Time) {
    constexpr unsigned kLa57 = 12;
    const unsigned bits = sim::bit(vp.context().cr(4), kLa57) ? 57 : 48;
    return checked(mmu::paging::is_canonical(value, bits) &&
                   vp.context().write_msr(First + n, value));
}

bool is_memory_type(std::uint64_t type, bool pat) {
    return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}
bool are_memory_types(std::uint64_t value, bool pat) {
    for (unsigned i = 0; i < 8; ++i)
        if (!is_memory_type(value >> (8 * i) & 0xff, pat)) return false;
    return true;
}
MsrResult write_pat(Vp& vp, unsigned, std::uint64_t value, Time) {
    return checked(are_memory_types(value, true) && vp.context().write_msr(x86_msr::kPat, value));
}

// EFER (SDM 3A 2.2.1; APM 2 3.1.7).
constexpr std::uint64_t kEferLme = 1u << 8, kEferLma = 1u << 10;
constexpr std::uint64_t kEferWritable = 1u | kEferLme | 1u << 11;
constexpr std::uint64_t kEferAmd = 1u << 14;  // FFXSR
constexpr std::uint64_t kEferSvme = 1u << 12;
constexpr unsigned kCr0Pg = 31;

MsrResult write_efer(Vp& vp, unsigned, std::uint64_t value, Time) {
    const bool amd = vp.hypervisor().config().vendor == Vendor::amd;
    std::uint64_t writable = kEferWritable;
    if (amd) writable |= kEferAmd;
    if (amd && vp.partition().features().nested) writable |= kEferSvme;
    const std::uint64_t before = vp.context().efer();
    if ((value & ~(writable | kEferLma)) != 0) return MsrResult::fault();
    if (((value ^ before) & kEferLme) != 0 && sim::bit(vp.context().cr(0), kCr0Pg))
        return MsrResult::fault();
    vp.context().set_efer((value & writable) | (before & kEferLma));
    return done();
}

// --- MTRRs (SDM 3A 12.11) ---

std::uint64_t address_mask(const Vp& vp) {
    const unsigned bits = vp.hypervisor().config().physical_address_bits;
    return ((std::uint64_t{1} << bits) - 1) & ~std::uint64_t{0xfff};
}

MsrResult read_variable(Vp& vp, unsigned n, Time) {
    return MsrResult::of(n % 2 == 0 ? vp.msrs().mtrr_base[n / 2] : vp.msrs().mtrr_mask[n / 2]);
}
MsrResult write_variable(Vp& vp, unsigned n, std::uint64_t value, Time) {
    constexpr std::uint64_t kValid = 1u << 11;
    const bool base = n % 2 == 0;
    const std::uint64_t defined = address_mask(vp) | (base ? 0xff : kValid);
    if ((value & ~defined) != 0 || (base && !is_memory_type(value & 0xff, false)))
        return MsrResult::fault();
    (base ? vp.msrs().mtrr_base : vp.msrs().mtrr_mask)[n / 2] = value;
    return done();
}

template <unsigned First>
MsrResult read_fixed(Vp& vp, unsigned n, Time) {
    return MsrResult::of(vp.msrs().mtrr_fixed[First + n]);
}
template <unsigned First>
MsrResult write_fixed(Vp& vp, unsigned n, std::uint64_t value, Time) {
    if (!are_memory_types(value, false)) return MsrResult::fault();
    vp.msrs().mtrr_fixed[First + n] = value;
    return done();
}
MsrResult write_def_type(Vp& vp, unsigned, std::uint64_t value, Time) {
    if (!is_memory_type(value & 0xff, false)) return MsrResult::fault();
    vp.msrs().mtrr_def_type = value;
    return done();
}

// --- Plain storage ---

template <std::uint64_t VpMsrState::*Member>
MsrResult read_member(Vp& vp, unsigned, Time) {
    return MsrResult::of(vp.msrs().*Member);
}
template <std::uint64_t VpMsrState::*Member>
MsrResult write_member(Vp& vp, unsigned, std::uint64_t value, Time) {
    vp.msrs().*Member = value;
    return done();
}
template <std::uint64_t Value>
MsrResult read_constant(Vp&, unsigned, Time) {
    return MsrResult::of(Value);
}
MsrResult write_ignored(Vp&, unsigned, std::uint64_t, Time) {
    return done();
}

// Speculation control exists as CPUID says (SDM 2A CPUID leaf 7 EDX).
constexpr unsigned kIbrs = 26, kFlushL1d = 28, kArchCapabilities = 29;
bool leaf7_edx(const Vp& vp, unsigned bit) {
    return sim::bit(vp.cpuid(7, 0).edx, bit);
}

bool has_spec_ctrl(const Vp& vp) {
    constexpr std::uint32_t kAmdMask = 1u << 12 | 1u << 14 | 1u << 15 | 1u << 24;
    return leaf7_edx(vp, kIbrs) || (vp.cpuid(0x8000'0008, 0).ebx & kAmdMask) != 0;
}
MsrResult read_spec_ctrl(Vp& vp, unsigned, Time) {
    return has_spec_ctrl(vp) ? MsrResult::of(vp.msrs().spec_ctrl) : MsrResult::fault();
}
MsrResult write_spec_ctrl(Vp& vp, unsigned, std::uint64_t value, Time) {
    if (!has_spec_ctrl(vp)) return MsrResult::fault();
    vp.msrs().spec_ctrl = value;
    return done();
}
MsrResult write_pred_cmd(Vp& vp, unsigned, std::uint64_t, Time) {
    return checked(has_spec_ctrl(vp));
}
MsrResult write_flush_cmd(Vp& vp, unsigned, std::uint64_t, Time) {
    return checked(leaf7_edx(vp, kFlushL1d));
}
MsrResult read_arch_capabilities(Vp& vp, unsigned, Time) {
    return leaf7_edx(vp, kArchCapabilities) ? MsrResult::of(cpu::kArchCapabilitiesValue)
                                            : MsrResult::fault();
}

MsrResult read_tsc(Vp& vp, unsigned, Time now) {
    return MsrResult::of(vp.tsc(now));
}
MsrResult write_tsc(Vp& vp, unsigned, std::uint64_t value, Time now) {
    vp.write_tsc(value, now);
    return done();
}

bool has_xss(const Vp& vp) {
    constexpr unsigned kXsaves = 3;
    return sim::bit(vp.cpuid(0xd, 1).eax, kXsaves);
}
MsrResult read_xss(Vp& vp, unsigned, Time) {
    return has_xss(vp) ? MsrResult::of(vp.msrs().xss) : MsrResult::fault();
}
MsrResult write_xss(Vp& vp, unsigned, std::uint64_t value, Time) {
    // No supervisor component is offered.
    return checked(has_xss(vp) && value == 0);
}

template <MsrRow::Read Inner>
MsrResult amd_read(Vp& vp, unsigned n, Time now) {
    return vp.hypervisor().config().vendor == Vendor::amd ? Inner(vp, n, now) : MsrResult::fault();
}
template <MsrRow::Write Inner>
MsrResult amd_write(Vp& vp, unsigned n, std::uint64_t value, Time now) {
    return vp.hypervisor().config().vendor == Vendor::amd ? Inner(vp, n, value, now)
                                                          : MsrResult::fault();
}
MsrResult read_vm_cr(Vp& vp, unsigned, Time) {
    return MsrResult::of(vp.partition().features().nested ? 0 : x86_msr::kVmCrSvmDisabled);
}

constexpr std::uint64_t kMiscEnableDefined = 1u | 1u << 3 | 1u << 7 | 1u << 11 | 1u << 12 |
                                             1u << 16 | 1u << 18 | 1u << 22 | 1u << 23 |
                                             std::uint64_t{1} << 34;
constexpr Privilege kFree = Privilege::none;

constexpr MsrRow row(std::uint32_t first, std::uint32_t count, std::string_view name,
                     std::uint64_t reserved, MsrRow::Read read, MsrRow::Write write) {
    return {first, count, name, kFree, 0, reserved, read, write};
}

namespace m = x86_msr;
constexpr std::array kRows{
    row(m::kTsc, 1, "IA32_TIME_STAMP_COUNTER", 0, read_tsc, write_tsc),
    row(m::kPlatformId, 1, "IA32_PLATFORM_ID", 0, read_constant<0>, nullptr),
    row(m::kFeatureControl, 1, "IA32_FEATURE_CONTROL", 0, read_member<&VpMsrState::feature_control>,
        nullptr),
    row(m::kSpecCtrl, 1, "IA32_SPEC_CTRL", ~std::uint64_t{7}, read_spec_ctrl, write_spec_ctrl),
    row(m::kPredCmd, 1, "IA32_PRED_CMD", ~std::uint64_t{1}, nullptr, write_pred_cmd),
    row(m::kUcodeWrite, 1, "IA32_BIOS_UPDT_TRIG", 0, nullptr, write_ignored),
    row(m::kUcodeRevision, 1, "IA32_BIOS_SIGN_ID", 0, read_constant<m::kUcodeRevisionValue>,
        write_ignored),
    row(m::kMtrrCap, 1, "IA32_MTRRCAP", 0, read_constant<m::kMtrrCapValue>, nullptr),
    row(m::kArchCapabilities, 1, "IA32_ARCH_CAPABILITIES", 0, read_arch_capabilities, nullptr),
    row(m::kFlushCmd, 1, "IA32_FLUSH_CMD", ~std::uint64_t{1}, nullptr, write_flush_cmd),
    row(m::kSysenterCs, 1, "IA32_SYSENTER_CS", 0xffff'ffff'0000'0000, context_read<m::kSysenterCs>,
        context_write<m::kSysenterCs>),
    row(m::kSysenterEsp, 2, "IA32_SYSENTER_ESP", 0, context_read<m::kSysenterEsp>,
        context_write_address<m::kSysenterEsp>),
    row(m::kMcgCap, 1, "IA32_MCG_CAP", 0, read_constant<0>, nullptr),
    row(m::kMcgStatus, 1, "IA32_MCG_STATUS", ~std::uint64_t{0},
        read_member<&VpMsrState::mcg_status>, write_member<&VpMsrState::mcg_status>),
    row(m::kMiscEnable, 1, "IA32_MISC_ENABLE", ~kMiscEnableDefined,
        read_member<&VpMsrState::misc_enable>, write_member<&VpMsrState::misc_enable>),
    row(m::kDebugCtl, 1, "IA32_DEBUGCTL", ~std::uint64_t{3}, read_member<&VpMsrState::debug_ctl>,
        write_member<&VpMsrState::debug_ctl>),
    row(m::kMtrrPhysBase0, 2 * kVariableMtrrs, "IA32_MTRR_PHYSBASE", 0, read_variable,
        write_variable),
    row(m::kMtrrFix64k, 1, "IA32_MTRR_FIX64K", 0, read_fixed<0>, write_fixed<0>),
    row(m::kMtrrFix16k, 2, "IA32_MTRR_FIX16K", 0, read_fixed<1>, write_fixed<1>),
    row(m::kMtrrFix4k, 8, "IA32_MTRR_FIX4K", 0, read_fixed<3>, write_fixed<3>),
    row(m::kPat, 1, "IA32_PAT", 0, context_read<m::kPat>, write_pat),
    row(m::kMtrrDefType, 1, "IA32_MTRR_DEF_TYPE", ~std::uint64_t{0xcff},
        read_member<&VpMsrState::mtrr_def_type>, write_def_type),
    row(m::kXss, 1, "IA32_XSS", 0, read_xss, write_xss),
    row(
        m::kEfer, 1, "IA32_EFER", 0,
        [](Vp& vp, unsigned, Time) { return MsrResult::of(vp.context().efer()); }, write_efer),
    row(m::kStar, 1, "IA32_STAR", 0, context_read<m::kStar>, context_write<m::kStar>),
    row(m::kLstar, 2, "IA32_LSTAR", 0, context_read<m::kLstar>, context_write_address<m::kLstar>),
    row(m::kSfmask, 1, "IA32_FMASK", 0, context_read<m::kSfmask>, context_write<m::kSfmask>),
    row(m::kFsBase, 3, "IA32_FS_BASE", 0, context_read<m::kFsBase>,
        context_write_address<m::kFsBase>),
    row(m::kTscAux, 1, "IA32_TSC_AUX", 0xffff'ffff'0000'0000, context_read<m::kTscAux>,
        context_write<m::kTscAux>),
    // DEVIATION: there is no virtual performance monitoring unit. These eight exist on every AMD
    // processor (APM 2 13.2.2), whatever CPUID says; here they read as zero and count nothing.
    row(m::kPerfEvtSel0, 8, "PERF_EVT_SEL", 0, amd_read<read_constant<0>>,
        amd_write<write_ignored>),
    row(m::kSyscfg, 1, "SYSCFG", 0, amd_read<read_member<&VpMsrState::syscfg>>,
        amd_write<write_member<&VpMsrState::syscfg>>),
    row(m::kHwcr, 1, "HWCR", 0, amd_read<read_member<&VpMsrState::hwcr>>,
        amd_write<write_member<&VpMsrState::hwcr>>),
    row(m::kTopMem, 1, "TOP_MEM", 0, amd_read<read_constant<0>>, amd_write<write_ignored>),
    row(m::kTopMem2, 1, "TOP_MEM2", 0, amd_read<read_constant<0>>, amd_write<write_ignored>),
    row(m::kNbCfg, 1, "NB_CFG", 0, amd_read<read_constant<0>>, amd_write<write_ignored>),
    row(m::kInterruptPending, 1, "INT_PENDING", 0, amd_read<read_constant<0>>, nullptr),
    row(m::kVmCr, 1, "VM_CR", 0, amd_read<read_vm_cr>, nullptr),
    row(m::kDeCfg, 1, "DE_CFG", 0, amd_read<read_constant<m::kDeCfgLfenceSerializing>>,
        amd_write<write_ignored>),
};

constexpr bool rows_ascend() {
    for (std::size_t i = 1; i < kRows.size(); ++i)
        if (kRows[i].first < kRows[i - 1].first + kRows[i - 1].count) return false;
    return true;
}
static_assert(rows_ascend());

}  // namespace

std::span<const MsrRow> architectural_msrs() {
    return kRows;
}

}  // namespace hvsim::hv
