#pragma once
// Packets from the guest, parsed from the host's copy.
#include <cstdint>
#include <span>
#include <vector>

#include "vmbus-model/gpa_ranges.h"
#include "vmbus-model/ring/ring_memory.h"
#include "vmbus-model/spec/ring_layout.h"

namespace hvsim::vmbus {

/// A piece of a page set that a transfer_pages packet names.
struct TransferRange {
    std::uint32_t byte_count = 0;
    std::uint32_t byte_offset = 0;
};

/// A packet of the guest. The payload includes padding to a multiple of 8.
struct Packet {
    std::uint16_t type = 0;  ///< a spec::PacketType, or a number that has no meaning
    bool completion_requested = false;
    std::uint64_t transaction_id = 0;
    std::span<const std::uint8_t> payload;
    GpaRangeList ranges;                   ///< gpa_direct only
    std::uint16_t page_set_id = 0;         ///< transfer_pages only
    std::vector<TransferRange> transfers;  ///< transfer_pages only

    bool is(spec::PacketType wanted) const { return type == static_cast<std::uint16_t>(wanted); }
};

/// Parses what IncomingRing::peek() copied. `packet.payload` points into `bytes`.
RingFault parse_packet(std::span<const std::uint8_t> bytes, Packet& packet);

}  // namespace hvsim::vmbus
