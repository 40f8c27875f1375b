#include "mmu/slat_table.h"

#include <algorithm>

#include "mmu/spec/paging.h"
#include "sim/error.h"

namespace hvsim::mmu {
namespace {

constexpr std::uint64_t low_bits(unsigned count) noexcept {
    return (std::uint64_t{1} << count) - 1;
}
constexpr unsigned shift_of(unsigned level) noexcept {
    return 12 + 9 * (level - 1);
}

/// EPT entries. An entry whose rights are none is not present but keeps its address, and the
/// otherwise ignored bit 52 tells it from an unused one.
class EptFormat {
  public:
    explicit EptFormat(const EptOptions& options) : options_(options) {
        SIM_ASSERT(options.levels == 4 || options.levels == 5);
    }
    unsigned levels() const { return options_.levels; }
    unsigned maxphyaddr() const { return options_.maxphyaddr; }
    bool pages_1g() const { return options_.pages_1g; }

    std::uint64_t root_pointer(std::uint64_t table) const {
        std::uint64_t eptp = table;
        eptp = ept::EPTP_MEMORY_TYPE::set(eptp,
                                          static_cast<std::uint64_t>(ept::MemoryType::write_back));
        eptp = ept::EPTP_WALK_LENGTH::set(eptp, options_.levels - 1);
        return ept::EPTP_AD_ENABLE::set(eptp, options_.accessed_dirty ? 1 : 0);
    }
    bool supports(SlatRights rights) const {
        if (rights.read) return true;
        if (rights.write) return false;
        return options_.execute_only || (!rights.execute && !rights.user_execute);
    }
    static bool used(std::uint64_t entry) { return entry != 0; }
    static bool is_leaf(std::uint64_t entry, unsigned level) {
        return level == 1 || (level <= 3 && ept::PS::test(entry));
    }
    static std::uint64_t table(std::uint64_t address) {
        return address | ept::R::kMask | ept::W::kMask | ept::X::kMask | ept::XU::kMask;
    }
    static std::uint64_t leaf(std::uint64_t address, unsigned level, SlatRights rights,
                              ept::MemoryType type) {
        std::uint64_t entry = address | kUsed::kMask;
        entry = ept::MEMORY_TYPE::set(entry, static_cast<std::uint64_t>(type));
        if (level > 1) entry |= ept::PS::kMask;
        return with_rights(entry, rights);
    }
    static std::uint64_t with_rights(std::uint64_t entry, SlatRights rights) {
        entry = ept::R::set(entry, rights.read ? 1 : 0);
        entry = ept::W::set(entry, rights.write ? 1 : 0);
        entry = ept::X::set(entry, rights.execute ? 1 : 0);
        return ept::XU::set(entry, rights.user_execute ? 1 : 0);
    }
    static SlatMapping describe(std::uint64_t entry) {
        SlatMapping mapping;
        mapping.rights = {ept::R::test(entry), ept::W::test(entry), ept::X::test(entry),
                          ept::XU::test(entry)};
        mapping.memory_type = static_cast<ept::MemoryType>(ept::MEMORY_TYPE::get(entry));
        mapping.accessed = ept::A::test(entry);
        mapping.dirty = ept::D::test(entry);
        return mapping;
    }
    /// The entry of `level` - 1 that stands for the first part of the large page `entry`.
    static std::uint64_t split(std::uint64_t entry, unsigned level) {
        return level == 2 ? entry & ~ept::PS::kMask : entry;
    }
    static constexpr std::uint64_t dirty_mask() { return ept::D::kMask; }

  private:
    using kUsed = sim::Bits<52>;
    EptOptions options_;
};

/// NPT entries (long mode format). U/S is always set (APM 2 15.25.5). A mapping without rights is
/// not present, told from an unused entry by the software bit 9.
class NptFormat {
  public:
    explicit NptFormat(const NptOptions& options) : options_(options) {
        SIM_ASSERT(options.levels == 4 || options.levels == 5);
    }
    unsigned levels() const { return options_.levels; }
    unsigned maxphyaddr() const { return options_.maxphyaddr; }
    bool pages_1g() const { return options_.pages_1g; }

    static std::uint64_t root_pointer(std::uint64_t table) { return table; }
    static bool supports(SlatRights rights) {
        if (rights.execute != rights.user_execute) return false;
        return rights.read || (!rights.write && !rights.execute);
    }
    static bool used(std::uint64_t entry) { return entry != 0; }
    static bool is_leaf(std::uint64_t entry, unsigned level) {
        return level == 1 || (level <= 3 && paging::PS::test(entry));
    }
    static std::uint64_t table(std::uint64_t address) {
        return address | paging::P::kMask | paging::RW::kMask | paging::US::kMask;
    }
    static std::uint64_t leaf(std::uint64_t address, unsigned level, SlatRights rights,
                              ept::MemoryType type) {
        std::uint64_t entry = address | kUsed::kMask | paging::US::kMask;
        if (type != ept::MemoryType::write_back) entry |= cache_bits(type);
        if (level > 1) entry |= paging::PS::kMask;
        return with_rights(entry, rights);
    }
    static std::uint64_t with_rights(std::uint64_t entry, SlatRights rights) {
        entry = paging::P::set(entry, rights.read ? 1 : 0);
        entry = paging::RW::set(entry, rights.write ? 1 : 0);
        return paging::XD::set(entry, rights.execute ? 0 : 1);
    }
    static SlatMapping describe(std::uint64_t entry) {
        SlatMapping mapping;
        const bool execute = paging::P::test(entry) && !paging::XD::test(entry);
        mapping.rights = {paging::P::test(entry), paging::RW::test(entry), execute, execute};
        mapping.memory_type = memory_type(entry);
        mapping.accessed = paging::A::test(entry);
        mapping.dirty = paging::D::test(entry);
        return mapping;
    }
    static std::uint64_t split(std::uint64_t entry, unsigned level) {
        return level == 2 ? entry & ~paging::PS::kMask : entry;
    }
    static constexpr std::uint64_t dirty_mask() { return paging::D::kMask; }

  private:
    using kUsed = sim::Bits<9>;
    // With the PAT of reset PWT is write-through and PCD|PWT uncacheable (APM 2 7.8.2). It has
    // neither write-combining nor write-protected, for which the stricter of the two stands in.
    static std::uint64_t cache_bits(ept::MemoryType type) {
        const bool write_through =
            type == ept::MemoryType::write_through || type == ept::MemoryType::write_protected;
        return paging::PWT::kMask | (write_through ? 0 : paging::PCD::kMask);
    }
    static ept::MemoryType memory_type(std::uint64_t entry) {
        if (paging::PCD::test(entry)) return ept::MemoryType::uncacheable;
        return paging::PWT::test(entry) ? ept::MemoryType::write_through
                                        : ept::MemoryType::write_back;
    }
    NptOptions options_;
};

template <typename Format>
class RadixTable final : public SlatTable {
  public:
    RadixTable(sim::Ram& ram, TablePageAllocator& allocator, const Format& format,
               std::uint64_t root)
        : ram_(ram), allocator_(allocator), format_(format), root_(root), pages_(1) {
        clear_table(root_);
    }
    ~RadixTable() override {
        release_tables(root_, format_.levels());
        allocator_.release(root_);
    }

    std::uint64_t root_pointer() const noexcept override { return format_.root_pointer(root_); }
    std::uint64_t table_pages() const noexcept override { return pages_; }

    SlatStatus map(std::uint64_t gpa, std::uint64_t spa, SlatPageSize size, SlatRights rights,
                   ept::MemoryType memory_type) override {
        const unsigned shift = static_cast<unsigned>(size);
        if (((gpa | spa) & low_bits(shift)) != 0) return SlatStatus::misaligned;
        if (!fits(gpa, bytes_of(size)) || (spa >> format_.maxphyaddr()) != 0)
            return SlatStatus::address_too_wide;
        if (!format_.supports(rights)) return SlatStatus::unsupported_rights;
        const unsigned leaf_level = (shift - 12) / 9 + 1;
        if (leaf_level == 3 && !format_.pages_1g()) {
            // The same mapping in pages that the processor has.
            return map_range(gpa, spa, bytes_of(size), SlatPageSize::size_2m, rights, memory_type);
        }
        std::uint64_t table = root_;
        for (unsigned level = format_.levels(); level > leaf_level; --level) {
            const std::optional<std::uint64_t> next =
                descend(entry_address(table, gpa, level), level);
            if (!next) return SlatStatus::out_of_table_pages;
            table = *next;
        }
        const std::uint64_t at = entry_address(table, gpa, leaf_level);
        const std::uint64_t old = read(at);
        write(at, format_.leaf(spa, leaf_level, rights, memory_type));
        if (format_.used(old) && !format_.is_leaf(old, leaf_level))
            release_subtree(old, leaf_level);
        return SlatStatus::ok;
    }

    SlatStatus unmap(std::uint64_t gpa, std::uint64_t length) override {
        return change(
            gpa, length, [](std::uint64_t) { return std::uint64_t{0}; }, true);
    }
    SlatStatus protect(std::uint64_t gpa, std::uint64_t length, SlatRights rights) override {
        if (!format_.supports(rights)) return SlatStatus::unsupported_rights;
        return change(
            gpa, length,
            [rights](std::uint64_t entry) { return Format::with_rights(entry, rights); }, false);
    }

    std::optional<SlatMapping> lookup(std::uint64_t gpa) const override {
        const std::optional<Leaf> leaf = find(gpa);
        if (!leaf) return std::nullopt;
        const unsigned shift = shift_of(leaf->level);
        SlatMapping mapping = format_.describe(leaf->entry);
        mapping.size = static_cast<SlatPageSize>(shift);
        mapping.system_physical =
            (leaf->entry & paging::ADDRESS::kMask & ~low_bits(shift)) | (gpa & low_bits(shift));
        return mapping;
    }

    bool test_and_clear_dirty(std::uint64_t gpa) override {
        const std::optional<Leaf> leaf = find(gpa);
        if (!leaf || (leaf->entry & format_.dirty_mask()) == 0) return false;
        write(leaf->address, leaf->entry & ~format_.dirty_mask());
        return true;
    }

  private:
    struct Leaf {
        std::uint64_t address = 0;
        std::uint64_t entry = 0;
        unsigned level = 1;
    };

    std::uint64_t read(std::uint64_t address) const {
        std::uint64_t value = 0;
        SIM_ASSERT(ram_.read(address, value));
        return value;
    }
    void write(std::uint64_t address, std::uint64_t value) {
        SIM_ASSERT(ram_.write(address, value));
    }
    void clear_table(std::uint64_t table) { SIM_ASSERT(ram_.fill(table, sim::kPageSize, 0)); }
    static std::uint64_t entry_address(std::uint64_t table, std::uint64_t gpa, unsigned level) {
        return table + ((gpa >> shift_of(level)) & low_bits(9)) * 8;
    }
    bool fits(std::uint64_t gpa, std::uint64_t length) const {
        const unsigned width = std::min(shift_of(format_.levels()) + 9, 52u);
        return length <= (std::uint64_t{1} << width) && gpa <= (std::uint64_t{1} << width) - length;
    }

    std::optional<Leaf> find(std::uint64_t gpa) const {
        if (!fits(gpa, 1)) return std::nullopt;
        std::uint64_t table = root_;
        for (unsigned level = format_.levels();; --level) {
            const std::uint64_t at = entry_address(table, gpa, level);
            const std::uint64_t entry = read(at);
            if (!format_.used(entry)) return std::nullopt;
            if (format_.is_leaf(entry, level)) return Leaf{at, entry, level};
            table = entry & paging::ADDRESS::kMask;
        }
    }

    std::optional<std::uint64_t> new_table() {
        const std::optional<std::uint64_t> page = allocator_.allocate();
        if (page) {
            clear_table(*page);
            ++pages_;
        }
        return page;
    }

    /// The table below the entry at `at` of `level`; makes one, or splits the large page there.
    std::optional<std::uint64_t> descend(std::uint64_t at, unsigned level) {
        const std::uint64_t entry = read(at);
        if (format_.used(entry) && !format_.is_leaf(entry, level))
            return entry & paging::ADDRESS::kMask;
        const std::optional<std::uint64_t> table = new_table();
        if (!table) return std::nullopt;
        if (format_.used(entry)) {
            const std::uint64_t first = format_.split(entry, level);
            const std::uint64_t step = std::uint64_t{1} << shift_of(level - 1);
            for (std::uint64_t i = 0; i < 512; ++i) write(*table + 8 * i, first + i * step);
        }
        write(at, format_.table(*table));
        return table;
    }

    void release_tables(std::uint64_t table, unsigned level) {
        if (level == 1) return;
        for (std::uint64_t i = 0; i < 512; ++i) {
            const std::uint64_t entry = read(table + 8 * i);
            if (format_.used(entry) && !format_.is_leaf(entry, level))
                release_subtree(entry, level);
        }
    }
    void release_subtree(std::uint64_t entry, unsigned level) {
        const std::uint64_t table = entry & paging::ADDRESS::kMask;
        // Tests and fault injection change entries behind our back: such a table is not ours.
        if (!ram_.contains(table, sim::kPageSize)) return;
        release_tables(table, level - 1);
        allocator_.release(table);
        --pages_;
    }

    template <typename Edit>
    SlatStatus change(std::uint64_t gpa, std::uint64_t length, Edit edit, bool drop_tables) {
        if (((gpa | length) & low_bits(12)) != 0) return SlatStatus::misaligned;
        if (!fits(gpa, length)) return SlatStatus::address_too_wide;
        if (length == 0) return SlatStatus::ok;
        return change_table(root_, format_.levels(), gpa, gpa + length - 1, edit, drop_tables);
    }

    /// Applies `edit` to the leaves of [first, last] below `table`.
    template <typename Edit>
    SlatStatus change_table(std::uint64_t table, unsigned level, std::uint64_t first,
                            std::uint64_t last, Edit edit, bool drop_tables) {
        const std::uint64_t span = std::uint64_t{1} << shift_of(level);
        std::uint64_t at = first;
        for (;;) {
            const std::uint64_t end = std::min(at | (span - 1), last);
            const bool whole = (at & (span - 1)) == 0 && end - at == span - 1;
            const std::uint64_t address = entry_address(table, at, level);
            const std::uint64_t entry = read(address);
            if (format_.used(entry)) {
                const bool leaf = format_.is_leaf(entry, level);
                if (whole && leaf) {
                    write(address, edit(entry));
                } else if (whole && drop_tables) {
                    write(address, 0);
                    release_subtree(entry, level);
                } else {
                    const std::optional<std::uint64_t> next = descend(address, level);
                    if (!next) return SlatStatus::out_of_table_pages;
                    const SlatStatus status =
                        change_table(*next, level - 1, at, end, edit, drop_tables);
                    if (status != SlatStatus::ok) return status;
                }
            }
            if (end == last) return SlatStatus::ok;
            at = end + 1;
        }
    }

    sim::Ram& ram_;
    TablePageAllocator& allocator_;
    Format format_;
    std::uint64_t root_;
    std::uint64_t pages_;
};

}  // namespace

SlatStatus SlatTable::map_range(std::uint64_t gpa, std::uint64_t spa, std::uint64_t length,
                                SlatPageSize largest, SlatRights rights,
                                ept::MemoryType memory_type) {
    if (((gpa | spa | length) & low_bits(12)) != 0) return SlatStatus::misaligned;
    while (length != 0) {
        SlatPageSize size = SlatPageSize::size_4k;
        for (SlatPageSize candidate : {SlatPageSize::size_2m, SlatPageSize::size_1g}) {
            const std::uint64_t bytes = bytes_of(candidate);
            if (candidate <= largest && ((gpa | spa) & (bytes - 1)) == 0 && length >= bytes)
                size = candidate;
        }
        const SlatStatus status = map(gpa, spa, size, rights, memory_type);
        if (status != SlatStatus::ok) return status;
        gpa += bytes_of(size);
        spa += bytes_of(size);
        length -= bytes_of(size);
    }
    return SlatStatus::ok;
}

std::unique_ptr<SlatTable> make_ept_table(sim::Ram& ram, TablePageAllocator& allocator,
                                          const EptOptions& options) {
    const std::optional<std::uint64_t> root = allocator.allocate();
    if (!root) return nullptr;
    return std::make_unique<RadixTable<EptFormat>>(ram, allocator, EptFormat(options), *root);
}

std::unique_ptr<SlatTable> make_npt_table(sim::Ram& ram, TablePageAllocator& allocator,
                                          const NptOptions& options) {
    const std::optional<std::uint64_t> root = allocator.allocate();
    if (!root) return nullptr;
    return std::make_unique<RadixTable<NptFormat>>(ram, allocator, NptFormat(options), *root);
}

}  // namespace hvsim::mmu
