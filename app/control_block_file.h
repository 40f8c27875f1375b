#pragma once
// Files of dumped control blocks: text, made by `hvsim run --vmcs`, printed by `hvsim vmcs`.
//
//   hvsim control blocks, version 1
//   # comments and empty lines
//   [dump 1]
//   block = VMCS 0x101000
//   occasion = exit 12, cpuid
//   wanted = cpuid                      the condition that was met
//   time = 0.000012345678 s
//   processor = lp0
//   GUEST_CR0 0x6800 0x0000000080000031  PE ET NE PG
//   ...                                 name, number, value, meaning
//   [end]
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hvsim::app {

inline constexpr std::string_view kControlBlockMagic = "hvsim control blocks, version 1";

struct DumpedField {
    std::string name;
    std::uint64_t number = 0;
    std::uint64_t value = 0;
    std::string digits;   ///< the value as it is written
    std::string meaning;  ///< may be empty
};
struct DumpedBlock {
    std::uint64_t number = 0;
    bool is_vmcs = false;
    std::uint64_t address = 0;
    std::string occasion, wanted, time, processor;
    std::vector<DumpedField> fields;
};

/// Throws ConfigError with file and line where it is no such file, or a damaged one.
std::vector<DumpedBlock> read_control_blocks(const std::filesystem::path& path);

struct BlockSelection {
    std::optional<std::uint64_t> dump;  ///< only that one
    bool differences = false;  ///< only fields that the dump before, of the same block, had
                               ///< otherwise
    std::string field;         ///< only fields whose name contains it
};
void print_control_blocks(const std::vector<DumpedBlock>& blocks, const BlockSelection& selection,
                          std::ostream& out);

}  // namespace hvsim::app
