#pragma once
// The guest-physical address space of a partition: second-stage tables in simulated memory, overlay
// pages on top of them (TLFS 5.2.1), and checked copies in and out.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "hypervisor-model/memory_pool.h"
#include "hypervisor-model/page_runs.h"
#include "hypervisor-model/spec/status.h"
#include "mmu/slat_table.h"
#include "sim/ram.h"

namespace hvsim::hv {

enum class SlatFormat : std::uint8_t { ept, npt };
enum class GpaAccess : std::uint8_t { read, write, execute };

/// How a copy to or from guest memory ended. `gpa`: the first byte that was not accessible.
struct GpaResult {
    enum class Code : std::uint8_t { ok, unmapped, denied, not_memory };
    Code code = Code::ok;
    std::uint64_t gpa = 0;
    bool ok() const noexcept { return code == Code::ok; }
};

struct GpaRights {
    bool read = true;
    bool write = true;
    bool execute = true;  ///< supervisor and user alike
    bool operator==(const GpaRights&) const = default;
};

/// One 4 KiB page of the space.
struct GpaPage {
    std::uint64_t system_page = 0;
    GpaRights rights;
    bool cached = true;
    bool operator==(const GpaPage&) const = default;
};

/// Hears that a mapping lost a right or changed its page.
class GpaChangeListener {
  public:
    virtual ~GpaChangeListener() = default;
    virtual void gpa_space_changed() = 0;
};

class GpaSpace {
  public:
    /// Tables come from `pool`. `width`: guest-physical address bits.
    GpaSpace(sim::Ram& ram, MemoryPool& pool, SlatFormat format, unsigned width);
    ~GpaSpace();

    /// Takes the root table from the pool; false: no page. Until then nothing can be mapped.
    bool initialize();
    bool initialized() const noexcept { return table_ != nullptr; }
    /// Unmaps everything and gives all tables back.
    void clear();

    void set_listener(GpaChangeListener* listener) noexcept { listener_ = listener; }
    /// EPT pointer or nCR3 (initialized() only).
    std::uint64_t root() const;
    std::uint64_t limit_page() const noexcept { return limit_page_; }

    /// insufficient_memory: the pool has no page for a table, nothing was changed. An overlay on
    /// the page stays on top. `page_number` and pages below limit_page().
    HvStatus map(std::uint64_t page_number, const GpaPage& page);
    /// 512 pages; `page_number` and the system page are multiples of 512.
    HvStatus map_large(std::uint64_t page_number, const GpaPage& page);
    HvStatus unmap(std::uint64_t page_number);
    /// `count` pages with the largest tables that alignment allows; no overlays may lie there.
    HvStatus map_range(std::uint64_t page_number, const GpaPage& first, std::uint64_t count);

    /// The mapping below any overlay.
    std::optional<GpaPage> mapping(std::uint64_t page_number) const;
    /// What the guest sees: the overlay if there is one.
    std::optional<GpaPage> visible(std::uint64_t page_number) const;
    bool is_overlay(std::uint64_t page_number) const { return overlays_.contains(page_number); }

    /// Puts a hypervisor's page over a guest page, mapped or not; the latest of several is visible.
    HvStatus add_overlay(std::uint64_t page_number, std::uint64_t system_page, GpaRights rights);
    void remove_overlay(std::uint64_t page_number, std::uint64_t system_page);

    /// Copies as the guest would access it, with its rights. A failed write may have written the
    /// pages before the failing one.
    GpaResult read(std::uint64_t gpa, std::span<std::uint8_t> out) const;
    GpaResult write(std::uint64_t gpa, std::span<const std::uint8_t> in);
    /// Whether all bytes are accessible that way.
    GpaResult probe(std::uint64_t gpa, std::uint64_t length, GpaAccess access) const;

    /// Pages that are mapped, overlays apart.
    const PageRuns& mapped() const noexcept { return mapped_; }

  private:
    struct Overlay {
        std::optional<GpaPage> below;
        std::vector<GpaPage> stack;  // the last is visible
    };
    struct CacheEntry {
        std::uint64_t generation = 0;
        std::uint64_t page_number = 0;
        GpaPage page;
    };
    class TablePages;
    static constexpr std::size_t kCacheSize = 256;

    std::optional<GpaPage> lookup_table(std::uint64_t page_number) const;
    HvStatus set_table(std::uint64_t page_number, const std::optional<GpaPage>& page);
    bool overlays_within(std::uint64_t page_number, std::uint64_t count) const;
    GpaResult resolve(std::uint64_t gpa, GpaAccess access, std::uint64_t& system) const;
    void changed(bool restricts);

    sim::Ram& ram_;
    MemoryPool& pool_;
    SlatFormat format_;
    unsigned width_;
    std::uint64_t limit_page_;
    GpaChangeListener* listener_ = nullptr;
    std::unique_ptr<TablePages> pages_;
    std::unique_ptr<mmu::SlatTable> table_;
    std::map<std::uint64_t, Overlay> overlays_;
    PageRuns mapped_;
    std::uint64_t generation_ = 1;
    mutable std::array<CacheEntry, kCacheSize> cache_{};
};

}  // namespace hvsim::hv
