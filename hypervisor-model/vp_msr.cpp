// RDMSR and WRMSR of a virtual processor: one table of synthetic and architectural MSRs.
#include <algorithm>
#include <array>
#include <string_view>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/cpuid.h"
#include "hypervisor-model/vp_msr_table.h"

namespace hvsim::hv {
namespace {

using sim::Time;

MsrResult done() {
    return MsrResult::of(0);
}
MsrResult checked(bool ok) {
    return ok ? done() : MsrResult::fault();
}

constexpr std::uint64_t kAnyValue = 0;  // reserved bits: none
constexpr std::uint64_t k100ns = 100 * sim::kNanosecond;

// The rows of TLFS appendix "Synthetic MSRs", in numerical order. `n`: number within the row.
constexpr std::array kSyntheticRows{
    MsrRow{msr::kGuestOsId, 1, "GUEST_OS_ID", Privilege::access_hypercall_msrs, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.partition().guest_os_id());
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               vp.partition().write_guest_os_id(value);
               return done();
           }},
    MsrRow{msr::kHypercall, 1, "HYPERCALL", Privilege::access_hypercall_msrs, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.partition().hypercall_msr());
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               return checked(vp.partition().write_hypercall_msr(value));
           }},
    MsrRow{msr::kVpIndex, 1, "VP_INDEX", Privilege::access_vp_index, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.index()); }, nullptr},
    MsrRow{msr::kReset, 1, "RESET", Privilege::access_reset, 0, ~std::uint64_t{1},
           [](VirtualProcessor&, unsigned, Time) { return MsrResult::of(0); },
           [](VirtualProcessor&, unsigned, std::uint64_t value, Time) {
               MsrResult result = done();
               if ((value & 1) != 0) result.action = VpAction::reset_partition;
               return result;
           }},
    MsrRow{
        msr::kVpRuntime, 1, "VP_RUNTIME", Privilege::access_vp_runtime, 0, kAnyValue,
        [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.run_time() / k100ns); },
        nullptr},
    MsrRow{msr::kTimeRefCount, 1, "TIME_REF_COUNT", Privilege::access_reference_counter, 0,
           kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time now) {
               return MsrResult::of(vp.partition().time().at(now));
           },
           nullptr},
    MsrRow{msr::kReferenceTsc, 1, "REFERENCE_TSC", Privilege::access_reference_tsc, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.partition().reference_tsc_msr());
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               return checked(vp.partition().write_reference_tsc(value));
           }},
    MsrRow{msr::kTscFrequency, 1, "TSC_FREQUENCY", Privilege::access_frequencies,
           cpuid::kFrequencyMsrs, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.hypervisor().config().tsc_hz);
           },
           nullptr},
    MsrRow{msr::kApicFrequency, 1, "APIC_FREQUENCY", Privilege::access_frequencies,
           cpuid::kFrequencyMsrs, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.hypervisor().config().apic_timer_hz);
           },
           nullptr},
    MsrRow{msr::kEoi, 1, "EOI", Privilege::access_interrupt_control, 0, 0xffff'ffff'0000'0000,
           nullptr,
           [](VirtualProcessor& vp, unsigned, std::uint64_t, Time now) {
               vp.end_of_interrupt(now);
               return done();
           }},
    MsrRow{msr::kIcr, 1, "ICR", Privilege::access_interrupt_control, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.apic().icr()); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time now) {
               return checked(vp.apic().write_icr(value, now));
           }},
    MsrRow{msr::kTpr, 1, "TPR", Privilege::access_interrupt_control, 0, ~std::uint64_t{0xff},
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.apic().tpr()); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               vp.apic().set_tpr(static_cast<std::uint8_t>(value));
               return done();
           }},
    MsrRow{msr::kVpAssistPage, 1, "VP_ASSIST_PAGE", Privilege::access_interrupt_control, 0,
           kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.assist_page()); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               return checked(vp.write_assist_page(value));
           }},
    MsrRow{
        msr::kScontrol, 1, "SCONTROL", Privilege::access_synic, 0, kAnyValue,
        [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.synic().scontrol()); },
        [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time now) {
            vp.synic().set_scontrol(value, now);
            return done();
        }},
    MsrRow{msr::kSversion, 1, "SVERSION", Privilege::access_synic, 0, kAnyValue,
           [](VirtualProcessor&, unsigned, Time) { return MsrResult::of(1); }, nullptr},
    MsrRow{msr::kSiefp, 1, "SIEFP", Privilege::access_synic, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.synic().siefp()); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time now) {
               return checked(vp.write_siefp(value, now));
           }},
    MsrRow{msr::kSimp, 1, "SIMP", Privilege::access_synic, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) { return MsrResult::of(vp.synic().simp()); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time now) {
               return checked(vp.write_simp(value, now));
           }},
    MsrRow{msr::kEom, 1, "EOM", Privilege::access_synic, 0, kAnyValue,
           [](VirtualProcessor&, unsigned, Time) { return MsrResult::of(0); },
           [](VirtualProcessor& vp, unsigned, std::uint64_t, Time now) {
               vp.synic().retry(now);
               return done();
           }},
    MsrRow{msr::kSint0, kSintCount, "SINT", Privilege::access_synic, 0, kAnyValue,
           [](VirtualProcessor& vp, unsigned n, Time) { return MsrResult::of(vp.synic().sint(n)); },
           [](VirtualProcessor& vp, unsigned n, std::uint64_t value, Time now) {
               return checked(vp.synic().set_sint(n, value, now));
           }},
    MsrRow{msr::kStimer0Config, 2 * kStimerCount, "STIMER", Privilege::access_synthetic_timers, 0,
           kAnyValue,
           [](VirtualProcessor& vp, unsigned n, Time) {
               const SyntheticTimer& timer = vp.timer(n / 2);
               return MsrResult::of(n % 2 == 0 ? timer.config() : timer.count());
           },
           [](VirtualProcessor& vp, unsigned n, std::uint64_t value, Time now) {
               if (n % 2 == 0) return checked(vp.write_timer_config(n / 2, value, now));
               vp.write_timer_count(n / 2, value, now);
               return done();
           }},
    MsrRow{msr::kGuestIdle, 1, "GUEST_IDLE", Privilege::access_guest_idle,
           cpuid::kGuestIdleAvailable, kAnyValue,
           [](VirtualProcessor& vp, unsigned, Time) {
               MsrResult result = done();
               result.action = VpAction::halt_until_interrupt;
               vp.set_idle(true);
               return result;
           },
           nullptr},
    MsrRow{msr::kCrashP0, 5, "CRASH_P", Privilege::none, cpuid::kGuestCrashMsrs, kAnyValue,
           [](VirtualProcessor& vp, unsigned n, Time) {
               return MsrResult::of(vp.partition().crash_parameters()[n]);
           },
           [](VirtualProcessor& vp, unsigned n, std::uint64_t value, Time) {
               vp.partition().crash_parameters()[n] = value;
               return done();
           }},
    MsrRow{msr::kCrashControl, 1, "CRASH_CTL", Privilege::none, cpuid::kGuestCrashMsrs, kAnyValue,
           [](VirtualProcessor&, unsigned, Time) {
               return MsrResult::of(msr::kCrashNotify | msr::kCrashMessage);
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time now) {
               MsrResult result = done();
               if ((value & msr::kCrashNotify) != 0) {
                   vp.partition().notify_crash(value, vp.index(), now);
                   result.action = VpAction::crash_notified;
               }
               return result;
           }},
    MsrRow{msr::kReenlightenmentControl, 1, "REENLIGHTENMENT_CONTROL",
           Privilege::access_reenlightenment, 0, 0x0000'0000'fffe'ff00,
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.partition().reenlightenment_control());
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               vp.partition().set_reenlightenment_control(value);
               return done();
           }},
    MsrRow{msr::kTscEmulationControl, 1, "TSC_EMULATION_CONTROL", Privilege::access_reenlightenment,
           0, ~std::uint64_t{1},
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.msrs().tsc_emulation_control);
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               vp.msrs().tsc_emulation_control = value;
               return done();
           }},
    MsrRow{msr::kTscEmulationStatus, 1, "TSC_EMULATION_STATUS", Privilege::access_reenlightenment,
           0, ~std::uint64_t{1},
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.msrs().tsc_emulation_status);
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               vp.msrs().tsc_emulation_status = value;
               return done();
           }},
    MsrRow{msr::kTscInvariantControl, 1, "TSC_INVARIANT_CONTROL", Privilege::access_tsc_invariant,
           0, ~std::uint64_t{1},
           [](VirtualProcessor& vp, unsigned, Time) {
               return MsrResult::of(vp.partition().tsc_invariant_control());
           },
           [](VirtualProcessor& vp, unsigned, std::uint64_t value, Time) {
               // Once set it stays.
               vp.partition().set_tsc_invariant_control(value |
                                                        vp.partition().tsc_invariant_control());
               return done();
           }},
};

constexpr bool rows_ascend() {
    for (std::size_t i = 1; i < kSyntheticRows.size(); ++i)
        if (kSyntheticRows[i].first < kSyntheticRows[i - 1].first + kSyntheticRows[i - 1].count)
            return false;
    return true;
}
static_assert(rows_ascend());

const MsrRow* find_row(std::span<const MsrRow> rows, std::uint32_t index) {
    const auto after =
        std::upper_bound(rows.begin(), rows.end(), index,
                         [](std::uint32_t value, const MsrRow& row) { return value < row.first; });
    if (after == rows.begin()) return nullptr;
    const MsrRow& row = *std::prev(after);
    return index - row.first < row.count ? &row : nullptr;
}

bool accessible(const MsrRow& row, const VirtualProcessor& vp) {
    return vp.partition().has_privilege(row.privilege) && vp.partition().has_feature(row.feature);
}

/// What happens to an MSR that neither table has.
MsrResult unknown_msr(const VirtualProcessor& vp, std::uint32_t index, bool write) {
    const bool synthetic = index >= msr::kSyntheticFirst && index <= msr::kSyntheticLast;
    if (!synthetic && vp.partition().intercepts().msr(index, write)) {
        MsrResult result;
        result.intercept = true;
        return result;
    }
    return !synthetic && vp.partition().ignore_unknown_msrs() ? MsrResult::of(0)
                                                              : MsrResult::fault();
}

}  // namespace

const MsrRow* find_msr_row(std::uint32_t index) {
    if (index >= msr::kSyntheticFirst && index <= msr::kSyntheticLast)
        return find_row(kSyntheticRows, index);
    return find_row(architectural_msrs(), index);
}

std::span<const MsrRow> synthetic_msrs() {
    return kSyntheticRows;
}

void VirtualProcessor::count_apic_access(std::uint32_t index) {
    if (index >= apic::spec::kMsrX2apicFirst && index <= apic::spec::kMsrX2apicLast)
        ++counters_.x2apic_accesses;
    if (index == msr::kEoi || index == msr::kIcr || index == msr::kTpr)
        ++counters_.synthetic_apic_accesses;
}

MsrResult VirtualProcessor::read_msr(std::uint32_t index, sim::Time now) {
    MsrResult result = MsrResult::fault();
    if (apic::LocalApic::owns_msr(index)) {
        if (const auto value = apic_.read_msr(index, now)) result = MsrResult::of(*value);
    } else if (const MsrRow* row = find_msr_row(index)) {
        if (row->read != nullptr && accessible(*row, *this))
            result = row->read(*this, index - row->first, now);
    } else {
        result = unknown_msr(*this, index, false);
    }
    if (result.gp)
        ++counters_.msr_faults;
    else
        count_apic_access(index);
    hypervisor_.recorder().record(sim::EventKind::kMsrIntercept, now, subject(), index,
                                  result.value, 0);
    return result;
}

MsrResult VirtualProcessor::write_msr(std::uint32_t index, std::uint64_t value, sim::Time now) {
    constexpr std::uint32_t kX2apicEoi = 0x80b;
    hypervisor_.recorder().record(sim::EventKind::kMsrIntercept, now, subject(), index, value, 1);
    MsrResult result = MsrResult::fault();
    if (apic::LocalApic::owns_msr(index)) {
        if (index == kX2apicEoi && apic_.mode() == apic::ApicMode::x2apic && value == 0) {
            end_of_interrupt(now);
            result = done();
        } else {
            result = checked(apic_.write_msr(index, value, now));
        }
    } else if (const MsrRow* row = find_msr_row(index)) {
        if (row->write != nullptr && accessible(*row, *this) && (value & row->reserved) == 0)
            result = row->write(*this, index - row->first, value, now);
    } else {
        result = unknown_msr(*this, index, true);
    }
    if (result.gp)
        ++counters_.msr_faults;
    else
        count_apic_access(index);
    return result;
}

}  // namespace hvsim::hv
