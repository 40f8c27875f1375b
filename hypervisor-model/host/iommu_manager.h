#pragma once
// The hypervisor's ownership of the VT-d unit: DMA of a device reaches only what the partition that
// has the device was given; its interrupts only what was allocated to it. Root, context and second-
// level tables, invalidation queue and interrupt remapping table lie in simulated memory, the unit
// is programmed through its registers. Source: VT-d architecture specification 4.1.
#include <cstdint>
#include <memory>
#include <vector>

#include "apic/interrupt_message.h"
#include "hypervisor-model/memory_pool.h"
#include "hypervisor-model/page_runs.h"
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

class IommuManager final : public sim::StatisticsSource {
  public:
    /// `pool`: of the root partition, whose pages are the hypervisor's own. Throws ModelError when it
    /// has too few.
    IommuManager(sim::Ram& ram, MemoryPool& pool, IommuRegisters& registers);
    ~IommuManager() override;

    /// Builds the tables for devices of the root partition, which was given `memory`, and switches
    /// translation, queued invalidation and interrupt remapping on.
    void launch(const PageRuns& memory);
    /// The device's DMA goes through the root partition's domain.
    void attach_device(std::uint16_t requester);
    /// The root partition's memory has changed: pages that it lost leave the domain, and the IOTLB.
    void update(const PageRuns& memory);
    /// An interrupt of the device: an entry that sends `vector` to `destination`, as MSI address and
    /// data in the remappable format (5.1.2.2).
    apic::MsiMessage allocate_interrupt(std::uint16_t requester, std::uint32_t destination,
                                        std::uint8_t vector);
    /// Where the unit reports faults (FEADDR, FEDATA).
    void set_fault_interrupt(const apic::MsiMessage& message);
    /// Reads and clears the fault records (7.3); how many there were.
    unsigned take_faults();

    std::uint64_t root_table() const noexcept { return root_table_; }
    std::uint64_t interrupt_table() const noexcept { return interrupt_table_; }
    std::uint64_t second_level_root() const;
    void collect(sim::StatisticsSink& sink) const override;

    /// Queued invalidation of everything cached for the root's domain, or of all interrupt entries;
    /// returns when the unit has done it.
    void invalidate_domain();
    void invalidate_interrupt_entries();

  private:
    class TablePages;
    std::uint64_t take_page();
    void command(std::uint32_t bits);
    void submit(std::uint64_t low, std::uint64_t high);
    void wait_for_queue();
    void map(std::uint64_t page, std::uint64_t count);
    void unmap(std::uint64_t page, std::uint64_t count);

    sim::Ram& ram_;
    MemoryPool& pool_;
    IommuRegisters& registers_;
    std::unique_ptr<TablePages> table_pages_;
    std::unique_ptr<mmu::SlatTable> domain_;
    PageRuns mapped_;
    std::vector<std::uint64_t> context_tables_;  // by bus
    std::uint64_t root_table_ = 0, interrupt_table_ = 0, queue_ = 0, status_ = 0;
    std::uint64_t tail_ = 0;
    std::uint32_t enabled_ = 0;  // GCMD as written, without its one-shot bits
    std::uint16_t next_interrupt_ = 0;
    std::uint32_t wait_value_ = 0;
    std::uint64_t invalidations_ = 0, faults_ = 0;
};

}  // namespace hvsim::hv
