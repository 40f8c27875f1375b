#pragma once
// Synthetic interrupt controller: messages, event flags, ports (TLFS 11).
#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor-model/spec/identity.h"

namespace hvsim::hv {

inline constexpr unsigned kSintCount = 16;
inline constexpr unsigned kStimerCount = 4;
inline constexpr unsigned kMessageSize = 256;
inline constexpr unsigned kMessagePayloadMax = 240;
inline constexpr unsigned kEventFlagsPerSint = 2048;
inline constexpr unsigned kEventFlagsBytes = kEventFlagsPerSint / 8;

/// HV_MESSAGE_TYPE. Bit 31: made by the hypervisor.
enum class MessageType : std::uint32_t {
    none = 0,
    unmapped_gpa = 0x8000'0000,
    gpa_intercept = 0x8000'0001,
    timer_expired = 0x8000'0010,
    invalid_vp_register = 0x8000'0020,
    unrecoverable_exception = 0x8000'0021,
    unsupported_feature = 0x8000'0022,
    io_port_intercept = 0x8001'0000,
    msr_intercept = 0x8001'0001,
    cpuid_intercept = 0x8001'0002,
    exception_intercept = 0x8001'0003,
    apic_eoi = 0x8001'0004,
    halt = 0x8001'0007,
};
inline constexpr std::uint32_t kHypervisorMessage = 0x8000'0000;
inline constexpr std::uint8_t kMessagePending = 1;  ///< MessageSlot::flags bit 0

/// HV_MESSAGE: one slot of the SIMP page.
struct MessageSlot {
    std::uint32_t type = 0;
    std::uint8_t payload_size = 0;
    std::uint8_t flags = 0;
    std::uint16_t reserved = 0;
    std::uint64_t sender = 0;  ///< partition id or port id
    std::array<std::uint8_t, kMessagePayloadMax> payload{};
};
static_assert(sizeof(MessageSlot) == kMessageSize && offsetof(MessageSlot, flags) == 5 &&
              offsetof(MessageSlot, sender) == 8 && offsetof(MessageSlot, payload) == 16);

/// HV_TIMER_MESSAGE_PAYLOAD.
struct TimerMessagePayload {
    std::uint32_t timer_index = 0;
    std::uint32_t reserved = 0;
    std::uint64_t expiration_time = 0;  ///< 100 ns of reference time
    std::uint64_t delivery_time = 0;
};
static_assert(sizeof(TimerMessagePayload) == 24);

/// HV_PORT_TYPE.
enum class PortType : std::uint32_t { message = 1, event = 2, monitor = 3, doorbell = 4 };

/// HV_PORT_INFO: the fields of all types, apart; `u` in wire order.
struct PortInfo {
    std::uint32_t type = 0;
    std::uint32_t padding = 0;
    std::uint32_t target_sint = 0;
    std::uint32_t target_vp = 0;
    std::uint16_t base_flag_number = 0;  ///< event ports; else reserved
    std::uint16_t flag_count = 0;        ///< event ports; else reserved
    std::uint32_t reserved = 0;
};
static_assert(sizeof(PortInfo) == 24 && offsetof(PortInfo, base_flag_number) == 16);

/// HV_CONNECTION_INFO.
struct ConnectionInfo {
    std::uint32_t type = 0;
    std::uint32_t padding = 0;
    std::array<std::uint64_t, 3> reserved{};  ///< monitor and doorbell connections: GPA and data
};
static_assert(sizeof(ConnectionInfo) == 32);

/// HvCallGetPortProperty codes.
inline constexpr std::uint32_t kPortPropertyPostCount = 0;
inline constexpr std::uint32_t kPortPropertySignalCount = 1;

}  // namespace hvsim::hv
