#pragma once
// Ring buffers and packets: layouts (same sources as protocol.h: Linux 6.1, OpenVMM vmbus_ring).
#include <cstddef>
#include <cstdint>

namespace hvsim::vmbus::spec {

inline constexpr std::uint32_t kRingPageSize = 4096;

/// Control page of one ring half; the data follows in the next pages.
enum class RingField : std::uint32_t {
    write_index = 0,         ///< byte offset into the data; the producer's
    read_index = 4,          ///< the consumer's
    interrupt_mask = 8,      ///< the consumer's: 1 = no signal wanted
    pending_send_size = 12,  ///< the producer's: waits for this many free bytes, 0 = does not wait
    feature_bits = 64,       ///< the producer's
};
inline constexpr std::uint32_t kFeaturePendingSendSize = 1;

struct PacketDescriptor {
    std::uint16_t type = 0;
    std::uint16_t header_units = 0;  ///< header length in 8-byte units, this descriptor included
    std::uint16_t total_units = 0;   ///< packet length in 8-byte units, without the trailer
    std::uint16_t flags = 0;
    std::uint64_t transaction_id = 0;
};
static_assert(sizeof(PacketDescriptor) == 16 && offsetof(PacketDescriptor, transaction_id) == 8);

inline constexpr std::uint32_t kPacketUnit = 8;
inline constexpr std::uint32_t kTrailerSize = 8;  ///< low half 0, high half the packet's start
inline constexpr std::uint16_t kCompletionRequested = 1;

enum class PacketType : std::uint16_t {
    inband = 6,
    transfer_pages = 7,
    gpadl = 8,
    gpa_direct = 9,
    cancel = 10,
    completion = 11,
    additional_packets = 12,
    additional_data = 13,
};

/// After the descriptor of a gpa_direct packet; then range_count ranges.
struct GpaDirectHeader {
    std::uint32_t reserved = 0;
    std::uint32_t range_count = 0;
};
static_assert(sizeof(GpaDirectHeader) == 8);

/// A guest-physical range; ceil((byte_offset + byte_count) / 4096) page numbers (u64) follow.
struct GpaRangeHeader {
    std::uint32_t byte_count = 0;
    std::uint32_t byte_offset = 0;  ///< within the first page
};
static_assert(sizeof(GpaRangeHeader) == 8);

/// After the descriptor of a transfer_pages packet; then range_count {byte count, byte offset}.
struct TransferPagesHeader {
    std::uint16_t page_set_id = 0;
    std::uint8_t sender_owns_set = 0;
    std::uint8_t reserved = 0;
    std::uint32_t range_count = 0;
};
static_assert(sizeof(TransferPagesHeader) == 8);

/// Largest page number: physical addresses have at most 52 bits.
inline constexpr std::uint64_t kMaxPageNumber = (std::uint64_t{1} << 40) - 1;

}  // namespace hvsim::vmbus::spec
