#pragma once
// The tables of a trace, for CSV and SQLite: names, units and words in one place.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hvsim::analysis {

enum class TableId : std::uint8_t {
    trace,
    statistics,
    processor_spans,
    exits,
    interrupts,
    requests,
    disk_commands,
    queue_depths,
    console_lines,
    processor_samples,
    iommu_samples,
    events,
    argument_names,
    value_names,
    kCount
};

enum class ColumnKind : std::uint8_t {
    integer,
    word,  ///< 64 bits: an address or the like, in CSV hexadecimal
    text,
};

struct Column {
    std::string_view name;
    ColumnKind kind = ColumnKind::integer;
    std::string_view unit;
    std::string_view description;
};

struct Table {
    std::string_view name;
    std::string_view description;
    std::span<const Column> columns;
    std::string_view index;  ///< columns to search by; empty: none
};

const Table& table(TableId id);
inline constexpr std::size_t kTables = static_cast<std::size_t>(TableId::kCount);

/// A value of a row: nothing, a number, or text.
struct Cell {
    enum class Kind : std::uint8_t { nothing, number, text };
    Kind kind = Kind::nothing;
    std::uint64_t number = 0;
    std::string_view text = {};

    Cell() = default;
    Cell(std::uint64_t value) : kind(Kind::number), number(value) {}   // NOLINT: a row is a list
    Cell(std::string_view value) : kind(Kind::text), text(value) {}    // NOLINT
    Cell(const std::string& value) : kind(Kind::text), text(value) {}  // NOLINT
};

class TableSink {
  public:
    virtual ~TableSink() = default;
    /// As many cells as the table has columns.
    virtual void row(TableId id, std::span<const Cell> cells) = 0;
    /// Nothing more comes: what was written is completed.
    virtual void finish() = 0;
    /// Puts it in its place; without this nothing of it remains.
    virtual void commit() = 0;
};

}  // namespace hvsim::analysis
