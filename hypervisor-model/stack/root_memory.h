#pragma once
// The root partition's free physical memory: handed out upwards, given back never (a virtual
// machine's memory lives as long as the run).
#include <cstdint>
#include <vector>

#include "hypervisor-model/stack/winhv.h"
#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::hv::stack {

class RootMemory final : public PageDepositor {
  public:
    /// Bytes [first, end) of root physical memory.
    RootMemory(std::uint64_t first, std::uint64_t end) : next_(first), end_(end) {}

    std::uint64_t available() const noexcept { return end_ - next_; }

    /// Address of `bytes` at `alignment`; throws ConfigError when there is no room.
    std::uint64_t allocate(std::uint64_t bytes, std::uint64_t alignment = sim::kPageSize) {
        const std::uint64_t base = (next_ + alignment - 1) / alignment * alignment;
        if (base > end_ || bytes > end_ - base)
            throw sim::ConfigError("the host has too little RAM for its virtual machines",
                                   "raise host.ram, or lower the machines' ram");
        next_ = base + bytes;
        return base;
    }

    std::vector<std::uint64_t> take_pages(std::size_t count) override {
        const std::uint64_t base = allocate(count * sim::kPageSize);
        std::vector<std::uint64_t> pages;
        for (std::size_t i = 0; i < count; ++i) pages.push_back(sim::page_of(base) + i);
        return pages;
    }

  private:
    std::uint64_t next_, end_;
};

}  // namespace hvsim::hv::stack
