#pragma once
// A row of a device's register table. Dispatch, widths and the fidelity page follow from the
// tables.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hvsim::devices::spec {

enum class Access : std::uint8_t { read_only, write_only, read_write, read_write_1_clear };

/// How much of a register the model has: behaviour, storage only, or nothing (reads as zero).
enum class Fidelity : std::uint8_t { functional, stored, absent };

struct RegisterRow {
    std::uint32_t offset;  ///< bytes from the block's start
    std::uint8_t width;    ///< bytes
    std::string_view name;
    Access access;
    Fidelity fidelity;
    std::string_view section;  ///< of the document that the table's file names
};

/// The row that holds the byte at `offset`; nullptr if none does. Rows do not overlap.
constexpr const RegisterRow* find_register(std::span<const RegisterRow> table,
                                           std::uint64_t offset) noexcept {
    for (const RegisterRow& row : table)
        if (offset >= row.offset && offset - row.offset < row.width) return &row;
    return nullptr;
}

/// True if the rows stand in offset order without overlap: every table asserts it.
constexpr bool in_offset_order(std::span<const RegisterRow> table) noexcept {
    for (std::size_t i = 1; i < table.size(); ++i)
        if (table[i].offset < table[i - 1].offset + table[i - 1].width) return false;
    return true;
}

}  // namespace hvsim::devices::spec
