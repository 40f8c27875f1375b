// Registers of a virtual processor by their HV_REGISTER_NAME (TLFS 7.10).
#include <algorithm>
#include <array>
#include <cstring>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/x86_msr.h"
#include "hypervisor-model/vp_msr_table.h"

namespace hvsim::hv {
namespace {

using sim::Time;
using Vp = VirtualProcessor;

/// How one name, or a run of names, is read and written. nullptr: cannot be.
struct RegisterRow {
    std::uint32_t first;
    std::uint32_t count;
    HvStatus (*get)(Vp& vp, std::uint32_t n, RegisterValue& value, Time now);
    HvStatus (*set)(Vp& vp, std::uint32_t n, const RegisterValue& value, Time now);
};

constexpr HvStatus kOk = HvStatus::success;
constexpr HvStatus kBadValue = HvStatus::invalid_register_value;
HvStatus good_if(bool ok) {
    return ok ? kOk : kBadValue;
}
HvStatus value(RegisterValue& out, std::uint64_t low) {
    out = {low, 0};
    return kOk;
}

// --- MSR-shaped registers go through the MSR tables, so that both doors check alike ---

template <std::uint32_t Msr>
HvStatus get_msr(Vp& vp, std::uint32_t n, RegisterValue& out, Time now) {
    const MsrRow* row = find_msr_row(Msr + n);
    if (row == nullptr || row->read == nullptr) return HvStatus::invalid_parameter;
    return value(out, row->read(vp, Msr + n - row->first, now).value);
}
template <std::uint32_t Msr>
HvStatus set_msr(Vp& vp, std::uint32_t n, const RegisterValue& in, Time now) {
    const MsrRow* row = find_msr_row(Msr + n);
    if (row == nullptr || row->write == nullptr) return HvStatus::invalid_parameter;
    if ((in.low & row->reserved) != 0) return kBadValue;
    return good_if(!row->write(vp, Msr + n - row->first, in.low, now).gp);
}
template <std::uint32_t Msr, std::uint32_t Stride>
HvStatus get_strided(Vp& vp, std::uint32_t n, RegisterValue& out, Time now) {
    return get_msr<Msr>(vp, n * Stride, out, now);
}
template <std::uint32_t Msr, std::uint32_t Stride>
HvStatus set_strided(Vp& vp, std::uint32_t n, const RegisterValue& in, Time now) {
    return set_msr<Msr>(vp, n * Stride, in, now);
}
// Names 0x80070-0x8007A are FIX64K, FIX16K (2), FIX4K (8): three runs of MSRs.
std::uint32_t fixed_mtrr(std::uint32_t n) {
    return n == 0  ? x86_msr::kMtrrFix64k
           : n < 3 ? x86_msr::kMtrrFix16k + n - 1
                   : x86_msr::kMtrrFix4k + n - 3;
}
HvStatus get_fixed_mtrr(Vp& vp, std::uint32_t n, RegisterValue& out, Time now) {
    return get_msr<0>(vp, fixed_mtrr(n), out, now);
}
HvStatus set_fixed_mtrr(Vp& vp, std::uint32_t n, const RegisterValue& in, Time now) {
    return set_msr<0>(vp, fixed_mtrr(n), in, now);
}

// --- Suspension and activity ---

HvStatus get_activity(Vp& vp, std::uint32_t, RegisterValue& out, Time) {
    return value(out, (vp.waits_for_sipi() ? reg::kStartupSuspend : 0) |
                          (vp.context().halted() ? reg::kHaltSuspend : 0) |
                          (vp.idle() ? reg::kIdleSuspend : 0));
}
HvStatus set_activity(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    if ((in.low & ~(reg::kStartupSuspend | reg::kHaltSuspend | reg::kIdleSuspend)) != 0)
        return kBadValue;
    vp.apic().set_wait_for_sipi((in.low & reg::kStartupSuspend) != 0);
    vp.context().set_halted((in.low & reg::kHaltSuspend) != 0);
    vp.set_idle((in.low & reg::kIdleSuspend) != 0);
    vp.hypervisor().services().waker.wake(vp, now);
    return kOk;
}
HvStatus set_explicit(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    if (in.low > 1) return kBadValue;
    vp.set_explicit_suspend(in.low != 0, now);
    return kOk;
}
HvStatus set_intercept(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    if (in.low > 1) return kBadValue;
    vp.set_intercept_suspend(in.low != 0, now);
    return kOk;
}

// --- Pending events ---

HvStatus set_pending_interruption(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    using P = reg::PendingInterruption;
    if ((in.low & P::kPending) == 0) return kOk;
    const std::uint64_t type = P::Type::get(in.low);
    const std::uint64_t vector = P::Vector::get(in.low);
    if (type == 1 || type > 6 || vector > 255 || (type == 2 && vector != 2)) return kBadValue;
    vp.context().inject(
        {.type = static_cast<InjectedEvent::Type>(type),
         .vector = static_cast<std::uint8_t>(vector),
         .has_error_code = (in.low & P::kDeliverErrorCode) != 0,
         .error_code = static_cast<std::uint32_t>(P::ErrorCode::get(in.low)),
         .instruction_length = static_cast<std::uint8_t>(P::InstructionLength::get(in.low))});
    vp.hypervisor().services().waker.wake(vp, now);
    return kOk;
}
HvStatus set_pending_event(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    using P = reg::PendingException;
    if ((in.low & P::kPending) == 0) return kOk;
    const std::uint64_t vector = P::Vector::get(in.low);
    if (P::EventType::get(in.low) != 0 || vector > 31 || vector == 2) return kBadValue;
    constexpr std::uint64_t kPageFault = 14;
    if (vector == kPageFault) vp.context().set_cr(2, in.high);
    vp.context().inject({.type = InjectedEvent::Type::hardware_exception,
                         .vector = static_cast<std::uint8_t>(vector),
                         .has_error_code = (in.low & P::kDeliverErrorCode) != 0,
                         .error_code = static_cast<std::uint32_t>(P::ErrorCode::get(in.low))});
    vp.hypervisor().services().waker.wake(vp, now);
    return kOk;
}
HvStatus get_pending(Vp& vp, std::uint32_t, RegisterValue& out, Time) {
    return value(out,
                 vp.context().has_pending_injection() ? reg::PendingInterruption::kPending : 0);
}
HvStatus get_interrupt_state(Vp& vp, std::uint32_t, RegisterValue& out, Time) {
    return value(out, (vp.context().interrupt_shadow() ? reg::kInterruptShadow : 0) |
                          (vp.apic().state().nmi_in_service ? reg::kNmiMasked : 0));
}
HvStatus set_interrupt_state(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    if ((in.low & ~(reg::kInterruptShadow | reg::kNmiMasked)) != 0) return kBadValue;
    vp.context().set_interrupt_shadow((in.low & reg::kInterruptShadow) != 0);
    apic::LocalApicState state = vp.apic().state();
    state.nmi_in_service = (in.low & reg::kNmiMasked) != 0;
    vp.apic().restore(state);
    return kOk;
}

// --- Integer and control registers ---

HvStatus get_gpr(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    return value(out, vp.context().gpr(n));
}
HvStatus set_gpr(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    vp.context().set_gpr(n, in.low);
    return kOk;
}
constexpr std::array<unsigned, 4> kCrNumber{0, 2, 3, 4};
HvStatus get_cr(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    return value(out, vp.context().cr(kCrNumber[n]));
}
HvStatus set_cr(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    const unsigned number = kCrNumber[n];
    constexpr std::uint64_t kPe = 1, kPg = std::uint64_t{1} << 31;
    if (number != 2 && number != 3 && in.low >> 32 != 0) return kBadValue;
    if (number == 0 && (in.low & kPg) != 0 && (in.low & kPe) == 0) return kBadValue;
    vp.context().set_cr(number, in.low);
    if (number != 2) vp.context().flush_tlb();
    return kOk;
}
HvStatus set_cr8(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    if (in.low > 15) return kBadValue;
    vp.apic().set_tpr(static_cast<std::uint8_t>(in.low << 4));
    return kOk;
}
HvStatus set_xfem(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    const CpuidResult leaf = vp.cpuid(0xd, 0);
    const std::uint64_t supported = leaf.eax | std::uint64_t{leaf.edx} << 32;
    if ((in.low & 1) == 0 || (in.low & ~supported) != 0) return kBadValue;
    vp.context().set_xcr0(in.low);
    return kOk;
}
constexpr unsigned dr_number(std::uint32_t n) {
    return n < 4 ? n : n + 2;
}
HvStatus get_dr(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    return value(out, vp.context().dr(dr_number(n)));
}
HvStatus set_dr(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    if (n >= 4 && in.low >> 32 != 0) return kBadValue;
    vp.context().set_dr(dr_number(n), in.low);
    return kOk;
}
HvStatus get_segment(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    out = RegisterValue::of(WireSegment::from(vp.context().segment(static_cast<SegmentName>(n))));
    return kOk;
}
HvStatus set_segment(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    vp.context().set_segment(static_cast<SegmentName>(n), in.segment().to_segment());
    return kOk;
}
HvStatus get_table(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    const TableRegister table = n == 0 ? vp.context().idtr() : vp.context().gdtr();
    out = RegisterValue::of(WireTable{.limit = table.limit, .base = table.base});
    return kOk;
}
HvStatus set_table(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    const TableRegister table{in.table().base, in.table().limit};
    if (n == 0)
        vp.context().set_idtr(table);
    else
        vp.context().set_gdtr(table);
    return kOk;
}
HvStatus set_efer(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    // Unlike a guest's WRMSR this may set LMA, to enter long mode as a whole.
    constexpr std::uint64_t kDefined = 1u | 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14;
    if ((in.low & ~kDefined) != 0) return kBadValue;
    vp.context().set_efer(in.low);
    vp.context().flush_tlb();
    return kOk;
}

// --- Floating point: 16-byte pieces of the FXSAVE image (SDM 1 table 10-2) ---

constexpr std::size_t kControlOffset = 0, kSseControlOffset = 16, kMmxOffset = 32, kXmmOffset = 160;
template <std::size_t Offset>
HvStatus get_fx(Vp& vp, std::uint32_t n, RegisterValue& out, Time) {
    const auto image = vp.context().fxsave();
    std::memcpy(&out.low, image.data() + Offset + 16 * n, 8);
    std::memcpy(&out.high, image.data() + Offset + 16 * n + 8, 8);
    return kOk;
}
template <std::size_t Offset>
HvStatus set_fx(Vp& vp, std::uint32_t n, const RegisterValue& in, Time) {
    constexpr std::uint64_t kMxcsrDefined = 0xffff;
    if (Offset == kSseControlOffset && (in.high & 0xffff'ffff & ~kMxcsrDefined) != 0)
        return kBadValue;
    auto image = vp.context().fxsave();
    std::memcpy(image.data() + Offset + 16 * n, &in.low, 8);
    std::memcpy(image.data() + Offset + 16 * n + 8, &in.high, 8);
    vp.context().fxrstor(image);
    return kOk;
}

// --- APIC: register n of the window, whatever the mode ---

HvStatus get_apic(Vp& vp, std::uint32_t n, RegisterValue& out, Time now) {
    if (vp.apic().mode() == apic::ApicMode::xapic)
        return value(out, vp.apic().mmio_read(n << 4, 4, now));
    const auto result = vp.apic().read_msr(0x800 + n, now);
    if (!result) return HvStatus::invalid_parameter;
    return value(out, *result);
}
HvStatus set_apic(Vp& vp, std::uint32_t n, const RegisterValue& in, Time now) {
    if (vp.apic().mode() != apic::ApicMode::xapic)
        return good_if(vp.apic().write_msr(0x800 + n, in.low, now));
    if (in.low >> 32 != 0) return kBadValue;
    vp.apic().mmio_write(n << 4, 4, in.low, now);
    return kOk;
}
HvStatus set_apic_base(Vp& vp, std::uint32_t, const RegisterValue& in, Time now) {
    return good_if(vp.apic().write_msr(0x1b, in.low, now));
}

template <auto Read>
HvStatus getter(Vp& vp, std::uint32_t, RegisterValue& out, Time) {
    return value(out, Read(vp));
}
constexpr auto kExplicit = [](Vp& vp) { return std::uint64_t{vp.explicit_suspend()}; };
constexpr auto kIntercept = [](Vp& vp) { return std::uint64_t{vp.intercept_suspend()}; };
constexpr auto kRip = [](Vp& vp) { return vp.context().rip(); };
constexpr auto kRflags = [](Vp& vp) { return vp.context().rflags(); };
constexpr auto kCr8 = [](Vp& vp) { return std::uint64_t{vp.apic().tpr()} >> 4; };
constexpr auto kXfem = [](Vp& vp) { return vp.context().xcr0(); };
constexpr auto kEfer = [](Vp& vp) { return vp.context().efer(); };
constexpr auto kInitialApicId = [](Vp& vp) { return std::uint64_t{vp.apic_id()}; };

HvStatus set_rip(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    vp.context().set_rip(in.low);
    return kOk;
}
HvStatus set_rflags(Vp& vp, std::uint32_t, const RegisterValue& in, Time) {
    constexpr std::uint64_t kDefined = 0x3f'7fd7;
    if ((in.low & ~kDefined) != 0) return kBadValue;
    vp.context().set_rflags(in.low | 2);
    return kOk;
}

constexpr std::array kRows{
    RegisterRow{reg::kExplicitSuspend, 1, getter<kExplicit>, set_explicit},
    RegisterRow{reg::kInterceptSuspend, 1, getter<kIntercept>, set_intercept},
    RegisterRow{reg::kInternalActivityState, 1, get_activity, set_activity},
    RegisterRow{reg::kGuestCrashP0, 5, get_msr<msr::kCrashP0>, set_msr<msr::kCrashP0>},
    RegisterRow{reg::kGuestCrashControl, 1, get_msr<msr::kCrashControl>, nullptr},
    RegisterRow{reg::kPendingInterruption, 1, get_pending, set_pending_interruption},
    RegisterRow{reg::kInterruptState, 1, get_interrupt_state, set_interrupt_state},
    RegisterRow{reg::kPendingEvent0, 1, get_pending, set_pending_event},
    RegisterRow{reg::kRax, 16, get_gpr, set_gpr},
    RegisterRow{reg::kRip, 1, getter<kRip>, set_rip},
    RegisterRow{reg::kRflags, 1, getter<kRflags>, set_rflags},
    RegisterRow{reg::kXmm0, 16, get_fx<kXmmOffset>, set_fx<kXmmOffset>},
    RegisterRow{reg::kFpMmx0, 8, get_fx<kMmxOffset>, set_fx<kMmxOffset>},
    RegisterRow{reg::kFpControlStatus, 1, get_fx<kControlOffset>, set_fx<kControlOffset>},
    RegisterRow{reg::kXmmControlStatus, 1, get_fx<kSseControlOffset>, set_fx<kSseControlOffset>},
    RegisterRow{reg::kCr0, 4, get_cr, set_cr},
    RegisterRow{reg::kCr8, 1, getter<kCr8>, set_cr8},
    RegisterRow{reg::kXfem, 1, getter<kXfem>, set_xfem},
    RegisterRow{reg::kDr0, 6, get_dr, set_dr},
    RegisterRow{reg::kEs, 8, get_segment, set_segment},
    RegisterRow{reg::kIdtr, 2, get_table, set_table},
    RegisterRow{reg::kTsc, 1, get_msr<x86_msr::kTsc>, set_msr<x86_msr::kTsc>},
    RegisterRow{reg::kEfer, 1, getter<kEfer>, set_efer},
    RegisterRow{reg::kKernelGsBase, 1, get_msr<x86_msr::kKernelGsBase>,
                set_msr<x86_msr::kKernelGsBase>},
    RegisterRow{reg::kApicBase, 1,
                [](Vp& vp, std::uint32_t, RegisterValue& out, Time) {
                    return value(out, vp.apic().state().base);
                },
                set_apic_base},
    RegisterRow{reg::kPat, 1, get_msr<x86_msr::kPat>, set_msr<x86_msr::kPat>},
    RegisterRow{reg::kSysenterCs, 1, get_msr<x86_msr::kSysenterCs>, set_msr<x86_msr::kSysenterCs>},
    RegisterRow{reg::kSysenterEip, 1, get_msr<x86_msr::kSysenterEip>,
                set_msr<x86_msr::kSysenterEip>},
    RegisterRow{reg::kSysenterEsp, 1, get_msr<x86_msr::kSysenterEsp>,
                set_msr<x86_msr::kSysenterEsp>},
    RegisterRow{reg::kStar, 4, get_msr<x86_msr::kStar>, set_msr<x86_msr::kStar>},
    RegisterRow{reg::kInitialApicId, 1, getter<kInitialApicId>, nullptr},
    RegisterRow{reg::kMtrrCap, 1, get_msr<x86_msr::kMtrrCap>, nullptr},
    RegisterRow{reg::kMtrrDefType, 1, get_msr<x86_msr::kMtrrDefType>,
                set_msr<x86_msr::kMtrrDefType>},
    RegisterRow{reg::kMtrrPhysBase0, kVariableMtrrs, get_strided<x86_msr::kMtrrPhysBase0, 2>,
                set_strided<x86_msr::kMtrrPhysBase0, 2>},
    RegisterRow{reg::kMtrrPhysMask0, kVariableMtrrs, get_strided<x86_msr::kMtrrPhysBase0 + 1, 2>,
                set_strided<x86_msr::kMtrrPhysBase0 + 1, 2>},
    RegisterRow{reg::kMtrrFix64k, kFixedMtrrs, get_fixed_mtrr, set_fixed_mtrr},
    RegisterRow{reg::kTscAux, 1, get_msr<x86_msr::kTscAux>, set_msr<x86_msr::kTscAux>},
    RegisterRow{reg::kApicFirst, reg::kApicLast - reg::kApicFirst + 1, get_apic, set_apic},
    RegisterRow{reg::kVpRuntime, 1, get_msr<msr::kVpRuntime>, nullptr},
    RegisterRow{reg::kHypercall, 1, get_msr<msr::kHypercall>, set_msr<msr::kHypercall>},
    RegisterRow{reg::kGuestOsId, 1, get_msr<msr::kGuestOsId>, set_msr<msr::kGuestOsId>},
    RegisterRow{reg::kVpIndex, 1, get_msr<msr::kVpIndex>, nullptr},
    RegisterRow{reg::kTimeRefCount, 1, get_msr<msr::kTimeRefCount>, nullptr},
    RegisterRow{reg::kVpAssistPage, 1, get_msr<msr::kVpAssistPage>, set_msr<msr::kVpAssistPage>},
    RegisterRow{reg::kReferenceTsc, 1, get_msr<msr::kReferenceTsc>, set_msr<msr::kReferenceTsc>},
    RegisterRow{reg::kSint0, kSintCount, get_msr<msr::kSint0>, set_msr<msr::kSint0>},
    RegisterRow{reg::kScontrol, 1, get_msr<msr::kScontrol>, set_msr<msr::kScontrol>},
    RegisterRow{reg::kSversion, 1, get_msr<msr::kSversion>, nullptr},
    RegisterRow{reg::kSiefp, 1, get_msr<msr::kSiefp>, set_msr<msr::kSiefp>},
    RegisterRow{reg::kSimp, 1, get_msr<msr::kSimp>, set_msr<msr::kSimp>},
    RegisterRow{reg::kEom, 1, get_msr<msr::kEom>, set_msr<msr::kEom>},
    RegisterRow{reg::kStimer0Config, 2 * kStimerCount, get_msr<msr::kStimer0Config>,
                set_msr<msr::kStimer0Config>},
};

constexpr bool rows_ascend() {
    for (std::size_t i = 1; i < kRows.size(); ++i)
        if (kRows[i].first < kRows[i - 1].first + kRows[i - 1].count) return false;
    return true;
}
static_assert(rows_ascend());

const RegisterRow* find_register(std::uint32_t name) {
    const auto after = std::upper_bound(
        kRows.begin(), kRows.end(), name,
        [](std::uint32_t wanted, const RegisterRow& row) { return wanted < row.first; });
    if (after == kRows.begin()) return nullptr;
    const RegisterRow& row = *std::prev(after);
    return name - row.first < row.count ? &row : nullptr;
}

}  // namespace

HvStatus VirtualProcessor::get_register(std::uint32_t name, RegisterValue& out, sim::Time now) {
    const RegisterRow* row = find_register(name);
    if (row == nullptr) return HvStatus::unknown_register_name;
    return row->get(*this, name - row->first, out, now);
}

HvStatus VirtualProcessor::set_register(std::uint32_t name, const RegisterValue& in,
                                        sim::Time now) {
    const RegisterRow* row = find_register(name);
    if (row == nullptr) return HvStatus::unknown_register_name;
    // Read-only registers exist, but no value is valid for them.
    if (row->set == nullptr) return HvStatus::operation_denied;
    return row->set(*this, name - row->first, in, now);
}

}  // namespace hvsim::hv
