#pragma once
// VMBus control protocol: versions, message layouts and the one table of messages. There is no
// public specification; the layouts follow the interface of Linux 6.1 (include/linux/hyperv.h) and
// OpenVMM (vmbus_core), both as of 2024. All integers are little endian; offsets count from the
// start of the SynIC message payload.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vmbus-model/spec/guid.h"

namespace hvsim::vmbus::spec {

static_assert(std::endian::native == std::endian::little, "wire structs are copied as they are");

/// Protocol versions: major in the high half, minor in the low half.
enum class Version : std::uint32_t {
    v2_4 = 0x0002'0004,
    v3_0 = 0x0003'0000,
    v4_0 = 0x0004'0000,
    v4_1 = 0x0004'0001,
    v5_0 = 0x0005'0000,
    v5_1 = 0x0005'0001,
    v5_2 = 0x0005'0002,
    v5_3 = 0x0005'0003,
};

/// What the server can speak, oldest first.
inline constexpr std::array kVersions{Version::v2_4, Version::v3_0, Version::v4_0, Version::v4_1,
                                      Version::v5_0, Version::v5_1, Version::v5_2, Version::v5_3};

inline constexpr std::uint32_t kMessageConnectionOld = 1;  ///< PostMessage connection before 5.0
inline constexpr std::uint32_t kMessageConnectionNew = 4;  ///< from 5.0 on
inline constexpr std::uint32_t kSynicMessageType = 1;  ///< SynIC message type of both directions
inline constexpr std::uint8_t kVmbusSint = 2;
inline constexpr std::size_t kMaxPayload = 240;
inline constexpr std::uint32_t kMaxRelid = 2047;  ///< event flags of a SINT; 0 is reserved
inline constexpr std::uint32_t kNoInterruptVp = 0xffff'ffff;  ///< OpenChannel.target_vp: poll

inline constexpr std::uint32_t kStatusSuccess = 0;
inline constexpr std::uint32_t kStatusUnsuccessful = 0x8000'ffff;
inline constexpr std::uint32_t kStatusConnectionRefused = 0xc000'0236;

inline constexpr std::uint8_t kConnectionSucceeded = 0;  ///< VersionResponse.connection_state
inline constexpr std::uint8_t kConnectionFailed = 2;

// OfferChannel.flags
inline constexpr std::uint16_t kOfferEnumerateInterface = 0x0001;
inline constexpr std::uint16_t kOfferNamedPipe = 0x0010;
inline constexpr std::uint16_t kOfferTlnpi = 0x2000;

struct MessageHeader {
    std::uint32_t type = 0;
    std::uint32_t padding = 0;
};
static_assert(sizeof(MessageHeader) == 8);

struct OfferChannel {
    MessageHeader header;
    Guid interface_type;
    Guid interface_instance;
    std::array<std::uint32_t, 4> reserved{};
    std::uint16_t flags = 0;
    std::uint16_t mmio_megabytes = 0;
    std::array<std::uint8_t, 120> user_defined{};
    std::uint16_t subchannel_index = 0;  ///< 0 = primary
    std::uint16_t mmio_megabytes_optional = 0;
    std::uint32_t relid = 0;
    std::uint8_t monitor_id = 0;
    std::uint8_t monitor_allocated = 0;
    std::uint16_t is_dedicated = 0;
    std::uint32_t connection_id = 0;  ///< for HvCallSignalEvent
};
static_assert(sizeof(OfferChannel) == 196 && offsetof(OfferChannel, interface_type) == 8 &&
              offsetof(OfferChannel, flags) == 56 && offsetof(OfferChannel, user_defined) == 60 &&
              offsetof(OfferChannel, subchannel_index) == 180 &&
              offsetof(OfferChannel, relid) == 184 && offsetof(OfferChannel, is_dedicated) == 190 &&
              offsetof(OfferChannel, connection_id) == 192);

struct RescindChannelOffer {
    MessageHeader header;
    std::uint32_t relid = 0;
};
static_assert(sizeof(RescindChannelOffer) == 12);

struct RequestOffers {
    MessageHeader header;
};

struct AllOffersDelivered {
    MessageHeader header;
};

struct OpenChannel {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t open_id = 0;
    std::uint32_t ring_gpadl = 0;
    std::uint32_t target_vp = 0;
    std::uint32_t downstream_page_offset = 0;  ///< first page of the host-to-guest ring
    std::array<std::uint8_t, 120> user_data{};
};
static_assert(sizeof(OpenChannel) == 148 && offsetof(OpenChannel, user_data) == 28);

struct OpenChannelResult {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t open_id = 0;
    std::uint32_t status = 0;
};
static_assert(sizeof(OpenChannelResult) == 20);

struct CloseChannel {
    MessageHeader header;
    std::uint32_t relid = 0;
};
static_assert(sizeof(CloseChannel) == 12);

/// Followed by ranges of {byte count u32, byte offset u32, page numbers u64[]}.
struct GpadlHeader {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t gpadl = 0;
    std::uint16_t range_buffer_length = 0;  ///< bytes of all ranges over all messages
    std::uint16_t range_count = 0;
};
static_assert(sizeof(GpadlHeader) == 20 && offsetof(GpadlHeader, range_count) == 18);

/// Followed by more bytes of the ranges.
struct GpadlBody {
    MessageHeader header;
    std::uint32_t message_number = 0;  ///< not dependable: Linux leaves it 0
    std::uint32_t gpadl = 0;
};
static_assert(sizeof(GpadlBody) == 16);

struct GpadlCreated {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t gpadl = 0;
    std::uint32_t status = 0;
};
static_assert(sizeof(GpadlCreated) == 20);

struct GpadlTeardown {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t gpadl = 0;
};
static_assert(sizeof(GpadlTeardown) == 16);

struct GpadlTorndown {
    MessageHeader header;
    std::uint32_t gpadl = 0;
};
static_assert(sizeof(GpadlTorndown) == 12);

struct RelIdReleased {
    MessageHeader header;
    std::uint32_t relid = 0;
};
static_assert(sizeof(RelIdReleased) == 12);

/// `interrupt_info` is the interrupt page's GPA before 5.0; from 5.0 on its byte 0 is the SINT,
/// byte 1 the VTL.
struct InitiateContact {
    MessageHeader header;
    std::uint32_t version = 0;
    std::uint32_t target_vp = 0;
    std::uint64_t interrupt_info = 0;
    std::uint64_t monitor_page_to_guest = 0;
    std::uint64_t monitor_page_to_host = 0;
};
static_assert(sizeof(InitiateContact) == 40 && offsetof(InitiateContact, interrupt_info) == 16 &&
              offsetof(InitiateContact, monitor_page_to_host) == 32);

struct VersionResponse {
    MessageHeader header;
    std::uint8_t version_supported = 0;
    std::uint8_t connection_state = 0;
    std::uint16_t reserved = 0;
    std::uint32_t connection_or_version = 0;  ///< from 5.0: message connection id; else version
};
static_assert(sizeof(VersionResponse) == 16 &&
              offsetof(VersionResponse, connection_or_version) == 12);

struct Unload {
    MessageHeader header;
};

struct UnloadResponse {
    MessageHeader header;
};

struct TlConnectRequest {
    MessageHeader header;
    Guid endpoint;
    Guid service;
};
static_assert(sizeof(TlConnectRequest) == 40);

struct TlConnectResult {
    MessageHeader header;
    Guid endpoint;
    Guid service;
    std::uint32_t status = 0;
};
static_assert(sizeof(TlConnectResult) == 44);

struct ModifyChannel {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t target_vp = 0;
};
static_assert(sizeof(ModifyChannel) == 16);

struct ModifyChannelResponse {
    MessageHeader header;
    std::uint32_t relid = 0;
    std::uint32_t status = 0;
};
static_assert(sizeof(ModifyChannelResponse) == 16);

// The message table: number, struct (= name), direction, first version that has it. The parser,
// the dispatcher, the names, the size checks and the statistics come from it. Left out, hence
// unknown: 18..20 (for a paravisor only) and 25..29 (version 6.0, which is never agreed on).
#define HVSIM_VMBUS_MESSAGES(X)               \
    X(1, OfferChannel, to_guest, v2_4)        \
    X(2, RescindChannelOffer, to_guest, v2_4) \
    X(3, RequestOffers, to_host, v2_4)        \
    X(4, AllOffersDelivered, to_guest, v2_4)  \
    X(5, OpenChannel, to_host, v2_4)          \
    X(6, OpenChannelResult, to_guest, v2_4)   \
    X(7, CloseChannel, to_host, v2_4)         \
    X(8, GpadlHeader, to_host, v2_4)          \
    X(9, GpadlBody, to_host, v2_4)            \
    X(10, GpadlCreated, to_guest, v2_4)       \
    X(11, GpadlTeardown, to_host, v2_4)       \
    X(12, GpadlTorndown, to_guest, v2_4)      \
    X(13, RelIdReleased, to_host, v2_4)       \
    X(14, InitiateContact, to_host, v2_4)     \
    X(15, VersionResponse, to_guest, v2_4)    \
    X(16, Unload, to_host, v3_0)              \
    X(17, UnloadResponse, to_guest, v3_0)     \
    X(21, TlConnectRequest, to_host, v4_0)    \
    X(22, ModifyChannel, to_host, v4_1)       \
    X(23, TlConnectResult, to_guest, v4_1)    \
    X(24, ModifyChannelResponse, to_guest, v5_3)

enum class MessageType : std::uint32_t {
#define HVSIM_VMBUS_ENUM(number, Struct, direction, first) k##Struct = number,
    HVSIM_VMBUS_MESSAGES(HVSIM_VMBUS_ENUM)
#undef HVSIM_VMBUS_ENUM
};

enum class Direction : std::uint8_t { to_host, to_guest };

/// One row of the message table. `size`: of the fixed part, which every message must have whole.
struct MessageDescription {
    MessageType type;
    std::string_view name;
    Direction direction;
    std::size_t size;
    Version first_version;
};

inline constexpr std::array kMessageTable{
#define HVSIM_VMBUS_ROW(number, Struct, direction, first)                                     \
    MessageDescription{MessageType::k##Struct, #Struct, Direction::direction, sizeof(Struct), \
                       Version::first},
    HVSIM_VMBUS_MESSAGES(HVSIM_VMBUS_ROW)
#undef HVSIM_VMBUS_ROW
};

/// Row of `type` in kMessageTable; kMessageTable.size() when there is none.
constexpr std::size_t message_row(std::uint32_t type) {
    for (std::size_t row = 0; row < kMessageTable.size(); ++row)
        if (static_cast<std::uint32_t>(kMessageTable[row].type) == type) return row;
    return kMessageTable.size();
}

/// The number of each message struct, for senders.
template <typename Struct>
inline constexpr MessageType kTypeOf = MessageType{};
#define HVSIM_VMBUS_TYPE_OF(number, Struct, direction, first) \
    template <>                                               \
    inline constexpr MessageType kTypeOf<Struct> = MessageType::k##Struct;
HVSIM_VMBUS_MESSAGES(HVSIM_VMBUS_TYPE_OF)
#undef HVSIM_VMBUS_TYPE_OF

}  // namespace hvsim::vmbus::spec
