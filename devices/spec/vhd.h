#pragma once
// Microsoft, Virtual Hard Disk Image Format Specification, version 1.0 (2006): "Hard Disk Footer
// Format". All fields are big endian.
#include <array>
#include <cstdint>

namespace hvsim::devices::spec::vhd {

inline constexpr std::size_t kFooterSize = 512;
inline constexpr std::array<std::uint8_t, 8> kCookie{'c', 'o', 'n', 'e', 'c', 't', 'i', 'x'};

// Offsets of the fields.
inline constexpr std::size_t kFeatures = 8;
inline constexpr std::size_t kVersion = 12;
inline constexpr std::size_t kDataOffset = 16;
inline constexpr std::size_t kTimeStamp = 24;
inline constexpr std::size_t kCreator = 28;
inline constexpr std::size_t kCreatorVersion = 32;
inline constexpr std::size_t kCreatorHost = 36;
inline constexpr std::size_t kOriginalSize = 40;
inline constexpr std::size_t kCurrentSize = 48;
inline constexpr std::size_t kCylinders = 56;
inline constexpr std::size_t kHeads = 58;
inline constexpr std::size_t kSectorsPerTrack = 59;
inline constexpr std::size_t kDiskType = 60;
inline constexpr std::size_t kChecksum = 64;
inline constexpr std::size_t kUniqueId = 68;

inline constexpr std::uint32_t kFeaturesReserved = 2;  ///< always set
inline constexpr std::uint32_t kVersion1 = 0x00010000;
inline constexpr std::uint64_t kNoDataOffset = ~std::uint64_t{0};  ///< fixed disks
inline constexpr std::uint64_t kSectorSize = 512;

inline constexpr std::uint32_t kFixed = 2;
inline constexpr std::uint32_t kDynamic = 3;
inline constexpr std::uint32_t kDifferencing = 4;

}  // namespace hvsim::devices::spec::vhd
