#pragma once
// Cache of second-stage translations (guest-physical mappings, SDM 3C 29.4.2; nested TLB, APM 2
// 15.25.9) of one logical processor.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mmu/spec/paging.h"

namespace hvsim::mmu {

/// Rights of a cached translation, as they were in the tables when it was filled.
struct NestedRights {
    static constexpr std::uint8_t kRead = 1;
    static constexpr std::uint8_t kWrite = 2;
    static constexpr std::uint8_t kExecuteSupervisor = 4;
    static constexpr std::uint8_t kExecuteUser = 8;
    /// The leaf's D bit is set or not in use: writes need no walk.
    static constexpr std::uint8_t kDirty = 16;
};

/// One cached translation.
struct NestedTlbEntry {
    std::uint64_t generation = 0;  ///< valid when equal to the cache's
    std::uint64_t tag = 0;         ///< root of the tables
    std::uint64_t guest_page = 0;  ///< guest-physical address >> the array's page shift
    std::uint64_t system_base = 0;
    std::uint8_t page_shift = 0;  ///< of the tables' leaf
    std::uint8_t memory_type = 0;
    std::uint8_t rights = 0;  ///< NestedRights
};

/// Two direct-mapped arrays, one for 4 KiB leaves and one of 2 MiB granularity for larger leaves.
/// Keyed by the table's root (EPTP or nCR3) and the guest-physical page; deterministic. A change of
/// a table entry in memory is seen only after one of the invalidations, unless the entry has been
/// replaced; a translation that the cached rights do not allow is walked again.
class NestedTlb {
  public:
    /// `entries` per array, a power of two.
    explicit NestedTlb(std::size_t entries = 1024)
        : mask_(entries - 1), small_(entries), large_(entries) {}

    const NestedTlbEntry* find(std::uint64_t root, std::uint64_t gpa) const noexcept {
        const std::uint64_t tag = tag_of(root);
        if (const NestedTlbEntry& large = large_[index_of(tag, gpa >> kLargeShift)];
            matches(large, tag, gpa >> kLargeShift))
            return &large;
        if (const NestedTlbEntry& small = small_[index_of(tag, gpa >> kSmallShift)];
            matches(small, tag, gpa >> kSmallShift))
            return &small;
        return nullptr;
    }

    /// Keeps the translation of `gpa` to `system_physical` by a leaf of `page_shift`.
    void insert(std::uint64_t root, std::uint64_t gpa, std::uint64_t system_physical,
                std::uint8_t page_shift, std::uint8_t memory_type, std::uint8_t rights) noexcept {
        const std::uint64_t tag = tag_of(root);
        const unsigned shift = granule_shift(page_shift);
        std::vector<NestedTlbEntry>& array = shift == kLargeShift ? large_ : small_;
        NestedTlbEntry& entry = array[index_of(tag, gpa >> shift)];
        entry.generation = generation_;
        entry.tag = tag;
        entry.guest_page = gpa >> shift;
        entry.system_base = system_physical & ~((std::uint64_t{1} << shift) - 1);
        entry.page_shift = page_shift;
        entry.memory_type = memory_type;
        entry.rights = rights;
    }

    static constexpr unsigned granule_shift(unsigned page_shift) noexcept {
        return page_shift >= kLargeShift ? kLargeShift : kSmallShift;
    }

    /// Whether two roots name the same tables (EP4TA).
    static constexpr bool same_tables(std::uint64_t one, std::uint64_t other) noexcept {
        return tag_of(one) == tag_of(other);
    }

    /// INVEPT all-context; TLB_CONTROL flush everything.
    void invalidate_all() noexcept { ++generation_; }
    /// INVEPT single-context, by the address bits of the root (EP4TA).
    void invalidate_root(std::uint64_t root) noexcept {
        const std::uint64_t tag = tag_of(root);
        for (std::vector<NestedTlbEntry>* array : {&small_, &large_})
            for (NestedTlbEntry& entry : *array)
                if (entry.tag == tag) entry.generation = 0;
    }
    /// What an EPT violation does by itself (SDM 3C 29.4.3.1).
    void invalidate_page(std::uint64_t root, std::uint64_t gpa) noexcept {
        const std::uint64_t tag = tag_of(root);
        NestedTlbEntry& large = large_[index_of(tag, gpa >> kLargeShift)];
        if (matches(large, tag, gpa >> kLargeShift)) large.generation = 0;
        NestedTlbEntry& small = small_[index_of(tag, gpa >> kSmallShift)];
        if (matches(small, tag, gpa >> kSmallShift)) small.generation = 0;
    }

  private:
    static constexpr unsigned kSmallShift = 12;
    static constexpr unsigned kLargeShift = 21;

    static constexpr std::uint64_t tag_of(std::uint64_t root) noexcept {
        return root & paging::ADDRESS::kMask;
    }
    std::size_t index_of(std::uint64_t tag, std::uint64_t guest_page) const noexcept {
        return static_cast<std::size_t>(guest_page ^ (tag >> 12) ^ (tag >> 22)) & mask_;
    }
    bool matches(const NestedTlbEntry& entry, std::uint64_t tag,
                 std::uint64_t guest_page) const noexcept {
        return entry.generation == generation_ && entry.tag == tag &&
               entry.guest_page == guest_page;
    }

    std::size_t mask_;
    std::uint64_t generation_ = 1;
    std::vector<NestedTlbEntry> small_;
    std::vector<NestedTlbEntry> large_;
};

}  // namespace hvsim::mmu
