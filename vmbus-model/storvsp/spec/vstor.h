#pragma once
// The storage protocol on a VMBus channel: every packet has these 64 bytes (sources as in
// vmbus-model/spec/protocol.h: Linux 6.1 storvsc_drv.c, OpenVMM storvsp_protocol).
#include <array>
#include <cstddef>
#include <cstdint>

namespace hvsim::vmbus::storvsp::spec {

enum class Operation : std::uint32_t {
    complete_io = 1,
    remove_device = 2,
    execute_srb = 3,
    reset_lun = 4,
    reset_adapter = 5,
    reset_bus = 6,
    begin_initialization = 7,
    end_initialization = 8,
    query_protocol_version = 9,
    query_properties = 10,
    enumerate_bus = 11,
    fchba_data = 12,
    create_sub_channels = 13,
};

// NTSTATUS values of PacketHeader.status.
inline constexpr std::uint32_t kSuccess = 0;
inline constexpr std::uint32_t kInvalidParameter = 0xc000'000d;
inline constexpr std::uint32_t kInvalidDeviceRequest = 0xc000'0010;
inline constexpr std::uint32_t kRevisionMismatch = 0xc000'0059;
inline constexpr std::uint32_t kDeviceDoesNotExist = 0xc000'00c0;
inline constexpr std::uint32_t kCancelled = 0xc000'0120;
inline constexpr std::uint32_t kInvalidDeviceState = 0xc000'0184;
inline constexpr std::uint32_t kIoDeviceError = 0xc000'0185;

// Protocol versions, major << 8 | minor.
inline constexpr std::uint16_t kVersion5_1 = 0x0501;
inline constexpr std::uint16_t kVersion6_0 = 0x0600;
inline constexpr std::uint16_t kVersion6_2 = 0x0602;

struct PacketHeader {
    std::uint32_t operation = 0;
    std::uint32_t flags = 0;
    std::uint32_t status = 0;
};

/// EXECUTE_SRB. `cdb` becomes sense data in the reply.
struct ScsiRequest {
    std::uint16_t length = 0;  ///< 52
    std::uint8_t srb_status = 0;
    std::uint8_t scsi_status = 0;
    std::uint8_t port = 0;
    std::uint8_t path = 0;
    std::uint8_t target = 0;
    std::uint8_t lun = 0;
    std::uint8_t cdb_length = 0;
    std::uint8_t sense_length = 0;
    std::uint8_t data_in = 0;  ///< 0 to the device, 1 from the device, 2 neither
    std::uint8_t reserved = 0;
    std::uint32_t data_transfer_length = 0;
    std::array<std::uint8_t, 20> cdb{};
    std::uint16_t reserved2 = 0;
    std::uint8_t queue_tag = 0;
    std::uint8_t queue_action = 0;
    std::uint32_t srb_flags = 0;
    std::uint32_t timeout = 0;  ///< seconds
    std::uint32_t queue_sort_key = 0;
};
static_assert(sizeof(ScsiRequest) == 52 && offsetof(ScsiRequest, data_transfer_length) == 12 &&
              offsetof(ScsiRequest, cdb) == 16 && offsetof(ScsiRequest, srb_flags) == 40);

struct ProtocolVersion {
    std::uint16_t major_minor = 0;
    std::uint16_t revision = 0;
};

struct ChannelProperties {
    std::uint32_t reserved = 0;
    std::uint16_t max_subchannels = 0;
    std::uint16_t reserved1 = 0;
    std::uint32_t flags = 0;
    std::uint32_t max_transfer_bytes = 0;
    std::array<std::uint32_t, 2> reserved2{};
};
static_assert(sizeof(ChannelProperties) == 24);
inline constexpr std::uint32_t kMultiChannel = 1;  ///< ChannelProperties.flags

/// A whole packet; `body` starts with one of the structs above.
struct Packet {
    PacketHeader header;
    std::array<std::uint8_t, 52> body{};
};
static_assert(sizeof(Packet) == 64 && offsetof(Packet, body) == 12);
static_assert(sizeof(ScsiRequest) <= sizeof(Packet::body));

// ScsiRequest.srb_status.
inline constexpr std::uint8_t kSrbSuccess = 0x01;
inline constexpr std::uint8_t kSrbAborted = 0x02;
inline constexpr std::uint8_t kSrbError = 0x04;
inline constexpr std::uint8_t kSrbInvalidRequest = 0x06;
inline constexpr std::uint8_t kSrbInvalidLun = 0x20;
inline constexpr std::uint8_t kSrbAutosenseValid = 0x80;

inline constexpr std::uint8_t kMaxPath = 7;
inline constexpr std::uint8_t kMaxTarget = 1;

}  // namespace hvsim::vmbus::storvsp::spec
