// Invalidation by registers and by the queue (VT-d 6.5).
#include "iommu/vtd/spec/descriptors.h"
#include "iommu/vtd/vtd_unit.h"

namespace hvsim::iommu::vtd {

using namespace spec;

namespace {

constexpr std::uint64_t kDescriptorSize = 16;

/// Function bits that a context-cache invalidation ignores (11.4.6.1, FM).
constexpr SourceId kFunctionMask[] = {0, 0b100, 0b110, 0b111};

}  // namespace

bool VtdUnit::invalidate_contexts(Granularity granularity, std::uint16_t domain, SourceId source,
                                  unsigned function_mask) {
    switch (granularity) {
        case Granularity::none:
            return false;
        case Granularity::global:
            contexts_.invalidate_all();
            return true;
        case Granularity::domain:
        case Granularity::selective:
            break;
    }
    const bool by_device = granularity == Granularity::selective;
    const SourceId ignored = kFunctionMask[function_mask];
    contexts_.invalidate_if([=](const ContextKey& key, const ContextEntry& entry) {
        if (CONTEXT_DID::get(entry.high) != domain) return false;
        return !by_device || ((key.source ^ source) & ~ignored) == 0;
    });
    return true;
}

bool VtdUnit::invalidate_iotlb(Granularity granularity, std::uint16_t domain, std::uint64_t address,
                               unsigned address_mask) {
    switch (granularity) {
        case Granularity::none:
            return false;
        case Granularity::global:
            iotlb_.invalidate_all();
            return true;
        case Granularity::domain:
            iotlb_.invalidate_if(
                [=](const IotlbKey& key, const IotlbEntry&) { return key.domain == domain; });
            return true;
        case Granularity::selective:
            break;
    }
    if (address_mask > CAP_MAMV::get(reg(Register::cap))) return false;
    const std::uint64_t size = std::uint64_t{1} << (12 + address_mask);
    const std::uint64_t first = address & ~(size - 1);
    const std::uint64_t last = first + (size - 1);
    iotlb_.invalidate_if([=](const IotlbKey& key, const IotlbEntry&) {
        const std::uint64_t entry_first = key.page << key.shift;
        const std::uint64_t entry_last = entry_first + ((std::uint64_t{1} << key.shift) - 1);
        return key.domain == domain && entry_first <= last && first <= entry_last;
    });
    return true;
}

void VtdUnit::invalidate_interrupt_entries(bool selective, std::uint32_t index,
                                           unsigned index_mask) {
    if (!selective) {
        irtes_.invalidate_all();
        return;
    }
    irtes_.invalidate_if([=](const IrteKey& key, const Irte&) {
        return key.entry >> index_mask == index >> index_mask;
    });
}

/// CCMD with ICC set. While the queue is enabled the register must not be used (6.5.1): such a
/// command does nothing and reports no granularity.
void VtdUnit::context_command() {
    std::uint64_t& ccmd = reg(Register::ccmd);
    const auto asked = static_cast<Granularity>(CCMD_CIRG::get(ccmd));
    const bool done = !status(QIE::kMask) &&
                      invalidate_contexts(asked, static_cast<std::uint16_t>(CCMD_DID::get(ccmd)),
                                          static_cast<SourceId>(CCMD_SID::get(ccmd)),
                                          static_cast<unsigned>(CCMD_FM::get(ccmd)));
    ++counters_.invalidations;
    ccmd = CCMD_CAIG::set(ccmd, static_cast<std::uint64_t>(done ? asked : Granularity::none));
    ccmd &= ~CCMD_ICC::kMask;
}

void VtdUnit::iotlb_command() {
    std::uint64_t& command = reg(Register::iotlb);
    const std::uint64_t iva = reg(Register::iva);
    const auto asked = static_cast<Granularity>(IOTLB_IIRG::get(command));
    const bool done =
        !status(QIE::kMask) &&
        invalidate_iotlb(asked, static_cast<std::uint16_t>(IOTLB_DID::get(command)),
                         iva & IVA_ADDR::kMask, static_cast<unsigned>(IVA_AM::get(iva)));
    ++counters_.invalidations;
    command =
        IOTLB_IAIG::set(command, static_cast<std::uint64_t>(done ? asked : Granularity::none));
    command &= ~IOTLB_IVT::kMask;
}

void VtdUnit::stop_queue(QueueError error, sim::Time now) {
    const bool had_status = fault_status() != 0;
    reg(Register::fsts) |= FSTS_IQE::kMask;
    reg(Register::iqercd) = IQERCD_IQEI::set(std::uint64_t{0}, static_cast<std::uint64_t>(error));
    if (!had_status) raise_event(Register::fectl, now);
}

void VtdUnit::process_queue(sim::Time now) {
    const std::uint64_t iqa = reg(Register::iqa);
    const std::uint64_t size = sim::kPageSize << IQA_QS::get(iqa);
    std::uint64_t& head = reg(Register::iqh);
    while (status(QIE::kMask) && !FSTS_IQE::test(reg(Register::fsts)) &&
           head != reg(Register::iqt)) {
        if (IQA_DW::test(iqa)) {  // 256-bit descriptors belong to scalable mode
            stop_queue(QueueError::invalid_width, now);
            return;
        }
        if (reg(Register::iqt) >= size) {
            stop_queue(QueueError::invalid_tail, now);
            return;
        }
        std::uint64_t low = 0;
        std::uint64_t high = 0;
        const std::uint64_t at = (iqa & IQA_IQA::kMask) + head;
        if (!ram_.contains(at, kDescriptorSize)) {
            stop_queue(QueueError::fetch_failed, now);
            return;
        }
        ram_.read(at, low);
        ram_.read(at + 8, high);
        const QueueError error = execute(low, high, now);
        if (error != QueueError::none) {
            stop_queue(error, now);  // IQH stays on the descriptor
            return;
        }
        head = (head + kDescriptorSize) % size;
    }
}

QueueError VtdUnit::execute(std::uint64_t low, std::uint64_t high, sim::Time now) {
    const std::uint8_t type = descriptor_type(low);
    const DescriptorRow* row = nullptr;
    for (const DescriptorRow& candidate : kDescriptorTable)
        if (static_cast<std::uint8_t>(candidate.type) == type) row = &candidate;
    if (row == nullptr) return QueueError::invalid_type;
    if ((low & ~row->defined_low) != 0 || (high & ~row->defined_high) != 0)
        return QueueError::reserved_field;
    ++counters_.invalidations;
    if (recorder_ != nullptr)
        recorder_->record(sim::EventKind::kIommuInvalidate, now, {}, low, high);
    bool understood = true;
    switch (row->type) {
        case DescriptorType::context_cache:
            understood = invalidate_contexts(static_cast<Granularity>(CC_G::get(low)),
                                             static_cast<std::uint16_t>(CC_DID::get(low)),
                                             static_cast<SourceId>(CC_SID::get(low)),
                                             static_cast<unsigned>(CC_FM::get(low)));
            break;
        case DescriptorType::iotlb:
            understood = invalidate_iotlb(static_cast<Granularity>(IOTLB_DESC_G::get(low)),
                                          static_cast<std::uint16_t>(IOTLB_DESC_DID::get(low)),
                                          high & IOTLB_DESC_ADDR::kMask,
                                          static_cast<unsigned>(IOTLB_DESC_AM::get(high)));
            break;
        case DescriptorType::interrupt_entry_cache:
            understood = IEC_IM::get(low) <= ECAP_MHMV::get(reg(Register::ecap));
            if (understood)
                invalidate_interrupt_entries(IEC_G::test(low),
                                             static_cast<std::uint32_t>(IEC_IIDX::get(low)),
                                             static_cast<unsigned>(IEC_IM::get(low)));
            break;
        case DescriptorType::wait:
            return execute_wait(low, high, now);
        case DescriptorType::device_tlb:
            return QueueError::invalid_type;
    }
    return understood ? QueueError::none : QueueError::reserved_field;
}

/// Everything before a wait descriptor is complete when it is reached: the queue runs in order.
QueueError VtdUnit::execute_wait(std::uint64_t low, std::uint64_t high, sim::Time now) {
    if (WAIT_SW::test(low))  // outside of RAM the write is lost
        ram_.write(high & WAIT_STATUS_ADDRESS::kMask,
                   static_cast<std::uint32_t>(WAIT_STATUS_DATA::get(low)));
    if (WAIT_IF::test(low) && reg(Register::ics) == 0) {
        reg(Register::ics) = 1;
        raise_event(Register::iectl, now);
    }
    return QueueError::none;
}

}  // namespace hvsim::iommu::vtd
