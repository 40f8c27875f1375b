// Partition-wide synthetic MSRs and the pages they enable.
#include <algorithm>
#include <vector>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/partition.h"
#include "hypervisor-model/spec/msr.h"
#include "hypervisor-model/spec/pages.h"

namespace hvsim::hv {

bool Partition::hypercalls_enabled() const noexcept {
    // The root's software is native: its hypercalls do not pass through a page.
    return is_root() || (guest_os_id_ != 0 && msr::enabled(hypercall_msr_));
}

void Partition::fill_hypercall_page() {
    std::vector<std::uint8_t> content(sim::kPageSize, kHypercallPageFill);
    const auto& stub = hypervisor_.config().vendor == Vendor::intel ? kVmcallStub : kVmmcallStub;
    std::copy(stub.begin(), stub.end(), content.begin());
    hypervisor_.ram().write_bytes(hypercall_page_ << sim::kPageShift, content);
}

bool Partition::set_overlay(std::uint64_t& current, std::uint64_t value, std::uint64_t system_page,
                            GpaRights rights) {
    const bool same_place = msr::enabled(current) && msr::enabled(value) &&
                            msr::page_number(current) == msr::page_number(value);
    if (!same_place) {
        if (msr::enabled(value) && gpa_space_.add_overlay(msr::page_number(value), system_page,
                                                          rights) != HvStatus::success)
            return false;
        if (msr::enabled(current))
            gpa_space_.remove_overlay(msr::page_number(current), system_page);
    }
    current = value;
    return true;
}

void Partition::write_guest_os_id(std::uint64_t value) {
    guest_os_id_ = value;
    // TLFS 3.13: without an identity there is no hypercall page; a lock does not hold it.
    if (value == 0)
        set_overlay(hypercall_msr_, hypercall_msr_ & ~(msr::kEnable | msr::kHypercallLocked),
                    hypercall_page_, {});
}

bool Partition::write_hypercall_msr(std::uint64_t value) {
    using Reserved = sim::Bits<11, 2>;
    if ((hypercall_msr_ & msr::kHypercallLocked) != 0 || Reserved::test(value)) return false;
    if (guest_os_id_ == 0) value &= ~msr::kEnable;
    return set_overlay(hypercall_msr_, value, hypercall_page_,
                       {.read = true, .write = false, .execute = true});
}

bool Partition::write_reference_tsc(std::uint64_t value) {
    using Reserved = sim::Bits<11, 1>;
    if (Reserved::test(value)) return false;
    update_reference_tsc_page();
    return set_overlay(reference_tsc_msr_, value, reference_tsc_page_,
                       {.read = true, .write = false, .execute = false});
}

void Partition::update_reference_tsc_page() {
    if (reference_tsc_page_ == 0) return;
    // TLFS 12.7.2: sequence 0 while the fields change, the new one last.
    const std::uint64_t address = reference_tsc_page_ << sim::kPageShift;
    ReferenceTscPage page = time_.page();
    const std::uint32_t sequence =
        features_.tsc_page_valid && !own_tsc_somewhere_ ? page.sequence : 0;
    page.sequence = 0;
    hypervisor_.ram().write(address, page);
    hypervisor_.ram().write(address, sequence);
}

void Partition::processor_changed_tsc() {
    own_tsc_somewhere_ = true;
    update_reference_tsc_page();
}

void Partition::notify_crash(std::uint64_t control, VpIndex vp, sim::Time now) {
    crash_ = GuestCrash{crash_parameters_, control, vp, now};
    sim::Subject who = subject();
    who.vp = static_cast<std::uint16_t>(vp);
    hypervisor_.recorder().record(sim::EventKind::kGuestCrash, now, who, crash_parameters_[0],
                                  crash_parameters_[1], crash_parameters_[2], crash_parameters_[3]);
}

}  // namespace hvsim::hv
