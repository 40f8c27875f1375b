#pragma once
// The host's consuming end of the guest-to-host ring.
#include <cstdint>
#include <vector>

#include "vmbus-model/ring/ring_memory.h"

namespace hvsim::vmbus {

/// Order of accesses of one batch (the guest's producer relies on it):
///   1. interrupt_mask = 1
///   2. per packet: load write_index, copy the packet
///   3. store read_index; full barrier; load pending_send_size: was the producer waiting?
///   4. when empty: interrupt_mask = 0; full barrier; load write_index; not empty: back to 1
/// The read index that counts is the host's own: what the guest writes over it is not looked at.
class IncomingRing {
  public:
    explicit IncomingRing(RingMemory memory) : memory_(std::move(memory)) {}

    /// Takes over the read index that is in memory; faults when an index is out of range.
    RingFault attach();

    enum class Peek : std::uint8_t { packet, empty, fault };
    /// Copies the next packet, without trailer, into `packet`, checked for its outer lengths: the
    /// descriptor is whole, 16 <= header <= total, all of it has been written.
    Peek peek(std::vector<std::uint8_t>& packet);
    /// Done with the packet last peeked at.
    void consume();
    /// Step 3. `signal`: the producer was waiting for space that there now is.
    RingFault publish(bool& signal);
    RingFault set_mask(bool masked);
    /// Whether there is something to read; step 4's second look.
    RingFault look(bool& not_empty);

    RingFault fault() const { return fault_; }
    std::uint32_t read_index() const { return read_; }

  private:
    RingFault fail(RingFault fault) { return fault_ = fault; }
    bool load_write_index(std::uint32_t& write);

    RingMemory memory_;
    RingFault fault_ = RingFault::none;
    std::uint32_t read_ = 0;
    std::uint32_t peeked_ = 0;       // ring bytes of the packet last peeked at, trailer included
    std::uint32_t unpublished_ = 0;  // bytes consumed since the last publish()
};

}  // namespace hvsim::vmbus
