#include "vmbus-model/ring/incoming_ring.h"

#include <array>
#include <cstring>

#include "sim/error.h"

namespace hvsim::vmbus {
namespace {

bool valid_index(std::uint32_t index, std::uint32_t size) {
    return index < size && index % spec::kPacketUnit == 0;
}

std::uint32_t used_bytes(std::uint32_t read, std::uint32_t write, std::uint32_t size) {
    return write >= read ? write - read : size - (read - write);
}

}  // namespace

RingFault IncomingRing::attach() {
    std::uint32_t write = 0;
    if (!memory_.load(spec::RingField::read_index, read_)) return fail(RingFault::memory);
    if (!valid_index(read_, memory_.data_size())) return fail(RingFault::read_index);
    load_write_index(write);
    return fault_;
}

bool IncomingRing::load_write_index(std::uint32_t& write) {
    if (!memory_.load(spec::RingField::write_index, write)) {
        fail(RingFault::memory);
        return false;
    }
    if (!valid_index(write, memory_.data_size())) {
        fail(RingFault::write_index);
        return false;
    }
    return true;
}

IncomingRing::Peek IncomingRing::peek(std::vector<std::uint8_t>& packet) {
    std::uint32_t write = 0;
    if (fault_ != RingFault::none || !load_write_index(write)) return Peek::fault;
    const std::uint32_t available = used_bytes(read_, write, memory_.data_size());
    if (available == 0) return Peek::empty;

    spec::PacketDescriptor descriptor;
    if (available < sizeof(descriptor) + spec::kTrailerSize) {
        fail(RingFault::packet_bounds);
        return Peek::fault;
    }
    std::array<std::uint8_t, sizeof(descriptor)> head;
    if (!memory_.read(read_, head)) {
        fail(RingFault::memory);
        return Peek::fault;
    }
    std::memcpy(&descriptor, head.data(), sizeof(descriptor));
    const std::uint32_t total = descriptor.total_units * spec::kPacketUnit;
    const std::uint32_t header = descriptor.header_units * spec::kPacketUnit;
    if (header < sizeof(descriptor) || header > total || total + spec::kTrailerSize > available) {
        fail(RingFault::packet_bounds);
        return Peek::fault;
    }
    // The descriptor that was checked is the one that is used: the guest may change its own copy
    // between two reads.
    packet.resize(total);
    std::memcpy(packet.data(), head.data(), head.size());
    const std::uint32_t rest = (read_ + sizeof(descriptor)) % memory_.data_size();
    if (!memory_.read(rest, std::span(packet).subspan(sizeof(descriptor)))) {
        fail(RingFault::memory);
        return Peek::fault;
    }
    peeked_ = total + spec::kTrailerSize;
    return Peek::packet;
}

void IncomingRing::consume() {
    SIM_ASSERT(peeked_ != 0);
    read_ = (read_ + peeked_) % memory_.data_size();
    unpublished_ += peeked_;
    peeked_ = 0;
}

RingFault IncomingRing::publish(bool& signal) {
    signal = false;
    if (fault_ != RingFault::none || unpublished_ == 0) return fault_;
    if (!memory_.store(spec::RingField::read_index, read_)) return fail(RingFault::memory);
    std::uint32_t features = 0;
    std::uint32_t pending = 0;
    std::uint32_t write = 0;
    if (!memory_.load(spec::RingField::feature_bits, features) ||
        !memory_.load(spec::RingField::pending_send_size, pending))
        return fail(RingFault::memory);
    if (!load_write_index(write)) return fault_;
    pending &= ~(spec::kPacketUnit - 1);
    const std::uint32_t free_now =
        memory_.data_size() - used_bytes(read_, write, memory_.data_size());
    const std::uint32_t free_before = free_now - unpublished_;
    unpublished_ = 0;
    signal = (features & spec::kFeaturePendingSendSize) != 0 && pending != 0 &&
             free_before < pending && pending <= free_now;
    return RingFault::none;
}

RingFault IncomingRing::set_mask(bool masked) {
    if (fault_ != RingFault::none) return fault_;
    if (!memory_.store(spec::RingField::interrupt_mask, masked ? 1 : 0))
        return fail(RingFault::memory);
    return RingFault::none;
}

RingFault IncomingRing::look(bool& not_empty) {
    std::uint32_t write = 0;
    not_empty = false;
    if (fault_ == RingFault::none && load_write_index(write)) not_empty = write != read_;
    return fault_;
}

}  // namespace hvsim::vmbus
