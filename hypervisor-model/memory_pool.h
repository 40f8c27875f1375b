#pragma once
// A partition's memory pool: pages its parent deposited for the hypervisor to keep the partition's
// objects in (TLFS 6.3, "Memory pools"). Empty pool: the call that needs memory fails with
// HV_STATUS_INSUFFICIENT_MEMORY, the caller deposits and tries again.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "hypervisor-model/spec/identity.h"
#include "sim/ram.h"

namespace hvsim::hv {

/// A page of the pool and where it came from.
struct PoolPage {
    std::uint64_t system_page = 0;              ///< system page number
    PartitionId depositor = kInvalidPartition;  ///< kInvalidPartition: reserved at boot
    std::uint64_t depositor_page = 0;           ///< guest page number there
};

/// Objects smaller than a page share pages.
enum class PoolObject : std::uint8_t { event_port, connection, intercept, kCount };

class MemoryPool {
  public:
    explicit MemoryPool(sim::Ram& ram) : ram_(ram) {}
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;

    void deposit(const PoolPage& page) { free_.push_back(page); }
    /// Gives one of `depositor`'s free pages back, zeroed; nullopt: none. Pages reserved at boot
    /// never leave.
    std::optional<PoolPage> withdraw(PartitionId depositor);

    /// Takes a zeroed page for an object; nullopt: none free.
    std::optional<std::uint64_t> allocate();
    /// All of `count` pages, or none.
    bool allocate(std::size_t count, std::vector<std::uint64_t>& pages);
    void release(std::uint64_t system_page);

    /// Accounts for a small object; false: no page for it.
    bool charge(PoolObject object);
    void refund(PoolObject object);

    std::uint64_t available() const noexcept { return free_.size(); }
    std::uint64_t in_use() const noexcept { return used_.size(); }

  private:
    struct ObjectPages {
        std::uint32_t live = 0;
        std::vector<std::uint64_t> pages;
    };
    static constexpr std::uint32_t objects_per_page(PoolObject object) {
        return object == PoolObject::event_port ? 64 : object == PoolObject::connection ? 64 : 128;
    }

    sim::Ram& ram_;
    std::vector<PoolPage> free_;              // the last goes first
    std::map<std::uint64_t, PoolPage> used_;  // by system page
    std::array<ObjectPages, static_cast<std::size_t>(PoolObject::kCount)> objects_;
};

}  // namespace hvsim::hv
