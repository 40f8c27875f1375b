#pragma once
// One half of a channel's ring as it lies in guest memory: a control page, then data pages.
#include <cstdint>
#include <span>
#include <vector>

#include "vmbus-model/platform.h"
#include "vmbus-model/spec/ring_layout.h"

namespace hvsim::vmbus {

/// Copies in and out of a ring. Every access answers false when the guest's page is not mapped (any
/// more). Data offsets are below data_size(); what runs over the end goes on at offset 0, to the
/// byte.
class RingMemory {
  public:
    /// `pages`: page numbers, the control page first; at least two.
    RingMemory(GuestMemory& memory, std::vector<std::uint64_t> pages)
        : memory_(&memory), pages_(std::move(pages)) {}

    std::uint32_t data_size() const {
        return static_cast<std::uint32_t>(pages_.size() - 1) * spec::kRingPageSize;
    }
    bool load(spec::RingField field, std::uint32_t& value) const;
    bool store(spec::RingField field, std::uint32_t value) const;
    bool read(std::uint32_t offset, std::span<std::uint8_t> out) const;
    bool write(std::uint32_t offset, std::span<const std::uint8_t> in) const;

  private:
    GuestMemory* memory_;
    std::vector<std::uint64_t> pages_;
};

/// Why a ring was given up.
enum class RingFault : std::uint8_t {
    none,
    memory,         ///< a page of the ring is not mapped
    write_index,    ///< the guest's write index is out of range or no multiple of 8
    read_index,     ///< the guest's read index likewise
    packet_bounds,  ///< a packet is longer than what was written, or shorter than its own header
    too_small,      ///< the guest's ring cannot hold a packet that the host must send
    packet_header,  ///< the extended header contradicts itself
    protocol,       ///< the service provider gave up on what the guest sends
};

}  // namespace hvsim::vmbus
