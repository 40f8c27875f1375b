#pragma once
// The root partition's free physical memory: handed out upwards, given back never (a virtual
// machine's memory lives as long as the run).
#include <cstdint>
#include <utility>
#include <vector>

#include "hypervisor-model/stack/winhv.h"
#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::hv::stack {

class RootMemory final : public PageDepositor {
  public:
    /// Runs of root physical memory, the first to be taken first.
    explicit RootMemory(std::vector<sim::RamPiece> free) : free_(std::move(free)) {}

    std::uint64_t available() const noexcept {
        std::uint64_t bytes = 0;
        for (const sim::RamPiece& piece : free_) bytes += piece.length;
        return bytes;
    }

    /// Address of `bytes` at `alignment`; throws ConfigError when no run has the room.
    std::uint64_t allocate(std::uint64_t bytes, std::uint64_t alignment = sim::kPageSize) {
        for (sim::RamPiece& piece : free_) {
            const std::uint64_t base = (piece.base + alignment - 1) / alignment * alignment;
            if (base > piece.end() || bytes > piece.end() - base) continue;
            piece = {base + bytes, piece.end() - base - bytes};
            return base;
        }
        throw sim::ConfigError(
            "the host has too little RAM for its virtual machines",
            "raise host.ram, or lower the machines' ram; a machine's memory lies "
            "wholly below or above the device hole that ends at 4 GiB");
    }

    std::vector<std::uint64_t> take_pages(std::size_t count) override {
        const std::uint64_t base = allocate(count * sim::kPageSize);
        std::vector<std::uint64_t> pages;
        for (std::size_t i = 0; i < count; ++i) pages.push_back(sim::page_of(base) + i);
        return pages;
    }

  private:
    std::vector<sim::RamPiece> free_;
};

}  // namespace hvsim::hv::stack
