#pragma once
// The Multiboot specification, version 0.6.96: header 3.1, machine state 3.2, information 3.3.
#include <cstddef>
#include <cstdint>

namespace hvsim::devices::firmware::spec {

// The header: within the first 8192 bytes, aligned to 4.
inline constexpr std::size_t kMultibootSearch = 8192;
inline constexpr std::uint32_t kMultibootHeaderMagic = 0x1badb002;
inline constexpr std::size_t kMultibootFlags = 4;     // u32
inline constexpr std::size_t kMultibootChecksum = 8;  // u32: magic + flags + checksum = 0
inline constexpr std::size_t kMultibootHeaderSize = 12;
inline constexpr std::size_t kMultibootHeaderAddress = 12;  // u32, and so on, with flag 16
inline constexpr std::size_t kMultibootLoadAddress = 16;
inline constexpr std::size_t kMultibootLoadEnd = 20;
inline constexpr std::size_t kMultibootBssEnd = 24;
inline constexpr std::size_t kMultibootEntry = 28;
inline constexpr std::size_t kMultibootLongHeaderSize = 32;
inline constexpr std::uint32_t kMultibootAlignModules = 1u << 0;
inline constexpr std::uint32_t kMultibootWantMemory = 1u << 1;
inline constexpr std::uint32_t kMultibootWantVideo = 1u << 2;
inline constexpr std::uint32_t kMultibootRequirements = 0xffff;
inline constexpr std::uint32_t kMultibootHasAddresses = 1u << 16;

/// EAX at the start; EBX is the information's address.
inline constexpr std::uint32_t kMultibootLoaderMagic = 0x2badb002;

// The information.
inline constexpr std::uint64_t kConventionalMemory = 0xa0000;  // bytes below the video memory
inline constexpr std::size_t kMbiFlags = 0;
inline constexpr std::size_t kMbiMemLower = 4;  // KiB from 0
inline constexpr std::size_t kMbiMemUpper = 8;  // KiB from 1 MiB
inline constexpr std::size_t kMbiCommandLine = 16;
inline constexpr std::size_t kMbiModules = 20;  // count
inline constexpr std::size_t kMbiModuleList = 24;
inline constexpr std::size_t kMbiMapLength = 44;
inline constexpr std::size_t kMbiMap = 48;
inline constexpr std::size_t kMbiLoaderName = 64;
inline constexpr std::size_t kMbiSize = 116;
inline constexpr std::uint32_t kMbiHasMemory = 1u << 0;
inline constexpr std::uint32_t kMbiHasCommandLine = 1u << 2;
inline constexpr std::uint32_t kMbiHasModules = 1u << 3;
inline constexpr std::uint32_t kMbiHasMap = 1u << 6;
inline constexpr std::uint32_t kMbiHasLoaderName = 1u << 9;

// An entry of the memory map: u32 size of the rest, u64 base, u64 length, u32 type (as e820).
inline constexpr std::size_t kMbiMapEntrySize = 24;
// A module: u32 start, u32 end, u32 string, u32 reserved.
inline constexpr std::size_t kMbiModuleSize = 16;

}  // namespace hvsim::devices::firmware::spec
