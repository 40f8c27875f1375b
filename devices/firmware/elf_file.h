#pragma once
// An ELF executable for x86, checked.
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "devices/firmware/kernel_request.h"

namespace hvsim::devices::firmware {

struct ElfSegment {
    std::uint64_t physical = 0;
    std::uint64_t virtual_address = 0;
    std::uint64_t memory_size = 0;             ///< bytes; behind the file's part they are zero
    std::span<const std::uint8_t> file_bytes;  ///< at most memory_size
};

struct ElfFile {
    bool is_64_bit = false;
    std::uint64_t entry = 0;  ///< physical: e_entry through its segment
    std::vector<ElfSegment> segments;
    std::vector<std::span<const std::uint8_t>> notes;  ///< contents of note segments
    std::uint64_t end = 0;                             ///< behind the last byte of memory
};

bool is_elf(std::span<const std::uint8_t> file);

/// Throws ConfigError, naming the file and what was expected, when the file is no little-endian
/// x86 executable, is truncated, has segments that overlap, lie outside RAM or hold more bytes in
/// the file than in memory, or an entry point outside its segments.
ElfFile parse_elf(const KernelRequest& request);

/// Writes the segments. RAM is zero at the start, so only their file's part is written.
void load_segments(const KernelRequest& request, const ElfFile& elf, GuestMemoryWriter& memory);

/// The description of the first note of that owner (with its zero byte) and type.
std::optional<std::span<const std::uint8_t>> find_note(const ElfFile& elf, std::string_view owner,
                                                       std::uint32_t type);

}  // namespace hvsim::devices::firmware
