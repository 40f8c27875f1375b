// Primary fault logging and the unit's own messages (VT-d 7.2.1, 7.3).
#include <algorithm>

#include "iommu/vtd/vtd_unit.h"

namespace hvsim::iommu::vtd {

using namespace spec;

namespace {

/// The data, address and upper address registers of an event stand after its control register.
constexpr Register after(Register control, unsigned n) {
    return static_cast<Register>(static_cast<unsigned>(control) + n);
}
static_assert(after(Register::fectl, 3) == Register::feuaddr);
static_assert(after(Register::iectl, 3) == Register::ieuaddr);

}  // namespace

bool VtdUnit::primary_fault_pending() const noexcept {
    return std::any_of(state_.records.begin(), state_.records.end(),
                       [](const FaultRecord& record) { return FRCD_F::test(record.high); });
}

std::uint64_t VtdUnit::fault_status() const noexcept {
    std::uint64_t value = reg(Register::fsts);
    if (!primary_fault_pending()) return value;
    value |= FSTS_PPF::kMask;
    return FSTS_FRI::set(value, state_.first_record);
}

void VtdUnit::log_fault(FaultRecord record, sim::Time now) {
    // 7.2.1: with PFO set nothing is recorded; a full log sets it.
    if (FSTS_PFO::test(reg(Register::fsts))) {
        ++counters_.faults_lost;
        return;
    }
    const bool had_status = fault_status() != 0;
    FaultRecord& slot = state_.records[state_.next_record];
    if (FRCD_F::test(slot.high)) {
        ++counters_.faults_lost;
        reg(Register::fsts) |= FSTS_PFO::kMask;
    } else {
        if (!primary_fault_pending()) state_.first_record = state_.next_record;
        slot = record;
        slot.high |= FRCD_F::kMask;
        state_.next_record =
            (state_.next_record + 1) % static_cast<std::uint32_t>(state_.records.size());
    }
    if (!had_status) raise_event(Register::fectl, now);
}

/// An interrupt condition: the message goes out, or waits in IP while masked (11.4.7.2).
void VtdUnit::raise_event(Register control, sim::Time now) {
    reg(control) |= ECTL_IP::kMask;
    if (!ECTL_IM::test(reg(control))) send_event(control, now);
}

void VtdUnit::send_event(Register control, sim::Time now) {
    reg(control) &= ~ECTL_IP::kMask;
    const auto data = static_cast<std::uint32_t>(reg(after(control, 1)));
    const std::uint64_t address = reg(after(control, 2));
    const std::uint64_t upper = reg(after(control, 3));
    const apic::InterruptSource source{apic::InterruptSource::Kind::device, config_.requester_id};
    const bool extended = IRTA_EIME::test(state_.interrupt_table);
    if (is_interrupt_address(address) && (extended || upper == 0)) {
        // The unit's own messages are never remapped (5.1.6); with extended interrupt mode the
        // upper address register holds destination bits 31:8.
        std::optional<apic::InterruptMessage> message = apic::decode_msi({address, data});
        if (!message) return;
        if (extended) {
            message->destination |= static_cast<std::uint32_t>(upper & 0xffff'ff00);
            message->width = apic::DestinationWidth::x2apic;
        }
        fabric_.send(*message, source, now);
        return;
    }
    ram_.write(upper << 32 | address, data);  // elsewhere it is a plain memory write
}

void VtdUnit::after_faults_cleared() {
    if (fault_status() == 0) reg(Register::fectl) &= ~ECTL_IP::kMask;
}

}  // namespace hvsim::iommu::vtd
