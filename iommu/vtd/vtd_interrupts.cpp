// Interrupt remapping (VT-d 5.1, 9.9).
#include "iommu/vtd/vtd_unit.h"

namespace hvsim::iommu::vtd {

using namespace spec;

VtdUnit::FaultReason VtdUnit::find_irte(std::uint32_t index, Irte& irte, RemapWork& work) {
    if (const Irte* const cached = irtes_.find({index})) {
        irte = *cached;
        work.cache_hit = true;
        ++counters_.interrupt_entry_hits;
        return FaultReason::none;
    }
    ++counters_.interrupt_entry_misses;
    const std::uint64_t address =
        (state_.interrupt_table & IRTA_IRTA::kMask) + std::uint64_t{index} * 16;
    if (!read_pair(address, irte.low, irte.high, work)) {
        irte = {};
        return FaultReason::irte_access;
    }
    if (!IRTE_P::test(irte.low)) return FaultReason::irte_not_present;
    if (irte_has_reserved_bits(irte)) return FaultReason::irte_reserved;
    irtes_.insert({index}, irte);
    return FaultReason::none;
}

bool VtdUnit::irte_has_reserved_bits(const Irte& irte) const {
    if (IRTE_RESERVED_14_12::test(irte.low) || IRTE_IM::test(irte.low) ||
        IRTE_RESERVED_31_24::test(irte.low) || IRTE_RESERVED_HIGH::test(irte.high))
        return true;
    const std::uint64_t mode = IRTE_DLM::get(irte.low);
    if (mode == static_cast<std::uint64_t>(apic::DeliveryMode::reserved) ||
        mode == static_cast<std::uint64_t>(apic::DeliveryMode::startup))
        return true;
    // Outside of extended interrupt mode the destination is in bits 47:40 alone.
    return !IRTA_EIME::test(state_.interrupt_table) &&
           (irte.low & IRTE_DST::kMask & ~IRTE_DST_XAPIC::kMask) != 0;
}

/// Source validation (9.9, fields SVT, SQ and SID).
bool VtdUnit::source_is_valid(const Irte& irte, SourceId source) {
    const auto expected = static_cast<SourceId>(IRTE_SID::get(irte.high));
    switch (IRTE_SVT::get(irte.high)) {
        case 0:
            return true;
        case 1: {
            // SQ leaves out function bits: none, 2, 2:1 or 2:0.
            constexpr SourceId kIgnored[] = {0, 0b100, 0b110, 0b111};
            const SourceId ignored = kIgnored[IRTE_SQ::get(irte.high)];
            return ((source ^ expected) & ~ignored) == 0;
        }
        case 2:
            return source >> 8 >= expected >> 8 && source >> 8 <= (expected & 0xff);
        default:
            return false;
    }
}

VtdUnit::FaultReason VtdUnit::remap(SourceId source, apic::MsiMessage request, std::uint32_t& index,
                                    bool& processing_disabled, InterruptResult& result) {
    const bool extended = IRTA_EIME::test(state_.interrupt_table);
    if (!REQUEST_FORMAT::test(request.address)) {
        // 5.1.4: compatibility requests pass only with CFIS, and never in extended mode.
        if (extended || !status(CFI::kMask)) return FaultReason::compatibility_blocked;
        result.message = apic::decode_msi(request);
        result.work.cache_hit = true;
        return FaultReason::none;
    }
    // Without a subhandle the data is ignored, reserved bits included (5.1.2.2).
    const bool has_subhandle = REQUEST_SHV::test(request.address);
    if (has_subhandle && REQUEST_DATA_RESERVED::test(request.data))
        return FaultReason::request_reserved;
    index = static_cast<std::uint32_t>(REQUEST_HANDLE_LOW::get(request.address) |
                                       REQUEST_HANDLE_15::get(request.address) << 15);
    if (has_subhandle) index += static_cast<std::uint32_t>(REQUEST_SUBHANDLE::get(request.data));
    if (index >= std::uint32_t{2} << IRTA_S::get(state_.interrupt_table))
        return FaultReason::index_too_large;

    // 5.1.4: the entry itself is checked first, who may use it afterwards.
    Irte irte;
    FaultReason fault = find_irte(index, irte, result.work);
    processing_disabled = IRTE_FPD::test(irte.low);
    if (fault != FaultReason::none) return fault;
    if (!source_is_valid(irte, source)) return FaultReason::source_rejected;

    apic::InterruptMessage message;
    message.destination = static_cast<std::uint32_t>(extended ? IRTE_DST::get(irte.low)
                                                              : IRTE_DST_XAPIC::get(irte.low));
    message.width = extended ? apic::DestinationWidth::x2apic : apic::DestinationWidth::xapic;
    message.destination_mode =
        IRTE_DM::test(irte.low) ? apic::DestinationMode::logical : apic::DestinationMode::physical;
    message.delivery_mode = static_cast<apic::DeliveryMode>(IRTE_DLM::get(irte.low));
    message.vector = static_cast<std::uint8_t>(IRTE_V::get(irte.low));
    message.trigger = IRTE_TM::test(irte.low) ? apic::TriggerMode::level : apic::TriggerMode::edge;
    message.redirection_hint = IRTE_RH::test(irte.low);
    result.message = message;
    return FaultReason::none;
}

InterruptResult VtdUnit::remap_interrupt(SourceId source, apic::MsiMessage request, sim::Time now) {
    InterruptResult result;
    ++counters_.interrupts;
    if (!status(IRE::kMask)) {
        // 5.1.4: every request is one in compatibility format, whatever its format bit says.
        request.address = REQUEST_FORMAT::set(request.address, 0);
        result.message = apic::decode_msi(request);
        result.work.cache_hit = true;
        return result;
    }
    std::uint32_t index = 0;
    bool processing_disabled = false;
    const FaultReason fault = remap(source, request, index, processing_disabled, result);
    if (fault == FaultReason::none) return result;

    result.fault_reason = static_cast<std::uint8_t>(fault);
    ++counters_.interrupt_faults;
    if (recorder_ != nullptr)
        recorder_->record(sim::EventKind::kInterruptRemapFault, now, {}, source, index,
                          result.fault_reason);
    if (is_qualified(fault) && processing_disabled) return result;
    FaultRecord record;
    record.low = FRCD_FI_INDEX::set(record.low, index);
    record.high = FRCD_SID::set(record.high, source);
    record.high = FRCD_FR::set(record.high, result.fault_reason);
    log_fault(record, now);
    return result;
}

void VtdUnit::write_msi(apic::MsiMessage message, apic::InterruptSource source, sim::Time now) {
    const InterruptResult result = remap_interrupt(static_cast<SourceId>(source.id), message, now);
    if (result.message) fabric_.send(*result.message, source, now);
}

}  // namespace hvsim::iommu::vtd
