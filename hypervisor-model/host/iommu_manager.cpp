#include "hypervisor-model/host/iommu_manager.h"

#include "iommu/vtd/spec/descriptors.h"
#include "iommu/vtd/spec/registers.h"
#include "iommu/vtd/spec/tables.h"
#include "sim/error.h"

namespace hvsim::hv {
namespace {

namespace spec = iommu::vtd::spec;

constexpr std::uint32_t offset_of(spec::Register reg) {
    return spec::kRegisterTable[static_cast<std::size_t>(reg)].offset;
}

// GCMD (10.4.4): bit 31 TE, 30 SRTP, 26 QIE, 25 IRE, 24 SIRTP.
constexpr std::uint32_t kTranslationEnable = 1u << 31, kSetRootTable = 1u << 30,
                        kQueuedInvalidation = 1u << 26, kInterruptRemapping = 1u << 25,
                        kSetInterruptTable = 1u << 24;
constexpr std::uint16_t kRootDomain = 1;
constexpr std::uint64_t kAddressWidth48 = 2;  // context entry AW: four levels (9.3)
constexpr std::uint64_t kQueueEntries = 256;  // one page of 16-byte descriptors
constexpr std::uint64_t kInterruptEntries = 256;
constexpr std::uint64_t kInterruptTableSize = 7;  // IRTA.S: 2^(S+1) entries

}  // namespace

/// Pages for the second-level table, from the hypervisor's own.
class IommuManager::TablePages final : public mmu::TablePageAllocator {
  public:
    TablePages(sim::Ram& ram, MemoryPool& pool) : ram_(ram), pool_(pool) {}
    std::optional<std::uint64_t> allocate() override {
        const auto page = pool_.allocate();
        if (!page) return std::nullopt;
        ram_.fill(*page << sim::kPageShift, sim::kPageSize, 0);
        return *page << sim::kPageShift;
    }
    void release(std::uint64_t page) override { pool_.release(sim::page_of(page)); }

  private:
    sim::Ram& ram_;
    MemoryPool& pool_;
};

IommuManager::IommuManager(sim::Ram& ram, MemoryPool& pool, IommuRegisters& registers)
    : ram_(ram), pool_(pool), registers_(registers),
      table_pages_(std::make_unique<TablePages>(ram, pool)), context_tables_(256) {
    mmu::EptOptions options;
    options.accessed_dirty = false;
    domain_ = mmu::make_ept_table(ram_, *table_pages_, options);
    SIM_ASSERT(domain_ != nullptr);
    root_table_ = take_page();
    interrupt_table_ = take_page();
    queue_ = take_page();
    status_ = take_page();
}

IommuManager::~IommuManager() = default;

std::uint64_t IommuManager::take_page() {
    const auto page = table_pages_->allocate();
    SIM_ASSERT(page.has_value());
    return *page;
}

std::uint64_t IommuManager::second_level_root() const {
    return domain_->root_pointer() & ~std::uint64_t{0xfff};
}

/// One command at a time, until GSTS shows it (10.4.4).
void IommuManager::command(std::uint32_t bits) {
    registers_.write(offset_of(spec::Register::gcmd), 4, enabled_ | bits);
    const auto status =
        static_cast<std::uint32_t>(registers_.read(offset_of(spec::Register::gsts), 4));
    SIM_ASSERT((status & bits) == bits);
}

void IommuManager::map(std::uint64_t page, std::uint64_t count) {
    const mmu::SlatStatus status = domain_->map_range(
        page << sim::kPageShift, page << sim::kPageShift, count << sim::kPageShift,
        mmu::SlatPageSize::size_1g, {true, true, false, false}, mmu::ept::MemoryType::uncacheable);
    SIM_ASSERT(status == mmu::SlatStatus::ok);
}

void IommuManager::unmap(std::uint64_t page, std::uint64_t count) {
    const mmu::SlatStatus status =
        domain_->unmap(page << sim::kPageShift, count << sim::kPageShift);
    SIM_ASSERT(status == mmu::SlatStatus::ok);
}

void IommuManager::launch(const PageRuns& memory) {
    for (const auto& [page, count] : memory.runs()) map(page, count);
    mapped_ = memory;
    registers_.write(offset_of(spec::Register::rtaddr), 8, root_table_);
    command(kSetRootTable);
    registers_.write(offset_of(spec::Register::iqa), 8, queue_);
    registers_.write(offset_of(spec::Register::iqt), 8, 0);
    command(kQueuedInvalidation);
    enabled_ |= kQueuedInvalidation;
    invalidate_domain();
    registers_.write(offset_of(spec::Register::irta), 8, interrupt_table_ | kInterruptTableSize);
    command(kSetInterruptTable);
    invalidate_interrupt_entries();
    command(kInterruptRemapping);
    enabled_ |= kInterruptRemapping;
    command(kTranslationEnable);
    enabled_ |= kTranslationEnable;
}

void IommuManager::attach_device(std::uint16_t requester) {
    const unsigned bus = requester >> 8;
    if (context_tables_[bus] == 0) {
        context_tables_[bus] = take_page();
        ram_.write(root_table_ + 16 * bus, context_tables_[bus] | spec::ROOT_P::kMask);
    }
    std::uint64_t low = spec::CONTEXT_P::kMask | second_level_root();
    low = spec::CONTEXT_TT::set(
        low, static_cast<std::uint64_t>(spec::TranslationType::untranslated));
    const std::uint64_t high =
        spec::CONTEXT_DID::set(spec::CONTEXT_AW::set(std::uint64_t{0}, kAddressWidth48),
                               kRootDomain);
    const std::uint64_t entry = context_tables_[bus] + 16 * (requester & 0xff);
    ram_.write(entry + 8, high);
    ram_.write(entry, low);
    invalidate_domain();
}

void IommuManager::update(const PageRuns& memory) {
    if (memory.runs() == mapped_.runs()) return;
    PageRuns lost = mapped_, gained = memory;
    for (const auto& [page, count] : memory.runs()) lost.erase(page, count);
    for (const auto& [page, count] : mapped_.runs()) gained.erase(page, count);
    for (const auto& [page, count] : lost.runs()) unmap(page, count);
    for (const auto& [page, count] : gained.runs()) map(page, count);
    mapped_ = memory;
    invalidate_domain();
}

apic::MsiMessage IommuManager::allocate_interrupt(std::uint16_t requester,
                                                  std::uint32_t destination, std::uint8_t vector) {
    SIM_ASSERT(next_interrupt_ < kInterruptEntries);
    const std::uint16_t index = next_interrupt_++;
    std::uint64_t low = spec::IRTE_P::kMask;
    low = spec::IRTE_V::set(low, vector);
    low = spec::IRTE_DST_XAPIC::set(low, destination);
    // SVT 1: the whole requester id must match (9.10).
    std::uint64_t high = spec::IRTE_SID::set(std::uint64_t{0}, requester);
    high = spec::IRTE_SVT::set(high, 1);
    ram_.write(interrupt_table_ + 16 * index + 8, high);
    ram_.write(interrupt_table_ + 16 * index, low);
    invalidate_interrupt_entries();
    constexpr std::uint64_t kInterruptRange = 0xfee00000;
    std::uint64_t address = kInterruptRange | spec::REQUEST_FORMAT::kMask;
    address = spec::REQUEST_HANDLE_LOW::set(address, index & 0x7fff);
    address = spec::REQUEST_HANDLE_15::set(address, index >> 15);
    return {address, 0};
}

void IommuManager::set_fault_interrupt(const apic::MsiMessage& message) {
    registers_.write(offset_of(spec::Register::fedata), 4, message.data);
    registers_.write(offset_of(spec::Register::feaddr), 4, message.address & 0xffffffff);
    registers_.write(offset_of(spec::Register::feuaddr), 4, message.address >> 32);
    registers_.write(offset_of(spec::Register::fectl), 4, 0);  // unmasked
}

unsigned IommuManager::take_faults() {
    constexpr std::uint64_t kFault = std::uint64_t{1} << 63;
    unsigned taken = 0;
    const std::uint64_t cap = registers_.read(offset_of(spec::Register::cap), 8);
    const auto records = static_cast<unsigned>(spec::CAP_NFR::get(cap)) + 1;
    for (unsigned i = 0; i < records; ++i) {
        const std::uint32_t record = spec::kFaultRecordOffset + 16 * i;
        if (!(registers_.read(record + 8, 8) & kFault)) continue;
        registers_.write(record + 8, 8, kFault);
        ++taken;
    }
    registers_.write(offset_of(spec::Register::fsts), 4, 1);  // PFO
    faults_ += taken;
    return taken;
}

// --- queued invalidation (6.5.2) ---

void IommuManager::submit(std::uint64_t low, std::uint64_t high) {
    ram_.write(queue_ + 16 * tail_, low);
    ram_.write(queue_ + 16 * tail_ + 8, high);
    tail_ = (tail_ + 1) % kQueueEntries;
    ++invalidations_;
}

/// A wait descriptor that writes its status behind all before it.
void IommuManager::wait_for_queue() {
    ++wait_value_;
    std::uint64_t low = static_cast<std::uint64_t>(spec::DescriptorType::wait);
    low |= spec::WAIT_SW::kMask;
    low = spec::WAIT_STATUS_DATA::set(low, wait_value_);
    submit(low, status_);
    registers_.write(offset_of(spec::Register::iqt), 8, tail_ * 16);
    std::uint32_t written = 0;
    ram_.read(status_, written);
    SIM_ASSERT(written == wait_value_);
}

void IommuManager::invalidate_domain() {
    constexpr std::uint64_t kGlobal = 1;
    submit(spec::CC_G::set(static_cast<std::uint64_t>(spec::DescriptorType::context_cache),
                           kGlobal),
           0);
    submit(spec::IOTLB_DESC_G::set(static_cast<std::uint64_t>(spec::DescriptorType::iotlb),
                                   kGlobal),
           0);
    wait_for_queue();
}

void IommuManager::invalidate_interrupt_entries() {
    submit(static_cast<std::uint64_t>(spec::DescriptorType::interrupt_entry_cache), 0);
    wait_for_queue();
}

void IommuManager::collect(sim::StatisticsSink& sink) const {
    sink.add("iommu_manager.pages", mapped_.pages(), "count", "Pages that the root's DMA reaches");
    sink.add("iommu_manager.interrupts", next_interrupt_, "count",
             "Interrupt remapping entries in use");
    sink.add("iommu_manager.invalidations", invalidations_, "count",
             "Descriptors of the invalidation queue");
    sink.add("iommu_manager.faults", faults_, "count", "Faults taken from the fault records");
}

}  // namespace hvsim::hv
