#pragma once
// Second-level address translation tables that a hypervisor writes: EPT and NPT behind one
// interface, built in simulated memory. Sources: SDM 3C 29.3.2; APM 2 15.25.
#include <cstdint>
#include <memory>
#include <optional>

#include "mmu/spec/ept.h"
#include "sim/ram.h"

namespace hvsim::mmu {

/// Gives and takes back zero-filled or dirty 4 KiB pages for tables; addresses are system-physical.
class TablePageAllocator {
  public:
    virtual ~TablePageAllocator() = default;
    virtual std::optional<std::uint64_t> allocate() = 0;
    virtual void release(std::uint64_t page) = 0;
};

struct SlatRights {
    bool read = false;
    bool write = false;
    bool execute = false;       ///< supervisor-mode execute under mode-based execute
    bool user_execute = false;  ///< EPT with mode-based execute only; NPT wants it == execute

    friend bool operator==(const SlatRights&, const SlatRights&) = default;
    static constexpr SlatRights all() { return {true, true, true, true}; }
    static constexpr SlatRights read_only() { return {true, false, false, false}; }
};

enum class SlatPageSize : std::uint8_t { size_4k = 12, size_2m = 21, size_1g = 30 };
constexpr std::uint64_t bytes_of(SlatPageSize size) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(size);
}

enum class SlatStatus : std::uint8_t {
    ok,
    out_of_table_pages,  ///< nothing visible has changed up to the address where it stopped
    misaligned,          ///< address or length no multiple of the page size
    address_too_wide,    ///< beyond what the table translates or the processor addresses
    unsupported_rights,  ///< rights the format cannot say (write without read; NPT: no read)
};

/// What a guest-physical address is mapped to.
struct SlatMapping {
    std::uint64_t system_physical = 0;  ///< of the address asked for, offset included
    SlatPageSize size = SlatPageSize::size_4k;
    SlatRights rights;
    ept::MemoryType memory_type = ept::MemoryType::write_back;
    bool accessed = false;
    bool dirty = false;
};

/// One set of tables. Every change is a write to simulated memory only: whoever owns the tables
/// issues the architectural invalidation (INVEPT, ASID flush) afterwards.
class SlatTable {
  public:
    virtual ~SlatTable() = default;

    /// EPTP (memory type write-back, A/D as configured) or nCR3.
    virtual std::uint64_t root_pointer() const noexcept = 0;
    /// Maps one page of `size`; what was mapped there before is replaced, tables below it returned.
    virtual SlatStatus map(std::uint64_t gpa, std::uint64_t spa, SlatPageSize size,
                           SlatRights rights, ept::MemoryType memory_type) = 0;
    /// Maps [gpa, gpa+length) to [spa, ...) with the largest pages up to `largest` that alignment
    /// allows.
    SlatStatus map_range(std::uint64_t gpa, std::uint64_t spa, std::uint64_t length,
                         SlatPageSize largest, SlatRights rights, ept::MemoryType memory_type);
    /// Unmaps [gpa, gpa+length), splitting large pages at its ends; holes are fine.
    virtual SlatStatus unmap(std::uint64_t gpa, std::uint64_t length) = 0;
    /// Changes the rights of what is mapped in [gpa, gpa+length); rights none = not present in EPT.
    virtual SlatStatus protect(std::uint64_t gpa, std::uint64_t length, SlatRights rights) = 0;
    virtual std::optional<SlatMapping> lookup(std::uint64_t gpa) const = 0;
    /// Reads and clears the D bit of the leaf that maps `gpa`; false when not mapped.
    virtual bool test_and_clear_dirty(std::uint64_t gpa) = 0;
    /// Table pages held now, the root included.
    virtual std::uint64_t table_pages() const noexcept = 0;
};

struct EptOptions {
    bool accessed_dirty = true;
    bool execute_only = true;  ///< execute without read may be asked for
    bool pages_1g = true;
    unsigned levels = 4;  ///< 4 or 5
    unsigned maxphyaddr = 46;
};
struct NptOptions {
    bool pages_1g = true;
    unsigned levels = 4;  ///< 4 or 5
    unsigned maxphyaddr = 48;
};

/// Both return nullptr when the allocator has no page for the root. `ram` and `allocator` outlive
/// the table; its pages go back to the allocator with it.
std::unique_ptr<SlatTable> make_ept_table(sim::Ram& ram, TablePageAllocator& allocator,
                                          const EptOptions& options);
std::unique_ptr<SlatTable> make_npt_table(sim::Ram& ram, TablePageAllocator& allocator,
                                          const NptOptions& options);

}  // namespace hvsim::mmu
