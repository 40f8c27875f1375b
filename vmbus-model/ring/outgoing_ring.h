#pragma once
// The host's producing end of the host-to-guest ring.
#include <cstdint>
#include <span>
#include <vector>

#include "vmbus-model/ring/ring_memory.h"

namespace hvsim::vmbus {

/// A packet to send. `header`: what follows the descriptor (a multiple of 8 bytes); `payload` is
/// padded with zeros to 8.
struct OutgoingPacket {
    spec::PacketType type = spec::PacketType::inband;
    std::uint16_t flags = 0;
    std::uint64_t transaction_id = 0;
    std::span<const std::uint8_t> header;
    std::span<const std::uint8_t> payload;

    /// Ring bytes that it takes, trailer included.
    std::uint32_t ring_size() const;
};

/// Order of accesses of one write: load read_index; copy the packet; store write_index; full
/// barrier; load interrupt_mask; load read_index: did the consumer see the ring empty? The write
/// index that counts is the host's own.
class OutgoingRing {
  public:
    explicit OutgoingRing(RingMemory memory) : memory_(std::move(memory)) {}

    /// Takes over the write index that is in memory and announces flow control (feature bit 0).
    RingFault attach();

    enum class Write : std::uint8_t {
        written,         ///< no signal needed: the ring was not empty
        written_masked,  ///< the ring was empty, but the guest wants no signal
        written_signal,  ///< the guest must be signalled
        full,            ///< pending_send_size is set: the guest signals when there is space
        fault,
    };
    Write write(const OutgoingPacket& packet);

    RingFault fault() const { return fault_; }
    std::uint32_t write_index() const { return write_; }
    std::uint32_t data_size() const { return memory_.data_size(); }

  private:
    Write fail(RingFault fault) {
        fault_ = fault;
        return Write::fault;
    }
    bool free_bytes(std::uint32_t& free);
    bool reserve(std::uint32_t size, bool& fits);

    RingMemory memory_;
    RingFault fault_ = RingFault::none;
    std::uint32_t write_ = 0;
    std::uint32_t pending_ = 0;         // value last stored in pending_send_size
    std::vector<std::uint8_t> buffer_;  // scratch: the packet as it is copied
};

}  // namespace hvsim::vmbus
