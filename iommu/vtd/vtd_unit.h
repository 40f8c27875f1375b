#pragma once
// A VT-d remapping unit in legacy mode. Source: Intel VT-d architecture specification 4.1.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "iommu/dma_remapper.h"
#include "iommu/translation_cache.h"
#include "iommu/vtd/spec/registers.h"
#include "iommu/vtd/spec/tables.h"
#include "sim/ram.h"
#include "sim/recorder.h"
#include "sim/statistics.h"

namespace hvsim::iommu::vtd {

struct VtdConfig {
    std::uint8_t host_address_width = 46;  ///< 32 to 52
    bool three_level = true;               ///< 39-bit guest addresses
    bool four_level = true;                ///< 48-bit guest addresses
    bool pages_2m = true;
    bool pages_1g = true;
    bool pass_through = true;
    bool extended_interrupts = true;  ///< ECAP.EIM: 32-bit destinations can be enabled
    unsigned fault_records = 8;       ///< 1 to spec::kMaximumFaultRecords
    CacheSize iotlb{64, 4};
    CacheSize context_cache{16, 4};
    CacheSize interrupt_entry_cache{64, 4};
    /// Requester id under which the unit's own fault and completion messages appear.
    std::uint32_t requester_id = 0;
};

/// One fault recording register (VT-d 11.4.7.6).
struct FaultRecord {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const FaultRecord&) const = default;
};

/// All that the unit remembers besides its caches, which a checkpoint flushes.
struct VtdState {
    std::array<std::uint64_t, spec::kRegisterTable.size()> registers{};
    std::uint64_t root_table = 0;       ///< RTADDR as latched by GCMD.SRTP
    std::uint64_t interrupt_table = 0;  ///< IRTA as latched by GCMD.SIRTP
    std::vector<FaultRecord> records;
    std::uint32_t next_record = 0;   ///< where the next fault goes
    std::uint32_t first_record = 0;  ///< FSTS.FRI: the fault that set FSTS.PPF
    bool operator==(const VtdState&) const = default;
};

/// `name` and `description` of each counter are in VtdUnit::collect().
struct VtdCounters {
    std::uint64_t translations = 0;
    std::uint64_t iotlb_hits = 0;
    std::uint64_t iotlb_misses = 0;
    std::uint64_t context_hits = 0;
    std::uint64_t context_misses = 0;
    std::uint64_t memory_references = 0;
    std::uint64_t dma_faults = 0;
    std::uint64_t interrupts = 0;
    std::uint64_t interrupt_entry_hits = 0;
    std::uint64_t interrupt_entry_misses = 0;
    std::uint64_t interrupt_faults = 0;
    std::uint64_t faults_lost = 0;
    std::uint64_t invalidations = 0;
    std::uint64_t undefined_commands = 0;
};

/// Translation follows 3.4 and 3.7, faults 7.1 to 7.3, invalidation 6.5, interrupts 5.1. A register
/// write does its work at once, invalidations included; time is the caller's to charge.
/// Tables outside of RAM are access errors, never memory.
class VtdUnit final : public DmaRemapper, public sim::StatisticsSource {
  public:
    /// `fabric` takes remapped interrupts and the unit's own messages; `recorder` may be nullptr.
    /// Throws ConfigError for widths, records or cache sizes that a unit cannot have.
    VtdUnit(const VtdConfig& config, sim::Ram& ram, apic::InterruptFabric& fabric,
            sim::Recorder* recorder);

    DmaResult translate(const DmaRequest& request, sim::Time now) override;
    InterruptResult remap_interrupt(SourceId source, apic::MsiMessage request,
                                    sim::Time now) override;
    void write_msi(apic::MsiMessage message, apic::InterruptSource source, sim::Time now) override;
    std::uint64_t read_register(std::uint64_t offset, unsigned size) const override;
    std::uint64_t write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                 sim::Time now) override;

    void reset();
    const VtdState& state() const noexcept { return state_; }
    /// Restores a state of a unit with the same configuration; caches are empty afterwards.
    void restore(const VtdState& state);
    void flush_caches();
    const VtdCounters& counters() const noexcept { return counters_; }
    void collect(sim::StatisticsSink& sink) const override;

  private:
    using Register = spec::Register;
    using FaultReason = spec::FaultReason;

    struct ContextKey {
        SourceId source = 0;
        std::uint64_t index() const noexcept { return source ^ (source >> 8); }
        bool operator==(const ContextKey&) const = default;
    };
    struct ContextEntry {
        std::uint64_t low = 0;
        std::uint64_t high = 0;
    };
    struct IotlbKey {
        std::uint64_t page = 0;  ///< address >> shift
        std::uint16_t domain = 0;
        std::uint8_t shift = 12;
        std::uint64_t index() const noexcept { return page ^ domain; }
        bool operator==(const IotlbKey&) const = default;
    };
    struct IotlbEntry {
        std::uint64_t base = 0;
        bool read = false;
        bool write = false;
    };
    struct IrteKey {
        std::uint32_t entry = 0;
        std::uint64_t index() const noexcept { return entry; }
        bool operator==(const IrteKey&) const = default;
    };
    struct Irte {
        std::uint64_t low = 0;
        std::uint64_t high = 0;
    };
    struct Walk {
        FaultReason fault = FaultReason::none;
        std::uint8_t shift = 12;
        IotlbEntry entry;
    };

    // Registers (vtd_registers.cpp).
    std::uint64_t& reg(Register r) noexcept {
        return state_.registers[static_cast<std::size_t>(r)];
    }
    std::uint64_t reg(Register r) const noexcept {
        return state_.registers[static_cast<std::size_t>(r)];
    }
    std::uint64_t capability() const;
    std::uint64_t extended_capability() const;
    std::uint64_t read_row(const spec::RegisterRow& row) const;
    void write_dword(std::uint64_t offset, std::uint32_t value, sim::Time now);
    void write_row(const spec::RegisterRow& row, std::uint64_t value, std::uint64_t mask,
                   sim::Time now);
    void act_on_write(const spec::RegisterRow& row, std::uint64_t value, std::uint64_t mask,
                      sim::Time now);
    void write_fault_record(std::uint64_t offset, std::uint64_t value, unsigned size);
    void global_command(std::uint64_t value, sim::Time now);
    bool status(std::uint64_t gsts_mask) const noexcept {
        return (reg(Register::gsts) & gsts_mask) != 0;
    }

    // Invalidation (vtd_invalidation.cpp).
    void context_command();
    void iotlb_command();
    void process_queue(sim::Time now);
    spec::QueueError execute(std::uint64_t low, std::uint64_t high, sim::Time now);
    spec::QueueError execute_wait(std::uint64_t low, std::uint64_t high, sim::Time now);
    void stop_queue(spec::QueueError error, sim::Time now);
    bool invalidate_contexts(spec::Granularity granularity, std::uint16_t domain, SourceId source,
                             unsigned function_mask);
    bool invalidate_iotlb(spec::Granularity granularity, std::uint16_t domain,
                          std::uint64_t address, unsigned address_mask);
    void invalidate_interrupt_entries(bool selective, std::uint32_t index, unsigned index_mask);

    // DMA (vtd_translation.cpp).
    FaultReason find_context(SourceId source, ContextEntry& context, RemapWork& work);
    FaultReason check_context(const ContextEntry& context, AddressType type) const;
    Walk walk(const ContextEntry& context, std::uint64_t address, bool is_write, RemapWork& work);
    bool find_in_iotlb(std::uint16_t domain, std::uint64_t address, bool is_write, Walk& found);
    FaultReason find_mapping(const DmaRequest& request, const ContextEntry& context, Walk& found,
                             RemapWork& work, sim::Time now);
    void report_dma_fault(const DmaRequest& request, FaultReason fault, bool processing_disabled,
                          sim::Time now);
    bool read_pair(std::uint64_t address, std::uint64_t& low, std::uint64_t& high, RemapWork& work);
    std::uint64_t above_host_width() const noexcept {
        return ~((std::uint64_t{1} << config_.host_address_width) - 1);
    }

    // Interrupts (vtd_interrupts.cpp).
    FaultReason remap(SourceId source, apic::MsiMessage request, std::uint32_t& index,
                      bool& processing_disabled, InterruptResult& result);
    FaultReason find_irte(std::uint32_t index, Irte& irte, RemapWork& work);
    static bool source_is_valid(const Irte& irte, SourceId source);
    bool irte_has_reserved_bits(const Irte& irte) const;

    // Faults and events (vtd_faults.cpp).
    void log_fault(FaultRecord record, sim::Time now);
    bool primary_fault_pending() const noexcept;
    std::uint64_t fault_status() const noexcept;
    void raise_event(Register control, sim::Time now);
    void send_event(Register control, sim::Time now);
    void after_faults_cleared();

    VtdConfig config_;
    sim::Ram& ram_;
    apic::InterruptFabric& fabric_;
    sim::Recorder* recorder_;
    VtdState state_;
    VtdCounters counters_;
    TranslationCache<ContextKey, ContextEntry> contexts_;
    TranslationCache<IotlbKey, IotlbEntry> iotlb_;
    TranslationCache<IrteKey, Irte> irtes_;
};

}  // namespace hvsim::iommu::vtd
