#pragma once
// Who uses a page of system memory: the hypervisor, or how many mappings in child partitions.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::hv {

class PageOwnership {
  public:
    explicit PageOwnership(const sim::Ram& ram)
        : ram_(ram),
          uses_(static_cast<std::uint16_t*>(
              std::calloc(sim::page_of(ram.end()), sizeof(std::uint16_t)))) {
        if (uses_ == nullptr)
            throw sim::ConfigError("cannot reserve host memory for the owners of pages",
                                   "lower the scenario's host.ram");
    }

    bool is_memory(std::uint64_t system_page) const noexcept {
        return system_page < sim::page_of(ram_.end()) &&
               ram_.contains(system_page << sim::kPageShift, sim::kPageSize);
    }
    bool is_hypervisors(std::uint64_t system_page) const noexcept {
        return is_memory(system_page) && uses_[system_page] == kHypervisor;
    }
    /// Mappings in child partitions; the hypervisor's own pages have none.
    unsigned uses(std::uint64_t system_page) const noexcept {
        return is_memory(system_page) && uses_[system_page] != kHypervisor ? uses_[system_page] : 0;
    }
    /// False: the page is the hypervisor's or has too many mappings. Pages that are not memory
    /// (device windows) are not counted.
    bool add_mapping(std::uint64_t system_page) noexcept {
        if (!is_memory(system_page)) return true;
        if (uses_[system_page] >= kHypervisor - 1) return false;
        ++uses_[system_page];
        return true;
    }
    void remove_mapping(std::uint64_t system_page) {
        if (!is_memory(system_page)) return;
        SIM_ASSERT(uses_[system_page] != 0 && uses_[system_page] != kHypervisor);
        --uses_[system_page];
    }
    void give_to_hypervisor(std::uint64_t system_page) {
        SIM_ASSERT(is_memory(system_page) && uses_[system_page] == 0);
        uses_[system_page] = kHypervisor;
    }
    void take_from_hypervisor(std::uint64_t system_page) {
        SIM_ASSERT(is_hypervisors(system_page));
        uses_[system_page] = 0;
    }

  private:
    static constexpr std::uint16_t kHypervisor = 0xffff;
    struct Free {
        void operator()(std::uint16_t* memory) const noexcept { std::free(memory); }
    };

    const sim::Ram& ram_;
    // A count a page; the host gives memory only for counts that are touched.
    std::unique_ptr<std::uint16_t[], Free> uses_;
};

}  // namespace hvsim::hv
