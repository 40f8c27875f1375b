#pragma once
// The x86/HVM direct boot ABI ("PVH"): Xen's docs/misc/pvh.pandoc and the start information of
// public/arch-x86/hvm/start_info.h, version 1.
#include <cstddef>
#include <cstdint>

namespace hvsim::devices::firmware::spec {

// The ELF note that holds the 32-bit entry point's physical address.
inline constexpr std::uint32_t kPvhNoteType = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
inline constexpr char kPvhNoteOwner[] = "Xen";     // with its zero byte

inline constexpr std::uint32_t kPvhMagic = 0x336ec578;
inline constexpr std::uint32_t kPvhVersion = 1;       // with the memory map
inline constexpr std::size_t kPvhVersionField = 4;    // u32
inline constexpr std::size_t kPvhFlags = 8;           // u32
inline constexpr std::size_t kPvhModules = 12;        // u32
inline constexpr std::size_t kPvhModuleList = 16;     // u64
inline constexpr std::size_t kPvhCommandLine = 24;    // u64
inline constexpr std::size_t kPvhRsdp = 32;           // u64
inline constexpr std::size_t kPvhMemoryMap = 40;      // u64
inline constexpr std::size_t kPvhMemoryEntries = 48;  // u32
inline constexpr std::size_t kPvhInfoSize = 56;

// A module: u64 address, size, command line, reserved. A map entry: u64 address, size, u32 type
// (as e820), u32 reserved.
inline constexpr std::size_t kPvhModuleSize = 32;
inline constexpr std::size_t kPvhMapEntrySize = 24;

}  // namespace hvsim::devices::firmware::spec
