#pragma once
// Executable and Linkable Format: System V ABI, edition 4.1, chapters 4 and 5; ELF-64 object file
// format 1.5. Offsets for 32 and 64 bit files.
#include <cstddef>
#include <cstdint>

namespace hvsim::devices::firmware::spec {

inline constexpr std::uint32_t kElfMagic = 0x464c457f;  // 7f 'E' 'L' 'F'
inline constexpr std::size_t kElfClass = 4;             // u8: 1 = 32 bit, 2 = 64 bit
inline constexpr std::size_t kElfData = 5;              // u8: 1 = little endian
inline constexpr std::size_t kElfIdentSize = 16;
inline constexpr std::size_t kElfType = 16;     // u16
inline constexpr std::size_t kElfMachine = 18;  // u16
inline constexpr std::uint8_t kElfClass32 = 1, kElfClass64 = 2, kElfLittleEndian = 1;
inline constexpr std::uint16_t kElfTypeExecutable = 2;
inline constexpr std::uint16_t kElfMachine386 = 3, kElfMachineX8664 = 62;
inline constexpr std::uint32_t kElfLoad = 1, kElfNote = 4;  // p_type

/// Where the fields of the file header and of a program header lie, by class.
struct ElfLayout {
    std::size_t header_size, entry, program_offset, program_entry_size, program_count;
    std::size_t program_size, file_offset, virtual_address, physical_address, file_size,
        memory_size;
    std::size_t word;  ///< bytes of addresses, offsets and sizes
};
inline constexpr ElfLayout kElf32{52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20, 4};
inline constexpr ElfLayout kElf64{64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40, 8};

}  // namespace hvsim::devices::firmware::spec
