#pragma once
// SCSI numbers: SPC-4 (r37), SBC-3 (r36), SAM-5. All integers in SCSI data are big endian.
#include <cstdint>

namespace hvsim::vmbus::storvsp::spec {

enum class Opcode : std::uint8_t {
    test_unit_ready = 0x00,
    request_sense = 0x03,
    read_6 = 0x08,
    write_6 = 0x0a,
    inquiry = 0x12,
    mode_sense_6 = 0x1a,
    start_stop_unit = 0x1b,
    read_capacity_10 = 0x25,
    read_10 = 0x28,
    write_10 = 0x2a,
    verify_10 = 0x2f,
    synchronize_cache_10 = 0x35,
    unmap = 0x42,
    mode_sense_10 = 0x5a,
    read_16 = 0x88,
    write_16 = 0x8a,
    verify_16 = 0x8f,
    synchronize_cache_16 = 0x91,
    service_action_in_16 = 0x9e,
    report_luns = 0xa0,
    read_12 = 0xa8,
    write_12 = 0xaa,
    verify_12 = 0xaf,
};
inline constexpr std::uint8_t kReadCapacity16 = 0x10;  ///< service action of 0x9e

inline constexpr std::uint8_t kStatusGood = 0x00;
inline constexpr std::uint8_t kStatusCheckCondition = 0x02;
inline constexpr std::uint8_t kStatusBusy = 0x08;

/// Sense key, additional sense code and qualifier (SPC-4 4.5).
struct Sense {
    std::uint8_t key = 0;
    std::uint8_t code = 0;
    std::uint8_t qualifier = 0;
    bool operator==(const Sense&) const = default;
};
inline constexpr Sense kNoSense{0x0, 0x00, 0x00};
inline constexpr Sense kNotReady{0x2, 0x04, 0x00};
inline constexpr Sense kWriteError{0x3, 0x0c, 0x00};
inline constexpr Sense kUnrecoveredRead{0x3, 0x11, 0x00};
inline constexpr Sense kInternalTargetFailure{0x4, 0x44, 0x00};
inline constexpr Sense kParameterListLength{0x5, 0x1a, 0x00};
inline constexpr Sense kInvalidOpcode{0x5, 0x20, 0x00};
inline constexpr Sense kLbaOutOfRange{0x5, 0x21, 0x00};
inline constexpr Sense kInvalidFieldInCdb{0x5, 0x24, 0x00};
inline constexpr Sense kInvalidFieldInParameters{0x5, 0x26, 0x00};
inline constexpr Sense kSavingNotSupported{0x5, 0x39, 0x00};
inline constexpr Sense kWriteProtected{0x7, 0x27, 0x00};

inline constexpr std::size_t kFixedSenseSize = 18;  ///< SPC-4 4.5.3
inline constexpr std::uint8_t kFixedSenseCurrent = 0x70;

// Vital product data pages (SPC-4 7.8, SBC-3 6.5) and mode pages.
inline constexpr std::uint8_t kVpdSupported = 0x00;
inline constexpr std::uint8_t kVpdSerialNumber = 0x80;
inline constexpr std::uint8_t kVpdIdentification = 0x83;
inline constexpr std::uint8_t kVpdBlockLimits = 0xb0;
inline constexpr std::uint8_t kVpdCharacteristics = 0xb1;
inline constexpr std::uint8_t kVpdProvisioning = 0xb2;
inline constexpr std::uint8_t kModeCaching = 0x08;
inline constexpr std::uint8_t kModeControl = 0x0a;
inline constexpr std::uint8_t kModeAll = 0x3f;

/// Peripheral qualifier 3, type 1Fh: no such logical unit (SPC-4 6.6.2).
inline constexpr std::uint8_t kNoLogicalUnit = 0x7f;

}  // namespace hvsim::vmbus::storvsp::spec
