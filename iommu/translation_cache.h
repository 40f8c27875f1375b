#pragma once
// A set-associative cache as IOMMUs keep of their tables; deterministic.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/error.h"

namespace hvsim::iommu {

struct CacheSize {
    std::uint32_t sets = 1;  ///< a power of two
    std::uint32_t ways = 1;
};

/// `Key` has operator== and index(), whose low bits choose the set. Each set replaces its entries
/// in turn. Nothing but invalidate_if() and replacement ever removes an entry.
template <typename Key, typename Value>
class TranslationCache {
  public:
    explicit TranslationCache(CacheSize size)
        : size_(size), entries_(std::size_t{size.sets} * size.ways), next_(size.sets) {
        SIM_ASSERT(size.sets != 0 && (size.sets & (size.sets - 1)) == 0 && size.ways != 0);
    }

    const Value* find(const Key& key) const noexcept {
        const Entry* const set = set_of(key);
        for (std::uint32_t way = 0; way < size_.ways; ++way)
            if (set[way].valid && set[way].key == key) return &set[way].value;
        return nullptr;
    }

    void insert(const Key& key, const Value& value) noexcept {
        Entry* const set = set_of(key);
        for (std::uint32_t way = 0; way < size_.ways; ++way) {
            if (!set[way].valid || set[way].key == key) {
                set[way] = {true, key, value};
                return;
            }
        }
        std::uint32_t& next = next_[set_index(key)];
        set[next] = {true, key, value};
        next = (next + 1) % size_.ways;
    }

    /// Removes every entry for which predicate(key, value) holds.
    template <typename Predicate>
    void invalidate_if(Predicate predicate) noexcept {
        for (Entry& entry : entries_)
            if (entry.valid && predicate(entry.key, entry.value)) entry.valid = false;
    }
    void invalidate_all() noexcept {
        for (Entry& entry : entries_) entry.valid = false;
    }

  private:
    struct Entry {
        bool valid = false;
        Key key{};
        Value value{};
    };
    std::size_t set_index(const Key& key) const noexcept {
        return static_cast<std::size_t>(key.index()) & (size_.sets - 1);
    }
    Entry* set_of(const Key& key) noexcept { return &entries_[set_index(key) * size_.ways]; }
    const Entry* set_of(const Key& key) const noexcept {
        return &entries_[set_index(key) * size_.ways];
    }

    CacheSize size_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> next_;  // by set: the way to replace next
};

}  // namespace hvsim::iommu
