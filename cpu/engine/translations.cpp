#include "cpu/engine/translations.h"

#include <utility>

#include "cpu/engine/library.h"

namespace hvsim::cpu::engine {
namespace {

constexpr int kMmuIndexes = 3;  // the library's: supervisor with SMAP, user, supervisor without
constexpr std::uint64_t kIndexMask = 3;

}  // namespace

std::size_t Translations::place(std::uint64_t key) const noexcept {
    const std::size_t mask = entries_.size() - 1;
    std::size_t at = (key * 0x9e3779b97f4a7c15) >> 32 & mask;
    while (entries_[at].generation == generation_ && entries_[at].key != key) at = (at + 1) & mask;
    return at;
}

const Translations::Known* Translations::find(std::uint64_t linear_page,
                                              int mmu_index) const noexcept {
    const Entry& entry = entries_[place(key_of(linear_page, mmu_index))];
    return entry.generation == generation_ ? &entry.known : nullptr;
}

bool Translations::find_executable(std::uint64_t linear_page, bool user,
                                   std::uint64_t& physical) const noexcept {
    const auto serves = [&](const Entry& entry) {
        const bool found = entry.generation == generation_ &&
                           (entry.key & ~kIndexMask) == linear_page &&
                           ((entry.key & kIndexMask) == kUserMmuIndex) == user &&
                           (entry.known.granted & kExecute) != 0;
        if (found) physical = entry.known.physical;
        return found;
    };
    if (serves(entries_[fetched_])) return true;
    for (int index = 0; index < kMmuIndexes; ++index) {
        const std::size_t at = place(key_of(linear_page, index));
        if (!serves(entries_[at])) continue;
        fetched_ = at;
        return true;
    }
    return false;
}

bool Translations::add(std::uint64_t linear_page, int mmu_index, std::uint64_t physical,
                       std::uint8_t granted) {
    const std::uint64_t key = key_of(linear_page, mmu_index);
    Entry* entry = &entries_[place(key)];
    if (entry->generation != generation_) {
        if (2 * (used_ + 1) > entries_.size()) {
            if (entries_.size() == kLargestSize) return false;
            grow();
            entry = &entries_[place(key)];
        }
        ++used_;
        *entry = {key, generation_, {physical, 0}};
    }
    if (entry->known.physical != physical) entry->known = {physical, 0};
    entry->known.granted |= granted;
    return true;
}

void Translations::forget(std::uint64_t linear_page) noexcept {
    for (int index = 0; index < kMmuIndexes; ++index) {
        Entry& entry = entries_[place(key_of(linear_page, index))];
        if (entry.generation == generation_) entry.known.granted = 0;  // others lie behind it
    }
}

void Translations::clear() noexcept {
    ++generation_;
    used_ = 0;
}

void Translations::grow() {
    std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(entries_.size() * 2));
    for (const Entry& entry : old)
        if (entry.generation == generation_) entries_[place(entry.key)] = entry;
}

}  // namespace hvsim::cpu::engine
