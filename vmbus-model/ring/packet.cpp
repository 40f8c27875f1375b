#include "vmbus-model/ring/packet.h"

#include <cstring>

#include "sim/error.h"

namespace hvsim::vmbus {
namespace {

template <typename T>
bool take(std::span<const std::uint8_t>& bytes, T& value) {
    if (bytes.size() < sizeof(T)) return false;
    std::memcpy(&value, bytes.data(), sizeof(T));
    bytes = bytes.subspan(sizeof(T));
    return true;
}

RingFault parse_gpa_direct(std::span<const std::uint8_t> header, Packet& packet) {
    spec::GpaDirectHeader fixed;
    std::size_t used = 0;
    if (!take(header, fixed) || !parse_gpa_ranges(header, fixed.range_count, packet.ranges, used))
        return RingFault::packet_header;
    return RingFault::none;
}

RingFault parse_transfer_pages(std::span<const std::uint8_t> header, Packet& packet) {
    spec::TransferPagesHeader fixed;
    if (!take(header, fixed)) return RingFault::packet_header;
    if (header.size() / sizeof(TransferRange) < fixed.range_count) return RingFault::packet_header;
    packet.page_set_id = fixed.page_set_id;
    packet.transfers.resize(fixed.range_count);
    if (fixed.range_count != 0)
        std::memcpy(packet.transfers.data(), header.data(),
                    fixed.range_count * sizeof(TransferRange));
    return RingFault::none;
}

}  // namespace

RingFault parse_packet(std::span<const std::uint8_t> bytes, Packet& packet) {
    spec::PacketDescriptor descriptor;
    SIM_ASSERT(bytes.size() >= sizeof(descriptor));
    std::memcpy(&descriptor, bytes.data(), sizeof(descriptor));
    const std::size_t header_size = std::size_t{descriptor.header_units} * spec::kPacketUnit;
    SIM_ASSERT(header_size >= sizeof(descriptor) && header_size <= bytes.size());
    packet.type = descriptor.type;
    packet.completion_requested = (descriptor.flags & spec::kCompletionRequested) != 0;
    packet.transaction_id = descriptor.transaction_id;
    packet.payload = bytes.subspan(header_size);
    packet.ranges.clear();
    packet.page_set_id = 0;
    packet.transfers.clear();
    const auto header = bytes.subspan(sizeof(descriptor), header_size - sizeof(descriptor));
    if (packet.is(spec::PacketType::gpa_direct)) return parse_gpa_direct(header, packet);
    if (packet.is(spec::PacketType::transfer_pages)) return parse_transfer_pages(header, packet);
    return RingFault::none;
}

}  // namespace hvsim::vmbus
