#pragma once
// The x86 Linux boot protocol: Documentation/arch/x86/boot.rst (protocol 2.15, Linux 6.1) and
// arch/x86/include/uapi/asm/bootparam.h. Offsets are the same in the kernel image and in struct
// boot_params ("zero page").
#include <cstddef>
#include <cstdint>

namespace hvsim::devices::firmware::spec {

inline constexpr std::size_t kBootParamsSize = 4096;
inline constexpr std::size_t kSectorSize = 512;

// struct boot_params outside the header.
inline constexpr std::size_t kAcpiRsdpAddress = 0x070;  // u64
inline constexpr std::size_t kE820Count = 0x1e8;        // u8
inline constexpr std::size_t kE820Table = 0x2d0;
inline constexpr std::size_t kE820EntrySize = 20;
inline constexpr std::size_t kE820MaxEntries = 128;

// struct setup_header.
inline constexpr std::size_t kHeaderBegin = 0x1f1;
inline constexpr std::size_t kHeaderRoom = 0x290;        // boot_params has no more room for it
inline constexpr std::size_t kSetupSectors = 0x1f1;      // u8, 0 means 4
inline constexpr std::size_t kSystemSize = 0x1f4;        // u32, in 16 bytes
inline constexpr std::size_t kVideoMode = 0x1fa;         // u16
inline constexpr std::size_t kBootFlag = 0x1fe;          // u16
inline constexpr std::size_t kJumpOffset = 0x201;        // u8, header ends at 0x202 + this
inline constexpr std::size_t kMagic = 0x202;             // u32
inline constexpr std::size_t kVersion = 0x206;           // u16
inline constexpr std::size_t kLoaderType = 0x210;        // u8
inline constexpr std::size_t kLoadFlags = 0x211;         // u8
inline constexpr std::size_t kCode32Start = 0x214;       // u32
inline constexpr std::size_t kRamdiskImage = 0x218;      // u32
inline constexpr std::size_t kRamdiskSize = 0x21c;       // u32
inline constexpr std::size_t kHeapEnd = 0x224;           // u16
inline constexpr std::size_t kCommandLine = 0x228;       // u32
inline constexpr std::size_t kRamdiskMax = 0x22c;        // u32, highest address of the last byte
inline constexpr std::size_t kKernelAlignment = 0x230;   // u32
inline constexpr std::size_t kRelocatable = 0x234;       // u8
inline constexpr std::size_t kExtraLoadFlags = 0x236;    // u16
inline constexpr std::size_t kCommandLineSize = 0x238;   // u32, without the terminating zero
inline constexpr std::size_t kSetupData = 0x250;         // u64
inline constexpr std::size_t kPreferredAddress = 0x258;  // u64
inline constexpr std::size_t kInitSize = 0x260;          // u32
inline constexpr std::size_t kHeaderEndAtLeast = 0x264;

inline constexpr std::uint16_t kBootFlagValue = 0xaa55;
inline constexpr std::uint32_t kMagicValue = 0x53726448;  // "HdrS"
inline constexpr std::uint16_t kVersionAtLeast = 0x020c;  // xloadflags
inline constexpr std::uint8_t kLoadedHigh = 1 << 0;
inline constexpr std::uint8_t kCanUseHeap = 1 << 7;
inline constexpr std::uint16_t kXlfKernel64 = 1 << 0;
inline constexpr std::uint8_t kLoaderUndefined = 0xff;
inline constexpr std::uint16_t kVideoNormal = 0xffff;
inline constexpr std::uint64_t kEntry64 = 0x200;  // from the start of the protected-mode part
inline constexpr std::uint16_t kBootCs = 0x10;
inline constexpr std::uint16_t kBootDs = 0x18;

}  // namespace hvsim::devices::firmware::spec
