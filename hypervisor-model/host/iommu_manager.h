#pragma once
// The hypervisor's ownership of the VT-d unit: DMA of a device reaches only what the partition that
// has the device was given; its interrupts only what was allocated to it. Root, context and second-
// level tables, invalidation queue and interrupt remapping table lie in simulated memory, the unit
// is programmed through its registers. Source: VT-d architecture specification 4.1.
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "apic/interrupt_message.h"
#include "hypervisor-model/memory_pool.h"
#include "hypervisor-model/page_runs.h"
#include "iommu/vtd/spec/registers.h"
#include "mmu/slat_table.h"
#include "sim/ram.h"
#include "sim/statistics.h"

namespace hvsim::hv {

/// The unit's register page on the bus.
class IommuRegisters {
  public:
    virtual ~IommuRegisters() = default;
    virtual std::uint64_t read(std::uint32_t offset, unsigned size) = 0;
    virtual void write(std::uint32_t offset, unsigned size, std::uint64_t value) = 0;
};

/// What was refused.
enum class IommuRequest : std::uint8_t { write, read, interrupt };

/// What a fault recording register said (11.4.7.6).
struct IommuFault {
    std::uint16_t requester = 0;
    std::uint8_t reason = 0;    ///< spec::FaultReason
    bool interrupt = false;     ///< an interrupt request: `address` is its index
    bool read = false;          ///< DMA only
    std::uint64_t address = 0;  ///< DMA: of the page
    bool operator==(const IommuFault&) const = default;
};

class IommuManager final : public sim::StatisticsSource {
  public:
    /// `pool`: of the root partition, whose pages are the hypervisor's own. ConfigError: it has too
    /// few, or the unit lacks what the hypervisor needs.
    IommuManager(sim::Ram& ram, MemoryPool& pool, IommuRegisters& registers);
    ~IommuManager() override;

    /// Builds the tables for devices of the root partition, which was given `memory`, and switches
    /// translation, queued invalidation and interrupt remapping on.
    void launch(const PageRuns& memory);
    /// The device's DMA goes through the root partition's domain. ConfigError: no page for tables.
    void attach_device(std::uint16_t requester);
    /// The root partition's memory has changed: pages that it lost have left the domain and the
    /// IOTLB on return, pages that it gained are in. Where there is no page for the tables that
    /// this takes, more than was lost leaves the domain, and comes back with a later update: see
    /// withheld_pages().
    void update(const PageRuns& memory);
    /// Pages that the root has and its devices do not reach, for want of table pages.
    std::uint64_t withheld_pages() const noexcept { return withheld_; }
    /// An interrupt of the device: an entry that sends `vector` to the APIC id `destination`, as
    /// MSI address and data in the remappable format (5.1.2.2). ConfigError: no entry is left, or
    /// the destination is wider than 8 bits.
    apic::MsiMessage allocate_interrupt(std::uint16_t requester, std::uint32_t destination,
                                        std::uint8_t vector);
    /// An allocated interrupt goes elsewhere from now on; the device's message stays as it is.
    void retarget_interrupt(const apic::MsiMessage& message, std::uint32_t destination,
                            std::uint8_t vector);
    /// Where the unit reports faults (FEADDR, FEDATA).
    void set_fault_interrupt(const apic::MsiMessage& message);
    /// The fault interrupt's handler: takes and clears the fault records, oldest first, so that the
    /// next fault interrupts again (7.3).
    std::vector<IommuFault> take_faults();
    /// The newest faults taken, oldest first, at most kKeptFaults.
    static constexpr std::size_t kKeptFaults = 32;
    const std::deque<IommuFault>& faults() const noexcept { return taken_; }

    std::uint64_t root_table() const noexcept { return root_table_; }
    std::uint64_t interrupt_table() const noexcept { return interrupt_table_; }
    std::uint64_t second_level_root() const;
    void collect(sim::StatisticsSink& sink) const override;

    /// Queued invalidation of everything cached for the root's domain, or of all interrupt entries;
    /// each returns when the unit has done it.
    void invalidate_domain();
    void invalidate_interrupt_entries();

  private:
    class TablePages;
    std::uint64_t take_page();
    void command(std::uint32_t bits);
    void submit(std::uint64_t low, std::uint64_t high);
    void wait_for_queue();
    void check_capabilities() const;
    void invalidate_all();
    void map(std::uint64_t page, std::uint64_t count);
    void unmap(std::uint64_t page, std::uint64_t count);
    void write_interrupt_entry(std::uint16_t index, std::uint16_t requester,
                               std::uint32_t destination, std::uint8_t vector);
    std::uint64_t read_register(iommu::vtd::spec::Register reg);
    void write_register(iommu::vtd::spec::Register reg, std::uint64_t value);

    sim::Ram& ram_;
    IommuRegisters& registers_;
    std::unique_ptr<TablePages> table_pages_;
    std::unique_ptr<mmu::SlatTable> domain_;
    PageRuns mapped_;  // what the second-level table maps
    mmu::SlatPageSize largest_page_ = mmu::SlatPageSize::size_4k;
    std::vector<std::uint64_t> context_tables_;  // by bus
    std::uint64_t root_table_ = 0, interrupt_table_ = 0, queue_ = 0, status_ = 0;
    std::uint64_t tail_ = 0;
    std::uint32_t enabled_ = 0;  // GCMD as written, without its one-shot bits
    std::uint16_t next_interrupt_ = 0;
    std::uint32_t wait_value_ = 0;
    std::uint64_t withheld_ = 0;
    std::deque<IommuFault> taken_;
    std::uint64_t invalidations_ = 0, fault_interrupts_ = 0, faults_ = 0, fault_overflows_ = 0;
};

}  // namespace hvsim::hv
