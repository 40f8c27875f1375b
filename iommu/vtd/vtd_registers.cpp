// The register page: dispatch from the table, global commands.
#include <fmt/format.h>

#include <bit>

#include "iommu/vtd/vtd_unit.h"
#include "sim/error.h"

namespace hvsim::iommu::vtd {

using namespace spec;

namespace {

/// Architecture version in VER: legacy mode units report 1.0.
constexpr std::uint64_t kVersion = 0x10;
/// CAP.MAMV: page-selective invalidations reach up to 1 GiB.
constexpr std::uint64_t kMaximumAddressMask = 18;
constexpr std::uint64_t kMaximumHandleMask = 15;

const RegisterRow* find_row(std::uint64_t offset) {
    for (const RegisterRow& row : kRegisterTable)
        if (offset >= row.offset && offset - row.offset < row.width) return &row;
    return nullptr;
}

void check_cache(CacheSize size, std::string_view name) {
    if (size.ways == 0 || !std::has_single_bit(size.sets))
        throw sim::ConfigError(
            fmt::format("IOMMU: {} has {} sets of {} ways", name, size.sets, size.ways),
            "sets are a power of two, ways at least 1");
}

const VtdConfig& checked(const VtdConfig& config) {
    if (config.host_address_width < 32 || config.host_address_width > 52)
        throw sim::ConfigError(fmt::format("IOMMU: host address width of {} bits is impossible",
                                           config.host_address_width),
                               "use 32 to 52");
    if (!config.three_level && !config.four_level)
        throw sim::ConfigError("IOMMU: no second-stage table depth is supported",
                               "enable 3 or 4 levels");
    if (config.fault_records == 0 || config.fault_records > kMaximumFaultRecords)
        throw sim::ConfigError(
            fmt::format("IOMMU: {} fault records are impossible", config.fault_records),
            fmt::format("use 1 to {}", kMaximumFaultRecords));
    check_cache(config.iotlb, "IOTLB");
    check_cache(config.context_cache, "context cache");
    check_cache(config.interrupt_entry_cache, "interrupt entry cache");
    return config;
}

}  // namespace

VtdUnit::VtdUnit(const VtdConfig& config, sim::Ram& ram, apic::InterruptFabric& fabric,
                 sim::Recorder* recorder)
    : config_(checked(config)),
      ram_(ram),
      fabric_(fabric),
      recorder_(recorder),
      contexts_(config.context_cache),
      iotlb_(config.iotlb),
      irtes_(config.interrupt_entry_cache) {
    reset();
}

void VtdUnit::reset() {
    state_ = {};
    state_.records.resize(config_.fault_records);
    for (const RegisterRow& row : kRegisterTable) reg(row.reg) = row.reset;
    reg(Register::ver) = kVersion;
    reg(Register::cap) = capability();
    reg(Register::ecap) = extended_capability();
    flush_caches();
}

void VtdUnit::restore(const VtdState& state) {
    SIM_ASSERT(state.records.size() == config_.fault_records);
    state_ = state;
    flush_caches();
}

void VtdUnit::flush_caches() {
    contexts_.invalidate_all();
    iotlb_.invalidate_all();
    irtes_.invalidate_all();
}

std::uint64_t VtdUnit::capability() const {
    std::uint64_t cap = 0;
    cap = CAP_ND::set(cap, 6);  // 64 Ki domains
    cap = CAP_SAGAW::set(cap, (config_.three_level ? 2 : 0) | (config_.four_level ? 4 : 0));
    cap = CAP_MGAW::set(cap, (config_.four_level ? 48 : 39) - 1);
    cap = CAP_FRO::set(cap, kFaultRecordOffset / 16);
    cap = CAP_SSLPS::set(cap, (config_.pages_2m ? 1 : 0) | (config_.pages_1g ? 2 : 0));
    cap = CAP_PSI::set(cap, 1);
    cap = CAP_NFR::set(cap, config_.fault_records - 1);
    cap = CAP_MAMV::set(cap, kMaximumAddressMask);
    cap = CAP_DWD::set(cap, 1);
    return CAP_DRD::set(cap, 1);
}

std::uint64_t VtdUnit::extended_capability() const {
    std::uint64_t ecap = 0;
    ecap = ECAP_C::set(ecap, 1);
    ecap = ECAP_QI::set(ecap, 1);
    ecap = ECAP_IR::set(ecap, 1);
    ecap = ECAP_EIM::set(ecap, config_.extended_interrupts ? 1 : 0);
    ecap = ECAP_PT::set(ecap, config_.pass_through ? 1 : 0);
    ecap = ECAP_SC::set(ecap, 1);
    ecap = ECAP_IRO::set(ecap, kIotlbOffset / 16);
    return ECAP_MHMV::set(ecap, kMaximumHandleMask);
}

std::uint64_t VtdUnit::read_row(const RegisterRow& row) const {
    if (row.access == Access::write_only) return 0;
    return row.reg == Register::fsts ? fault_status() : reg(row.reg);
}

std::uint64_t VtdUnit::read_register(std::uint64_t offset, unsigned size) const {
    if (size == 8 && offset % 8 == 0)
        return read_register(offset, 4) | read_register(offset + 4, 4) << 32;
    if (size != 4 || offset % 4 != 0) return 0;
    if (offset >= kFaultRecordOffset && offset < kFaultRecordOffset + 16 * state_.records.size()) {
        const FaultRecord& record = state_.records[(offset - kFaultRecordOffset) / 16];
        const std::uint64_t quad = offset % 16 < 8 ? record.low : record.high;
        return offset % 8 < 4 ? quad & 0xffff'ffff : quad >> 32;
    }
    const RegisterRow* const row = find_row(offset);
    if (row == nullptr) return 0;
    return read_row(*row) >> (offset - row->offset) * 8 & 0xffff'ffff;
}

std::uint64_t VtdUnit::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                      sim::Time now) {
    const std::uint64_t before = counters_.invalidations;
    if ((size != 4 && size != 8) || offset % size != 0) return 0;
    if (offset >= kFaultRecordOffset && offset < kFaultRecordOffset + 16 * state_.records.size()) {
        write_fault_record(offset, value, size);
        return 0;
    }
    const RegisterRow* const row = find_row(offset);
    if (size == 8 && row != nullptr && row->offset == offset && row->width == 8) {
        write_row(*row, value, ~std::uint64_t{0}, now);
    } else {
        write_dword(offset, static_cast<std::uint32_t>(value), now);
        if (size == 8) write_dword(offset + 4, static_cast<std::uint32_t>(value >> 32), now);
    }
    return counters_.invalidations - before;
}

void VtdUnit::write_dword(std::uint64_t offset, std::uint32_t value, sim::Time now) {
    const RegisterRow* const row = find_row(offset);
    if (row == nullptr) return;
    const unsigned shift = static_cast<unsigned>(offset - row->offset) * 8;
    write_row(*row, std::uint64_t{value} << shift, std::uint64_t{0xffff'ffff} << shift, now);
}

void VtdUnit::write_row(const RegisterRow& row, std::uint64_t value, std::uint64_t mask,
                        sim::Time now) {
    // With the queue running its base is in use (11.4.9.3): the write is ignored.
    if (row.reg == Register::iqa && status(QIE::kMask)) return;
    const std::uint64_t writable = row.writable & mask;
    std::uint64_t& current = reg(row.reg);
    switch (row.access) {
        case Access::read_only:
            return;
        case Access::write_1_clear:
            current &= ~(value & writable);
            break;
        case Access::read_write:
        case Access::write_only:
            current = (current & ~writable) | (value & writable);
            break;
    }
    act_on_write(row, value, mask, now);
}

void VtdUnit::act_on_write(const RegisterRow& row, std::uint64_t value, std::uint64_t mask,
                           sim::Time now) {
    switch (row.reg) {
        case Register::gcmd:
            global_command(value, now);
            break;
        case Register::ccmd:
            if (CCMD_ICC::test(value & mask)) context_command();
            break;
        case Register::iotlb:
            if (IOTLB_IVT::test(value & mask)) iotlb_command();
            break;
        case Register::iqt:
            process_queue(now);
            break;
        case Register::fsts:
            if (!FSTS_IQE::test(reg(Register::fsts))) reg(Register::iqercd) = 0;
            after_faults_cleared();
            process_queue(now);  // goes on where it stopped (6.5.2.10)
            break;
        case Register::ics:
            if (reg(Register::ics) == 0) reg(Register::iectl) &= ~ECTL_IP::kMask;
            break;
        case Register::fectl:
        case Register::iectl:
            if (!ECTL_IM::test(reg(row.reg)) && ECTL_IP::test(reg(row.reg)))
                send_event(row.reg, now);
            break;
        default:
            break;
    }
}

void VtdUnit::global_command(std::uint64_t value, sim::Time now) {
    constexpr std::uint64_t kSwitches = TE::kMask | QIE::kMask | IRE::kMask | CFI::kMask;
    constexpr std::uint64_t kShots = SRTP::kMask | SIRTP::kMask | WBF::kMask;
    const std::uint64_t changed = (value ^ reg(Register::gsts)) & kSwitches;
    // Software changes one field a write (11.4.4.1). DEVIATION: where it changes several, which the
    // specification leaves undefined, pointers are set first, then the switches follow.
    if (std::popcount(changed | (value & kShots)) > 1) ++counters_.undefined_commands;
    std::uint64_t& gsts = reg(Register::gsts);
    if (SRTP::test(value)) {
        state_.root_table = reg(Register::rtaddr);
        gsts |= SRTP::kMask;
    }
    if (SIRTP::test(value)) {
        state_.interrupt_table = reg(Register::irta);
        gsts |= SIRTP::kMask;
    }
    gsts = (gsts & ~kSwitches) | (value & kSwitches);
    if (!QIE::test(changed)) return;
    if (QIE::test(value))
        process_queue(now);
    else
        reg(Register::iqh) = 0;  // 11.4.9.1
}

void VtdUnit::write_fault_record(std::uint64_t offset, std::uint64_t value, unsigned size) {
    FaultRecord& record = state_.records[(offset - kFaultRecordOffset) / 16];
    const bool high_dword = size == 4 && offset % 16 == 12 && sim::bit(value, 31);
    const bool high_quad = size == 8 && offset % 16 == 8 && FRCD_F::test(value);
    if (high_dword || high_quad) record.high &= ~FRCD_F::kMask;
    after_faults_cleared();
}

void VtdUnit::collect(sim::StatisticsSink& sink) const {
    const VtdCounters& c = counters_;
    sink.add("iommu.translations", c.translations, "count", "DMA requests, one per page");
    sink.add("iommu.iotlb_hits", c.iotlb_hits, "count", "translations found in the IOTLB");
    sink.add("iommu.iotlb_misses", c.iotlb_misses, "count", "translations that walked the tables");
    sink.add("iommu.context_hits", c.context_hits, "count", "context entries found in the cache");
    sink.add("iommu.context_misses", c.context_misses, "count", "context entries read from memory");
    sink.add("iommu.memory_references", c.memory_references, "count", "table entries read");
    sink.add("iommu.dma_faults", c.dma_faults, "count", "DMA requests blocked");
    sink.add("iommu.interrupts", c.interrupts, "count", "interrupt requests");
    sink.add("iommu.interrupt_entry_hits", c.interrupt_entry_hits, "count",
             "remapping entries found in the interrupt entry cache");
    sink.add("iommu.interrupt_entry_misses", c.interrupt_entry_misses, "count",
             "remapping entries read from memory");
    sink.add("iommu.interrupt_faults", c.interrupt_faults, "count", "interrupt requests blocked");
    sink.add("iommu.faults_lost", c.faults_lost, "count", "faults that found no free record");
    sink.add("iommu.invalidations", c.invalidations, "count",
             "descriptors and register commands executed");
    sink.add("iommu.undefined_commands", c.undefined_commands, "count",
             "GCMD writes that changed more than one field");
}

}  // namespace hvsim::iommu::vtd
