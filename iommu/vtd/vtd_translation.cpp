// DMA remapping in legacy mode (VT-d 3.4, 3.7, 9.1, 9.3, 9.8).
#include <algorithm>

#include "iommu/vtd/vtd_unit.h"

namespace hvsim::iommu::vtd {

using namespace spec;

namespace {

constexpr std::uint64_t low_bits(unsigned count) noexcept {
    return (std::uint64_t{1} << count) - 1;
}
/// Page sizes that the IOTLB keeps, as shifts.
constexpr std::uint8_t kPageShifts[] = {12, 21, 30};

}  // namespace

bool VtdUnit::read_pair(std::uint64_t address, std::uint64_t& low, std::uint64_t& high,
                        RemapWork& work) {
    ++work.memory_references;
    ++counters_.memory_references;
    if (!ram_.contains(address, 16)) return false;
    ram_.read(address, low);
    ram_.read(address + 8, high);
    return true;
}

VtdUnit::FaultReason VtdUnit::find_context(SourceId source, ContextEntry& context,
                                           RemapWork& work) {
    if (const ContextEntry* const cached = contexts_.find({source})) {
        context = *cached;
        work.context_hit = true;
        ++counters_.context_hits;
        return FaultReason::none;
    }
    ++counters_.context_misses;
    // RTADDR.TTM: legacy mode only.
    if (RTADDR_TTM::get(state_.root_table) != 0) return FaultReason::table_mode_reserved;
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    const std::uint64_t bus = source >> 8;
    if (!read_pair((state_.root_table & RTADDR_RTA::kMask) + bus * 16, low, high, work))
        return FaultReason::root_access;
    if (!ROOT_P::test(low)) return FaultReason::root_not_present;
    if (ROOT_RESERVED::test(low) || high != 0 || (low & above_host_width()) != 0)
        return FaultReason::root_reserved;
    const std::uint64_t function = source & 0xff;
    if (!read_pair((low & ROOT_CTP::kMask) + function * 16, context.low, context.high, work)) {
        context = {};
        return FaultReason::context_access;
    }
    if (!CONTEXT_P::test(context.low)) return FaultReason::context_not_present;
    if (CONTEXT_RESERVED_LOW::test(context.low) || (context.low & above_host_width()) != 0 ||
        CONTEXT_RESERVED_7::test(context.high) || CONTEXT_RESERVED_HIGH::test(context.high))
        return FaultReason::context_reserved;
    return FaultReason::none;
}

VtdUnit::FaultReason VtdUnit::check_context(const ContextEntry& context, AddressType type) const {
    const std::uint64_t width = CONTEXT_AW::get(context.high);
    switch (static_cast<TranslationType>(CONTEXT_TT::get(context.low))) {
        case TranslationType::untranslated:
            if (!(width == 1 && config_.three_level) && !(width == 2 && config_.four_level))
                return FaultReason::context_invalid;
            break;
        case TranslationType::pass_through:
            // 9.3: AW holds the largest width that the unit supports.
            if (!config_.pass_through || width != (config_.four_level ? 2u : 1u))
                return FaultReason::context_invalid;
            break;
        case TranslationType::device_tlb:  // needs ECAP.DT
        case TranslationType::reserved:
            return FaultReason::context_invalid;
    }
    return type == AddressType::untranslated ? FaultReason::none : FaultReason::translation_blocked;
}

bool VtdUnit::find_in_iotlb(std::uint16_t domain, std::uint64_t address, bool is_write,
                            Walk& found) {
    for (const std::uint8_t shift : kPageShifts) {
        const IotlbEntry* const entry = iotlb_.find({address >> shift, domain, shift});
        if (entry == nullptr) continue;
        // Rights that do not suffice are looked up again: memory may allow more by now (6.2.3.1).
        if (is_write ? !entry->write : !entry->read) return false;
        found.shift = shift;
        found.entry = *entry;
        return true;
    }
    return false;
}

VtdUnit::Walk VtdUnit::walk(const ContextEntry& context, std::uint64_t address, bool is_write,
                            RemapWork& work) {
    Walk out;
    out.entry.read = out.entry.write = true;
    std::uint64_t table = context.low & CONTEXT_SSPTPTR::kMask;
    for (unsigned level = static_cast<unsigned>(CONTEXT_AW::get(context.high)) + 2;; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        std::uint64_t entry = 0;
        ++work.memory_references;
        ++counters_.memory_references;
        if (!ram_.read(table + ((address >> shift) & low_bits(9)) * 8, entry)) {
            out.fault = FaultReason::paging_access;
            return out;
        }
        const bool leaf = level == 1 || SS_PS::test(entry);
        if (SS_R::test(entry) || SS_W::test(entry)) {
            std::uint64_t reserved = (above_host_width() & SS_ADDRESS::kMask) | SS_TM::kMask;
            if (level > 1 && leaf) {
                if (level == 2 && config_.pages_2m)
                    reserved |= SS_RESERVED_2M::kMask;
                else if (level == 3 && config_.pages_1g)
                    reserved |= SS_RESERVED_1G::kMask;
                else
                    reserved |= SS_PS::kMask;
            }
            if ((entry & reserved) != 0) {
                out.fault = FaultReason::paging_reserved;
                return out;
            }
        }
        out.entry.read = out.entry.read && SS_R::test(entry);
        out.entry.write = out.entry.write && SS_W::test(entry);
        if (is_write ? !out.entry.write : !out.entry.read) {
            out.fault = is_write ? FaultReason::write_denied : FaultReason::read_denied;
            return out;
        }
        if (leaf) {
            out.shift = static_cast<std::uint8_t>(shift);
            out.entry.base = entry & SS_ADDRESS::kMask & ~low_bits(shift);
            return out;
        }
        table = entry & SS_ADDRESS::kMask;
    }
}

VtdUnit::FaultReason VtdUnit::find_mapping(const DmaRequest& request, const ContextEntry& context,
                                           Walk& found, RemapWork& work, sim::Time now) {
    if (static_cast<TranslationType>(CONTEXT_TT::get(context.low)) ==
        TranslationType::pass_through) {
        found.entry.base = request.address & ~low_bits(found.shift);
        work.cache_hit = true;
        return (request.address & above_host_width()) != 0 ? FaultReason::address_too_wide
                                                           : FaultReason::none;
    }
    const unsigned width = 30 + 9 * static_cast<unsigned>(CONTEXT_AW::get(context.high));
    const auto domain = static_cast<std::uint16_t>(CONTEXT_DID::get(context.high));
    if ((request.address >> width) != 0) return FaultReason::address_too_wide;
    if (find_in_iotlb(domain, request.address, request.is_write, found)) {
        work.cache_hit = true;
        ++counters_.iotlb_hits;
    } else {
        ++counters_.iotlb_misses;
        if (recorder_ != nullptr && recorder_->wants_walks())
            recorder_->record(sim::EventKind::kIotlbMiss, now, {}, request.source, request.address);
        found = walk(context, request.address, request.is_write, work);
        if (found.fault != FaultReason::none) return found.fault;
        iotlb_.insert({request.address >> found.shift, domain, found.shift}, found.entry);
    }
    // 3.14: no second-stage mapping may lead into the interrupt range.
    const std::uint64_t address = found.entry.base | (request.address & low_bits(found.shift));
    return is_interrupt_address(address) ? FaultReason::interrupt_range : FaultReason::none;
}

DmaResult VtdUnit::translate(const DmaRequest& request, sim::Time now) {
    DmaResult result;
    const std::uint64_t size = std::max<std::uint64_t>(request.size, 1);
    ++counters_.translations;
    if (!status(TE::kMask)) {
        result.allowed = true;
        result.address = request.address;
        result.length = size;
        result.work.cache_hit = true;
        return result;
    }
    ContextEntry context;
    Walk found;
    FaultReason fault = find_context(request.source, context, result.work);
    if (fault == FaultReason::none) {
        fault = check_context(context, request.type);
        if (fault == FaultReason::none && !result.work.context_hit)
            contexts_.insert({request.source}, context);
    }
    if (fault == FaultReason::none) fault = find_mapping(request, context, found, result.work, now);
    if (fault != FaultReason::none) {
        result.fault_reason = static_cast<std::uint8_t>(fault);
        report_dma_fault(request, fault, CONTEXT_FPD::test(context.low), now);
        return result;
    }
    result.allowed = true;
    result.address = found.entry.base | (request.address & low_bits(found.shift));
    // No further than this 4 KiB page: the rest of a large page may be in the interrupt range.
    result.length = std::min(size, sim::kPageSize - (request.address & low_bits(12)));
    return result;
}

void VtdUnit::report_dma_fault(const DmaRequest& request, FaultReason fault,
                               bool processing_disabled, sim::Time now) {
    const auto reason = static_cast<std::uint8_t>(fault);
    ++counters_.dma_faults;
    if (recorder_ != nullptr)
        recorder_->record(sim::EventKind::kDmaFault, now, {}, request.source, request.address,
                          reason, request.is_write);
    if (is_qualified(fault) && processing_disabled) return;
    FaultRecord record;
    record.low = request.address & FRCD_FI_ADDRESS::kMask;
    record.high = FRCD_SID::set(record.high, request.source);
    record.high = FRCD_FR::set(record.high, reason);
    record.high = FRCD_AT::set(record.high, static_cast<std::uint64_t>(request.type));
    record.high = FRCD_T1::set(record.high, request.is_write ? 0 : 1);
    log_fault(record, now);
}

}  // namespace hvsim::iommu::vtd
