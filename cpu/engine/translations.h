#pragma once
// What the client has answered since the last flush. The library's own TLB is small and forgets by
// its own rules (its size follows its clock, retranslated code pushes data out); asked only about
// what it hasn't said yet, the client sees one miss a page, privilege and kind of access between
// two flushes, whatever the library's caches do. Time that is charged for misses so depends on the
// guest alone.
#include <cstdint>
#include <vector>

namespace hvsim::cpu::engine {

class Translations {
  public:
    /// Ways in which a page may be used without asking.
    static constexpr std::uint8_t kRead = 1, kWrite = 2, kExecute = 4;

    struct Known {
        std::uint64_t physical = 0;
        std::uint8_t granted = 0;
    };

    Translations() : entries_(kFirstSize) {}

    /// Null: nothing is known of the page.
    const Known* find(std::uint64_t linear_page, int mmu_index) const noexcept;
    /// Whether instructions of the page were fetched with these rights, and from where.
    bool find_executable(std::uint64_t linear_page, bool user,
                         std::uint64_t& physical) const noexcept;
    /// Adds ways; another physical page than before replaces what was known. False: so much is
    /// known that it must be cleared first (a guest can use endless linear pages).
    bool add(std::uint64_t linear_page, int mmu_index, std::uint64_t physical,
             std::uint8_t granted);
    void forget(std::uint64_t linear_page) noexcept;
    void clear() noexcept;

  private:
    static constexpr std::size_t kFirstSize = 1 << 10, kLargestSize = 1 << 20;

    struct Entry {
        std::uint64_t key = 0;
        std::uint64_t generation = 0;  ///< of another: the place is free
        Known known;
    };

    static std::uint64_t key_of(std::uint64_t linear_page, int mmu_index) noexcept {
        return linear_page | static_cast<std::uint64_t>(mmu_index);
    }
    /// Where the key is, or the free place where it would be.
    std::size_t place(std::uint64_t key) const noexcept;
    void grow();

    std::vector<Entry> entries_;       // open addressing, a power of two
    mutable std::size_t fetched_ = 0;  // where find_executable() was successful
    std::uint64_t generation_ = 1;
    std::size_t used_ = 0;
};

}  // namespace hvsim::cpu::engine
