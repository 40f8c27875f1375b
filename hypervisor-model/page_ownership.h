#pragma once
// Who uses a page of system memory: the hypervisor, or how many mappings in child partitions.
#include <cstdint>
#include <vector>

#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::hv {

class PageOwnership {
  public:
    explicit PageOwnership(std::uint64_t ram_bytes) : uses_(sim::page_of(ram_bytes)) {}

    bool is_memory(std::uint64_t system_page) const noexcept { return system_page < uses_.size(); }
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
    std::vector<std::uint16_t> uses_;
};

}  // namespace hvsim::hv
