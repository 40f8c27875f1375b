#include "hypervisor-model/gpa_space.h"

#include <algorithm>
#include <utility>

#include "sim/error.h"

namespace hvsim::hv {
namespace {

mmu::SlatRights slat_rights(const GpaRights& rights) {
    return {rights.read, rights.write, rights.execute, rights.execute};
}
mmu::ept::MemoryType memory_type(bool cached) {
    return cached ? mmu::ept::MemoryType::write_back : mmu::ept::MemoryType::uncacheable;
}
HvStatus status_of(mmu::SlatStatus status) {
    switch (status) {
        case mmu::SlatStatus::ok:
            return HvStatus::success;
        case mmu::SlatStatus::out_of_table_pages:
            return HvStatus::insufficient_memory;
        case mmu::SlatStatus::misaligned:
        case mmu::SlatStatus::address_too_wide:
        case mmu::SlatStatus::unsupported_rights:
            break;
    }
    return HvStatus::invalid_parameter;
}
bool allows(const GpaRights& rights, GpaAccess access) {
    switch (access) {
        case GpaAccess::read:
            return rights.read;
        case GpaAccess::write:
            return rights.write;
        case GpaAccess::execute:
            return rights.execute;
    }
    return false;
}
bool restricts(const GpaPage& before, const std::optional<GpaPage>& after) {
    return !after || before.system_page != after->system_page || before.cached != after->cached ||
           (before.rights.read && !after->rights.read) ||
           (before.rights.write && !after->rights.write) ||
           (before.rights.execute && !after->rights.execute);
}

}  // namespace

/// Table pages from the partition's pool. A few are kept aside for overlays: a guest that enables
/// one by an MSR has nobody to deposit memory and to try again for it.
class GpaSpace::TablePages final : public mmu::TablePageAllocator {
  public:
    explicit TablePages(MemoryPool& pool) : pool_(pool) {}
    ~TablePages() override {
        for (const std::uint64_t page : reserve_) pool_.release(sim::page_of(page));
    }
    bool fill_reserve() {
        while (reserve_.size() < kReserve) {
            const std::optional<std::uint64_t> page = pool_.allocate();
            if (!page) return false;
            reserve_.push_back(*page << sim::kPageShift);
        }
        return true;
    }
    void use_reserve(bool use) noexcept { use_reserve_ = use; }

    std::optional<std::uint64_t> allocate() override {
        if (const std::optional<std::uint64_t> page = pool_.allocate())
            return *page << sim::kPageShift;
        if (!use_reserve_ || reserve_.empty()) return std::nullopt;
        const std::uint64_t page = reserve_.back();
        reserve_.pop_back();
        return page;
    }
    void release(std::uint64_t page) override { pool_.release(sim::page_of(page)); }

  private:
    static constexpr std::size_t kReserve = 4;
    MemoryPool& pool_;
    std::vector<std::uint64_t> reserve_;
    bool use_reserve_ = false;
};

GpaSpace::GpaSpace(sim::Ram& ram, MemoryPool& pool, SlatFormat format, unsigned width)
    : ram_(ram),
      pool_(pool),
      format_(format),
      width_(width),
      limit_page_(std::uint64_t{1} << (std::min(width, 48u) - sim::kPageShift)) {}

GpaSpace::~GpaSpace() = default;

bool GpaSpace::initialize() {
    SIM_ASSERT(!table_);
    auto pages = std::make_unique<TablePages>(pool_);
    if (!pages->fill_reserve()) return false;
    std::unique_ptr<mmu::SlatTable> table =
        format_ == SlatFormat::ept ? mmu::make_ept_table(ram_, *pages, {.maxphyaddr = width_})
                                   : mmu::make_npt_table(ram_, *pages, {.maxphyaddr = width_});
    if (!table) return false;
    pages_ = std::move(pages);
    table_ = std::move(table);
    return true;
}

void GpaSpace::clear() {
    overlays_.clear();
    table_.reset();
    pages_.reset();
    mapped_.clear();
    changed(true);
}

std::uint64_t GpaSpace::root() const {
    SIM_ASSERT(table_);
    return table_->root_pointer();
}

void GpaSpace::changed(bool restrictive) {
    ++generation_;
    if (restrictive && listener_ != nullptr) listener_->gpa_space_changed();
}

std::optional<GpaPage> GpaSpace::lookup_table(std::uint64_t page_number) const {
    if (!table_ || page_number >= limit_page_) return std::nullopt;
    const auto found = table_->lookup(page_number << sim::kPageShift);
    if (!found) return std::nullopt;
    return GpaPage{sim::page_of(found->system_physical),
                   {found->rights.read, found->rights.write, found->rights.execute},
                   found->memory_type == mmu::ept::MemoryType::write_back};
}

HvStatus GpaSpace::set_table(std::uint64_t page_number, const std::optional<GpaPage>& page) {
    if (!table_) return HvStatus::invalid_partition_state;
    const std::optional<GpaPage> before = lookup_table(page_number);
    const std::uint64_t gpa = page_number << sim::kPageShift;
    const mmu::SlatStatus status =
        page ? table_->map(gpa, page->system_page << sim::kPageShift, mmu::SlatPageSize::size_4k,
                           slat_rights(page->rights), memory_type(page->cached))
             : table_->unmap(gpa, sim::kPageSize);
    if (status == mmu::SlatStatus::ok) changed(before && restricts(*before, page));
    return status_of(status);
}

HvStatus GpaSpace::map(std::uint64_t page_number, const GpaPage& page) {
    if (page_number >= limit_page_) return HvStatus::invalid_parameter;
    if (const auto overlay = overlays_.find(page_number); overlay != overlays_.end()) {
        overlay->second.below = page;
        mapped_.insert(page_number, 1);
        return HvStatus::success;
    }
    const HvStatus status = set_table(page_number, page);
    if (status == HvStatus::success) mapped_.insert(page_number, 1);
    return status;
}

bool GpaSpace::overlays_within(std::uint64_t page_number, std::uint64_t count) const {
    const auto first = overlays_.lower_bound(page_number);
    return first != overlays_.end() && first->first - page_number < count;
}

HvStatus GpaSpace::map_large(std::uint64_t page_number, const GpaPage& page) {
    constexpr std::uint64_t kPages = 512;
    if (((page_number | page.system_page) & (kPages - 1)) != 0 || page_number >= limit_page_)
        return HvStatus::invalid_parameter;
    if (overlays_within(page_number, kPages)) {
        // The region has its table of small pages already, so these need no memory.
        for (std::uint64_t i = 0; i < kPages; ++i) {
            GpaPage small = page;
            small.system_page += i;
            const HvStatus status = map(page_number + i, small);
            if (status != HvStatus::success) return status;
        }
        return HvStatus::success;
    }
    return map_range(page_number, page, kPages);
}

HvStatus GpaSpace::map_range(std::uint64_t page_number, const GpaPage& first, std::uint64_t count) {
    SIM_ASSERT(!overlays_within(page_number, count));
    if (!table_) return HvStatus::invalid_partition_state;
    if (page_number >= limit_page_ || count > limit_page_ - page_number)
        return HvStatus::invalid_parameter;
    const std::uint64_t mapped_before = mapped_.pages();
    const mmu::SlatStatus status =
        table_->map_range(page_number << sim::kPageShift, first.system_page << sim::kPageShift,
                          count << sim::kPageShift, mmu::SlatPageSize::size_1g,
                          slat_rights(first.rights), memory_type(first.cached));
    if (status != mmu::SlatStatus::ok) return status_of(status);
    mapped_.insert(page_number, count);
    changed(mapped_.pages() - mapped_before != count);
    return HvStatus::success;
}

HvStatus GpaSpace::unmap(std::uint64_t page_number) {
    if (page_number >= limit_page_) return HvStatus::invalid_parameter;
    if (const auto overlay = overlays_.find(page_number); overlay != overlays_.end()) {
        overlay->second.below.reset();
        mapped_.erase(page_number, 1);
        return HvStatus::success;
    }
    if (!lookup_table(page_number)) return HvStatus::success;
    mapped_.erase(page_number, 1);  // before the listener looks at it
    const HvStatus status = set_table(page_number, std::nullopt);
    if (status != HvStatus::success) mapped_.insert(page_number, 1);
    return status;
}

std::optional<GpaPage> GpaSpace::mapping(std::uint64_t page_number) const {
    if (const auto overlay = overlays_.find(page_number); overlay != overlays_.end())
        return overlay->second.below;
    return lookup_table(page_number);
}

std::optional<GpaPage> GpaSpace::visible(std::uint64_t page_number) const {
    if (page_number >= limit_page_) return std::nullopt;
    CacheEntry& entry = cache_[page_number % kCacheSize];
    if (entry.generation == generation_ && entry.page_number == page_number) return entry.page;
    const std::optional<GpaPage> page = lookup_table(page_number);
    if (page) entry = {generation_, page_number, *page};
    return page;
}

HvStatus GpaSpace::add_overlay(std::uint64_t page_number, std::uint64_t system_page,
                               GpaRights rights) {
    if (page_number >= limit_page_) return HvStatus::invalid_parameter;
    if (!table_) return HvStatus::invalid_partition_state;
    const GpaPage page{system_page, rights, true};
    const auto existing = overlays_.find(page_number);
    std::optional<GpaPage> below =
        existing == overlays_.end() ? lookup_table(page_number) : existing->second.below;
    pages_->use_reserve(true);
    const HvStatus status = set_table(page_number, page);
    pages_->use_reserve(false);
    pages_->fill_reserve();
    if (status != HvStatus::success) return status;
    Overlay& overlay = overlays_[page_number];
    overlay.below = below;
    overlay.stack.push_back(page);
    return HvStatus::success;
}

void GpaSpace::remove_overlay(std::uint64_t page_number, std::uint64_t system_page) {
    const auto found = overlays_.find(page_number);
    if (found == overlays_.end()) return;
    std::vector<GpaPage>& stack = found->second.stack;
    std::erase_if(stack, [&](const GpaPage& page) { return page.system_page == system_page; });
    const std::optional<GpaPage> next =
        stack.empty() ? found->second.below : std::optional(stack.back());
    // The page has its own table entry since the overlay was added: no memory is needed.
    SIM_ASSERT(set_table(page_number, next) == HvStatus::success);
    if (stack.empty()) overlays_.erase(found);
}

GpaResult GpaSpace::resolve(std::uint64_t gpa, GpaAccess access, std::uint64_t& system) const {
    const std::optional<GpaPage> page = visible(sim::page_of(gpa));
    if (!page) return {GpaResult::Code::unmapped, gpa};
    if (!allows(page->rights, access)) return {GpaResult::Code::denied, gpa};
    system = (page->system_page << sim::kPageShift) | (gpa & (sim::kPageSize - 1));
    if (!ram_.contains(system, 1)) return {GpaResult::Code::not_memory, gpa};
    return {};
}

GpaResult GpaSpace::read(std::uint64_t gpa, std::span<std::uint8_t> out) const {
    while (!out.empty()) {
        const std::uint64_t in_page = sim::kPageSize - (gpa & (sim::kPageSize - 1));
        const std::size_t length =
            static_cast<std::size_t>(std::min<std::uint64_t>(in_page, out.size()));
        std::uint64_t system = 0;
        if (const GpaResult result = resolve(gpa, GpaAccess::read, system); !result.ok())
            return result;
        ram_.read_bytes(system, out.first(length));
        out = out.subspan(length);
        gpa += length;
    }
    return {};
}

GpaResult GpaSpace::write(std::uint64_t gpa, std::span<const std::uint8_t> in) {
    while (!in.empty()) {
        const std::uint64_t in_page = sim::kPageSize - (gpa & (sim::kPageSize - 1));
        const std::size_t length =
            static_cast<std::size_t>(std::min<std::uint64_t>(in_page, in.size()));
        std::uint64_t system = 0;
        if (const GpaResult result = resolve(gpa, GpaAccess::write, system); !result.ok())
            return result;
        ram_.write_bytes(system, in.first(length));
        in = in.subspan(length);
        gpa += length;
    }
    return {};
}

GpaResult GpaSpace::probe(std::uint64_t gpa, std::uint64_t length, GpaAccess access) const {
    for (std::uint64_t done = 0; done < length;) {
        std::uint64_t system = 0;
        if (const GpaResult result = resolve(gpa + done, access, system); !result.ok())
            return result;
        done += sim::kPageSize - ((gpa + done) & (sim::kPageSize - 1));
    }
    return {};
}

}  // namespace hvsim::hv
