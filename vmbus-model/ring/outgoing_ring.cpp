#include "vmbus-model/ring/outgoing_ring.h"

#include <cstring>

#include "sim/error.h"

namespace hvsim::vmbus {
namespace {

using spec::RingField;

std::uint32_t round_up(std::size_t bytes) {
    return static_cast<std::uint32_t>((bytes + spec::kPacketUnit - 1) / spec::kPacketUnit *
                                      spec::kPacketUnit);
}

}  // namespace

std::uint32_t OutgoingPacket::ring_size() const {
    return static_cast<std::uint32_t>(sizeof(spec::PacketDescriptor) + header.size()) +
           round_up(payload.size()) + spec::kTrailerSize;
}

RingFault OutgoingRing::attach() {
    std::uint32_t features = 0;
    std::uint32_t free = 0;
    if (!memory_.load(RingField::write_index, write_) ||
        !memory_.load(RingField::feature_bits, features)) {
        fault_ = RingFault::memory;
        return fault_;
    }
    if (write_ >= memory_.data_size() || write_ % spec::kPacketUnit != 0)
        return fault_ = RingFault::write_index;
    if (!memory_.store(RingField::feature_bits, features | spec::kFeaturePendingSendSize))
        return fault_ = RingFault::memory;
    free_bytes(free);
    return fault_;
}

bool OutgoingRing::free_bytes(std::uint32_t& free) {
    std::uint32_t read = 0;
    if (!memory_.load(RingField::read_index, read)) {
        fail(RingFault::memory);
        return false;
    }
    if (read >= memory_.data_size() || read % spec::kPacketUnit != 0) {
        fail(RingFault::read_index);
        return false;
    }
    free = read > write_ ? read - write_ : memory_.data_size() - (write_ - read);
    return true;
}

// The ring is never filled to the last unit, or full would look like empty.
bool OutgoingRing::reserve(std::uint32_t size, bool& fits) {
    std::uint32_t free = 0;
    if (!free_bytes(free)) return false;
    fits = free >= size + spec::kPacketUnit;
    if (fits && pending_ == 0) return true;
    if (fits) {
        pending_ = 0;
        if (memory_.store(RingField::pending_send_size, 0)) return true;
        fail(RingFault::memory);
        return false;
    }
    // The consumer signals when free space goes from <= pending to > pending: `size` is the value
    // for which that means that the packet fits. After the store the space is looked at again: the
    // consumer may have read on before it could see the wish.
    if (!memory_.store(RingField::pending_send_size, size)) {
        fail(RingFault::memory);
        return false;
    }
    pending_ = size;
    if (!free_bytes(free)) return false;
    if (free < size + spec::kPacketUnit) return true;
    fits = true;
    pending_ = 0;
    if (memory_.store(RingField::pending_send_size, 0)) return true;
    fail(RingFault::memory);
    return false;
}

OutgoingRing::Write OutgoingRing::write(const OutgoingPacket& packet) {
    if (fault_ != RingFault::none) return Write::fault;
    const std::uint32_t size = packet.ring_size();
    SIM_ASSERT(packet.header.size() % spec::kPacketUnit == 0);
    if (size + spec::kPacketUnit > data_size()) return fail(RingFault::too_small);
    bool fits = false;
    if (!reserve(size, fits)) return Write::fault;
    if (!fits) return Write::full;

    const std::size_t header_size = sizeof(spec::PacketDescriptor) + packet.header.size();
    const spec::PacketDescriptor descriptor{
        static_cast<std::uint16_t>(packet.type),
        static_cast<std::uint16_t>(header_size / spec::kPacketUnit),
        static_cast<std::uint16_t>((size - spec::kTrailerSize) / spec::kPacketUnit), packet.flags,
        packet.transaction_id};
    const std::uint64_t trailer = std::uint64_t{write_} << 32;
    buffer_.assign(size, 0);
    std::memcpy(buffer_.data(), &descriptor, sizeof(descriptor));
    if (!packet.header.empty())
        std::memcpy(buffer_.data() + sizeof(descriptor), packet.header.data(),
                    packet.header.size());
    if (!packet.payload.empty())
        std::memcpy(buffer_.data() + header_size, packet.payload.data(), packet.payload.size());
    std::memcpy(buffer_.data() + size - spec::kTrailerSize, &trailer, sizeof(trailer));

    const std::uint32_t old_write = write_;
    const std::uint32_t new_write = (write_ + size) % data_size();
    std::uint32_t mask = 0;
    std::uint32_t free = 0;
    if (!memory_.write(old_write, buffer_) || !memory_.store(RingField::write_index, new_write) ||
        !memory_.load(RingField::interrupt_mask, mask))
        return fail(RingFault::memory);
    write_ = new_write;
    if (!free_bytes(free)) return Write::fault;
    const bool was_empty = free + size == data_size();
    if (!was_empty) return Write::written;
    return mask == 0 ? Write::written_signal : Write::written_masked;
}

}  // namespace hvsim::vmbus
