#pragma once
// Which pages of simulated memory may hold anything. A server may have hundreds of GiB, of which a
// run touches little; whoever looks at all of it at the end need not read the rest.
#include <cstdint>
#include <vector>

#include "sim/ram.h"

namespace hvsim::sim {

/// Asks the host's kernel which pages it has given memory. What is left out reads as zeros; pages
/// that are named may be zero too, how many depends on the host.
class TouchedMemory {
  public:
    explicit TouchedMemory(const Ram& ram);
    ~TouchedMemory();
    TouchedMemory(const TouchedMemory&) = delete;
    TouchedMemory& operator=(const TouchedMemory&) = delete;

    /// The first page from `address` on (a multiple of 4096, inside the RAM) that may hold
    /// something other than zeros; `end` when there is none below it.
    std::uint64_t next(std::uint64_t address, std::uint64_t end);

  private:
    /// Reads what the kernel says of the pages from `page` on; false: it does not say.
    bool fetch(std::uint64_t page);

    const std::uint8_t* data_;
    int pagemap_;  // negative: not available, every page counts as touched
    std::vector<std::uint64_t> entries_;
    std::uint64_t first_ = 0;  // page that the first entry is about
};

}  // namespace hvsim::sim
