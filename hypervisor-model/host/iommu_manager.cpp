#include "hypervisor-model/host/iommu_manager.h"

#include <algorithm>

#include "iommu/dma_remapper.h"
#include "iommu/vtd/spec/descriptors.h"
#include "iommu/vtd/spec/tables.h"
#include "sim/error.h"

namespace hvsim::hv {
namespace {

namespace spec = iommu::vtd::spec;
using spec::Register;

constexpr const spec::RegisterRow& row_of(Register reg) {
    return spec::kRegisterTable[static_cast<std::size_t>(reg)];
}
constexpr std::uint32_t bits(std::uint64_t mask) {
    return static_cast<std::uint32_t>(mask);
}
constexpr std::uint64_t descriptor(spec::DescriptorType type) {
    return static_cast<std::uint64_t>(type);
}
constexpr std::uint64_t number(spec::Granularity granularity) {
    return static_cast<std::uint64_t>(granularity);
}

constexpr std::uint16_t kRootDomain = 1;
constexpr std::uint64_t kAddressWidth48 = 2;  // context entry AW: four levels (9.3)
constexpr std::uint64_t kFourLevels = 4;      // CAP.SAGAW, 11.4.2
constexpr std::uint64_t kEntrySize = 16;      // root, context, remapping entries, descriptors
constexpr std::uint64_t kQueueEntries = sim::kPageSize / kEntrySize;
constexpr std::uint64_t kInterruptEntries = sim::kPageSize / kEntrySize;
constexpr std::uint64_t kInterruptTableSize = 7;  // IRTA.S: 2^(S+1) entries
static_assert(kInterruptEntries == 2 << kInterruptTableSize);
constexpr std::uint64_t kLargestRegion = std::uint64_t{1} << (30 - sim::kPageShift);  // pages

}  // namespace

/// Pages for the second-level table, from the hypervisor's own.
class IommuManager::TablePages final : public mmu::TablePageAllocator {
  public:
    explicit TablePages(MemoryPool& pool) : pool_(pool) {}
    std::optional<std::uint64_t> allocate() override {
        const auto page = pool_.allocate();
        if (!page) return std::nullopt;
        return *page << sim::kPageShift;
    }
    void release(std::uint64_t page) override { pool_.release(sim::page_of(page)); }

  private:
    MemoryPool& pool_;
};

IommuManager::IommuManager(sim::Ram& ram, MemoryPool& pool, IommuRegisters& registers)
    : ram_(ram),
      registers_(registers),
      table_pages_(std::make_unique<TablePages>(pool)),
      context_tables_(256) {
    check_capabilities();
    const std::uint64_t sizes = spec::CAP_SSLPS::get(read_register(Register::cap));
    if (sim::bit(sizes, 0)) largest_page_ = mmu::SlatPageSize::size_2m;
    if (sim::bit(sizes, 0) && sim::bit(sizes, 1)) largest_page_ = mmu::SlatPageSize::size_1g;
    mmu::EptOptions options;
    options.accessed_dirty = false;
    options.pages_1g = largest_page_ == mmu::SlatPageSize::size_1g;
    domain_ = mmu::make_ept_table(ram_, *table_pages_, options);
    if (domain_ == nullptr)
        throw sim::ConfigError("the hypervisor has no memory for the IOMMU's tables",
                               "raise the number of reserved pages");
    root_table_ = take_page();
    interrupt_table_ = take_page();
    queue_ = take_page();
    status_ = take_page();
}

IommuManager::~IommuManager() = default;

void IommuManager::check_capabilities() const {
    const std::uint64_t cap = registers_.read(row_of(Register::cap).offset, 8);
    const std::uint64_t ecap = registers_.read(row_of(Register::ecap).offset, 8);
    if ((spec::CAP_SAGAW::get(cap) & kFourLevels) == 0 || !spec::ECAP_QI::test(ecap) ||
        !spec::ECAP_IR::test(ecap))
        throw sim::ConfigError("the hypervisor cannot use the host's IOMMU",
                               "it needs 48-bit guest addresses, queued invalidation and "
                               "interrupt remapping");
}

std::uint64_t IommuManager::take_page() {
    const auto page = table_pages_->allocate();
    if (!page)
        throw sim::ConfigError("the hypervisor has no memory for the IOMMU's tables",
                               "raise the number of reserved pages");
    return *page;
}

std::uint64_t IommuManager::second_level_root() const {
    return domain_->root_pointer() & spec::CONTEXT_SSPTPTR::kMask;
}

std::uint64_t IommuManager::read_register(Register reg) {
    return registers_.read(row_of(reg).offset, row_of(reg).width);
}
void IommuManager::write_register(Register reg, std::uint64_t value) {
    registers_.write(row_of(reg).offset, row_of(reg).width, value);
}

/// One command at a time, until GSTS shows it (11.4.4.1).
void IommuManager::command(std::uint32_t wanted) {
    write_register(Register::gcmd, enabled_ | wanted);
    SIM_ASSERT((read_register(Register::gsts) & wanted) == wanted);
}

// --- the root partition's domain ---

/// Maps what the table pages suffice for, by regions of at most 1 GiB.
void IommuManager::map(std::uint64_t page, std::uint64_t count) {
    const std::uint64_t end = page + count;
    while (page != end) {
        const std::uint64_t region_end = page - page % kLargestRegion + kLargestRegion;
        const std::uint64_t part = std::min(end, region_end) - page;
        const std::uint64_t address = page << sim::kPageShift;
        const mmu::SlatStatus status =
            domain_->map_range(address, address, part << sim::kPageShift, largest_page_,
                               {true, true, false, false}, mmu::ept::MemoryType::uncacheable);
        if (status == mmu::SlatStatus::ok) {
            mapped_.insert(page, part);
        } else {
            SIM_ASSERT(status == mmu::SlatStatus::out_of_table_pages);
            // What was mapped lies within the part: no large page has to be split for this.
            SIM_ASSERT(domain_->unmap(address, part << sim::kPageShift) == mmu::SlatStatus::ok);
        }
        page += part;
    }
}

/// Lost pages leave for certain: where splitting a large page lacks memory, all of it leaves.
void IommuManager::unmap(std::uint64_t page, std::uint64_t count) {
    mmu::SlatStatus status = domain_->unmap(page << sim::kPageShift, count << sim::kPageShift);
    if (status == mmu::SlatStatus::out_of_table_pages) {
        const std::uint64_t end = page + count + kLargestRegion - 1;
        page -= page % kLargestRegion;
        count = end - end % kLargestRegion - page;
        status = domain_->unmap(page << sim::kPageShift, count << sim::kPageShift);
    }
    SIM_ASSERT(status == mmu::SlatStatus::ok);
    mapped_.erase(page, count);
}

void IommuManager::update(const PageRuns& memory) {
    if (memory.runs() == mapped_.runs()) return;
    PageRuns lost = mapped_;
    for (const auto& [page, count] : memory.runs()) lost.erase(page, count);
    for (const auto& [page, count] : lost.runs()) unmap(page, count);
    PageRuns gained = memory;  // and what had to leave with the lost pages
    for (const auto& [page, count] : mapped_.runs()) gained.erase(page, count);
    for (const auto& [page, count] : gained.runs()) map(page, count);
    withheld_ = memory.pages() - mapped_.pages();
    if (lost.pages() != 0) invalidate_domain();
}

void IommuManager::launch(const PageRuns& memory) {
    for (const auto& [page, count] : memory.runs()) map(page, count);
    withheld_ = memory.pages() - mapped_.pages();
    write_register(Register::rtaddr, root_table_);
    command(bits(spec::SRTP::kMask));
    write_register(Register::iqa, queue_);
    write_register(Register::iqt, 0);
    command(bits(spec::QIE::kMask));
    enabled_ |= bits(spec::QIE::kMask);
    invalidate_all();
    write_register(Register::irta, interrupt_table_ | kInterruptTableSize);
    command(bits(spec::SIRTP::kMask));
    invalidate_interrupt_entries();
    command(bits(spec::IRE::kMask));
    enabled_ |= bits(spec::IRE::kMask);
    command(bits(spec::TE::kMask));
    enabled_ |= bits(spec::TE::kMask);
}

void IommuManager::attach_device(std::uint16_t requester) {
    const unsigned bus = requester >> 8;
    if (context_tables_[bus] == 0) {
        context_tables_[bus] = take_page();
        ram_.write(root_table_ + kEntrySize * bus, context_tables_[bus] | spec::ROOT_P::kMask);
    }
    std::uint64_t low = spec::CONTEXT_P::kMask | second_level_root();
    low =
        spec::CONTEXT_TT::set(low, static_cast<std::uint64_t>(spec::TranslationType::untranslated));
    const std::uint64_t high = spec::CONTEXT_DID::set(
        spec::CONTEXT_AW::set(std::uint64_t{0}, kAddressWidth48), kRootDomain);
    const std::uint64_t entry = context_tables_[bus] + kEntrySize * (requester & 0xff);
    ram_.write(entry + 8, high);
    ram_.write(entry, low);  // with P: last
    invalidate_domain();
}

// --- interrupts ---

void IommuManager::write_interrupt_entry(std::uint16_t index, std::uint16_t requester,
                                         std::uint32_t destination, std::uint8_t vector) {
    // DEVIATION: extended interrupt mode (IRTA.EIME) is not used, so destinations have 8 bits.
    constexpr std::uint32_t kMostDestination = 0xfe;
    if (destination > kMostDestination)
        throw sim::ConfigError("a device's interrupt cannot reach this processor's APIC id",
                               "keep APIC ids below 255");
    std::uint64_t low = spec::IRTE_P::kMask;
    low = spec::IRTE_V::set(low, vector);
    low = spec::IRTE_DST_XAPIC::set(low, destination);
    // SVT 1, SQ 0: the whole requester id must match (9.9).
    std::uint64_t high = spec::IRTE_SID::set(std::uint64_t{0}, requester);
    high = spec::IRTE_SVT::set(high, 1);
    const std::uint64_t entry = interrupt_table_ + kEntrySize * index;
    ram_.write(entry + 8, high);
    ram_.write(entry, low);
    std::uint64_t low_descriptor = descriptor(spec::DescriptorType::interrupt_entry_cache);
    low_descriptor = spec::IEC_G::set(low_descriptor, 1);
    submit(spec::IEC_IIDX::set(low_descriptor, index), 0);
    wait_for_queue();
}

apic::MsiMessage IommuManager::allocate_interrupt(std::uint16_t requester,
                                                  std::uint32_t destination, std::uint8_t vector) {
    if (next_interrupt_ == kInterruptEntries)
        throw sim::ConfigError("the interrupt remapping table has no entry left",
                               "have fewer devices or interrupts");
    const std::uint16_t index = next_interrupt_;
    write_interrupt_entry(index, requester, destination, vector);
    ++next_interrupt_;
    std::uint64_t address = iommu::kInterruptRangeFirst | spec::REQUEST_FORMAT::kMask;
    address = spec::REQUEST_HANDLE_LOW::set(address, index);
    return {address, 0};
}

void IommuManager::retarget_interrupt(const apic::MsiMessage& message, std::uint32_t destination,
                                      std::uint8_t vector) {
    const auto index = static_cast<std::uint16_t>(spec::REQUEST_HANDLE_LOW::get(message.address));
    SIM_ASSERT(index < next_interrupt_);
    std::uint64_t high = 0;
    ram_.read(interrupt_table_ + kEntrySize * index + 8, high);
    write_interrupt_entry(index, static_cast<std::uint16_t>(spec::IRTE_SID::get(high)), destination,
                          vector);
}

// --- faults ---

void IommuManager::set_fault_interrupt(const apic::MsiMessage& message) {
    write_register(Register::fedata, message.data);
    write_register(Register::feaddr, message.address & 0xffff'ffff);
    write_register(Register::feuaddr, message.address >> 32);
    write_register(Register::fectl, 0);  // unmasked
}

std::vector<IommuFault> IommuManager::take_faults() {
    ++fault_interrupts_;
    std::vector<IommuFault> taken;
    const std::uint64_t cap = read_register(Register::cap);
    const auto records = static_cast<std::uint32_t>(spec::CAP_NFR::get(cap)) + 1;
    const auto first = static_cast<std::uint32_t>(spec::CAP_FRO::get(cap)) * 16;
    std::uint64_t status = read_register(Register::fsts);
    SIM_ASSERT(!spec::FSTS_IQE::test(status));  // the queue is the hypervisor's own
    if (spec::FSTS_PPF::test(status)) {
        // The unit fills the records in turn, from FRI on.
        std::uint32_t index = static_cast<std::uint32_t>(spec::FSTS_FRI::get(status));
        for (std::uint32_t i = 0; i < records; ++i, index = (index + 1) % records) {
            const std::uint32_t record = first + 16 * index;
            const std::uint64_t high = registers_.read(record + 8, 8);
            if (!spec::FRCD_F::test(high)) continue;
            const std::uint64_t low = registers_.read(record, 8);
            registers_.write(record + 8, 8, spec::FRCD_F::kMask);
            IommuFault fault;
            fault.requester = static_cast<std::uint16_t>(spec::FRCD_SID::get(high));
            fault.reason = static_cast<std::uint8_t>(spec::FRCD_FR::get(high));
            // 5.1.4.1: the reasons of interrupt requests.
            fault.interrupt =
                fault.reason >= static_cast<std::uint8_t>(spec::FaultReason::request_reserved) &&
                fault.reason <= static_cast<std::uint8_t>(spec::FaultReason::source_rejected);
            fault.read = !fault.interrupt && spec::FRCD_T1::test(high);
            fault.address = fault.interrupt ? spec::FRCD_FI_INDEX::get(low)
                                            : low & spec::FRCD_FI_ADDRESS::kMask;
            taken.push_back(fault);
            taken_.push_back(fault);
            if (taken_.size() > kKeptFaults) taken_.pop_front();
        }
    }
    if (spec::FSTS_PFO::test(status)) {
        ++fault_overflows_;
        write_register(Register::fsts, spec::FSTS_PFO::kMask);
    }
    faults_ += taken.size();
    return taken;
}

// --- queued invalidation (6.5.2) ---

void IommuManager::submit(std::uint64_t low, std::uint64_t high) {
    ram_.write(queue_ + kEntrySize * tail_, low);
    ram_.write(queue_ + kEntrySize * tail_ + 8, high);
    tail_ = (tail_ + 1) % kQueueEntries;
    ++invalidations_;
}

/// A wait descriptor that writes its status behind all before it.
void IommuManager::wait_for_queue() {
    ++wait_value_;
    std::uint64_t low = descriptor(spec::DescriptorType::wait) | spec::WAIT_SW::kMask;
    low = spec::WAIT_STATUS_DATA::set(low, wait_value_);
    submit(low, status_);
    write_register(Register::iqt, tail_ * kEntrySize);
    std::uint32_t written = 0;
    ram_.read(status_, written);
    SIM_ASSERT(written == wait_value_);
}

void IommuManager::invalidate_all() {
    submit(spec::CC_G::set(descriptor(spec::DescriptorType::context_cache),
                           number(spec::Granularity::global)),
           0);
    submit(spec::IOTLB_DESC_G::set(descriptor(spec::DescriptorType::iotlb),
                                   number(spec::Granularity::global)),
           0);
    wait_for_queue();
}

void IommuManager::invalidate_domain() {
    std::uint64_t contexts = descriptor(spec::DescriptorType::context_cache);
    contexts = spec::CC_G::set(contexts, number(spec::Granularity::domain));
    submit(spec::CC_DID::set(contexts, kRootDomain), 0);
    std::uint64_t iotlb = descriptor(spec::DescriptorType::iotlb);
    iotlb = spec::IOTLB_DESC_G::set(iotlb, number(spec::Granularity::domain));
    submit(spec::IOTLB_DESC_DID::set(iotlb, kRootDomain), 0);
    wait_for_queue();
}

void IommuManager::invalidate_interrupt_entries() {
    submit(descriptor(spec::DescriptorType::interrupt_entry_cache), 0);
    wait_for_queue();
}

void IommuManager::collect(sim::StatisticsSink& sink) const {
    sink.add("iommu_manager.pages", mapped_.pages(), "count", "Pages that the root's DMA reaches");
    sink.add("iommu_manager.withheld_pages", withheld_, "count",
             "Pages of the root that its DMA does not reach for want of table pages");
    sink.add("iommu_manager.interrupts", next_interrupt_, "count",
             "Interrupt remapping entries in use");
    sink.add("iommu_manager.invalidations", invalidations_, "count",
             "Descriptors of the invalidation queue");
    sink.add("iommu_manager.fault_interrupts", fault_interrupts_, "count",
             "Fault interrupts of the IOMMU taken");
    sink.add("iommu_manager.faults", faults_, "count", "Faults taken from the fault records");
    sink.add("iommu_manager.fault_overflows", fault_overflows_, "count",
             "Times that faults were lost because all records were full");
}

}  // namespace hvsim::hv
