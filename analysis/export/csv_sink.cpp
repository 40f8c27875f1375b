#include "analysis/export/csv_sink.h"

#include <iterator>
#include <system_error>

#include "analysis/export/utf8.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

/// RFC 4180, section 2: text in quotes, in which a quote is doubled.
void put_text(fmt::memory_buffer& out, std::string_view text) {
    out.push_back('"');
    for (const char c : valid_utf8(text)) {
        if (c == '"') out.push_back('"');
        out.push_back(c);
    }
    out.push_back('"');
}

/// "begin_ps" has its unit; "bytes" of blocks would not.
std::string heading(const Column& column) {
    const std::string_view name = column.name, unit = column.unit;
    const bool told = name == unit || name.ends_with(fmt::format("_{}", unit));
    return unit.empty() || told ? std::string(name) : fmt::format("{} [{}]", name, unit);
}

}  // namespace

CsvSink::CsvSink(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::error_code error;
    made_folder_ = std::filesystem::create_directory(folder_, error);
    if (!std::filesystem::is_directory(folder_))
        throw sim::ConfigError(
            fmt::format("cannot make the folder {}: {}", folder_.string(),
                        error ? error.message() : std::string("there is something else")),
            "--csv names a folder, in which each table becomes a file");
    try {
        for (std::size_t i = 0; i < kTables; ++i) {
            const Table& about = table(static_cast<TableId>(i));
            files_.push_back(std::make_unique<File>(folder_ / fmt::format("{}.csv", about.name)));
            std::string line;
            for (const Column& column : about.columns) {
                if (!line.empty()) line += ',';
                line += heading(column);
            }
            fmt::format_to(std::back_inserter(files_.back()->text), "{}\r\n", line);
        }
        files_.push_back(std::make_unique<File>(folder_ / "columns.csv"));
        put_columns();
    } catch (...) {
        files_.clear();
        if (made_folder_) std::filesystem::remove(folder_, error);
        throw;
    }
}

CsvSink::~CsvSink() {
    files_.clear();
    std::error_code error;
    if (made_folder_) std::filesystem::remove(folder_, error);  // if it is empty
}

void CsvSink::put_columns() {
    fmt::memory_buffer& text = files_.back()->text;
    fmt::format_to(std::back_inserter(text), "table,column,unit,description\r\n");
    for (std::size_t i = 0; i < kTables; ++i) {
        const Table& about = table(static_cast<TableId>(i));
        for (const Column& column : about.columns) {
            fmt::format_to(std::back_inserter(text), "{},{},{},", about.name, column.name,
                           column.unit);
            put_text(text, column.description);
            text.append(std::string_view("\r\n"));
        }
    }
}

void CsvSink::row(TableId id, std::span<const Cell> cells) {
    File& file = *files_[static_cast<std::size_t>(id)];
    const auto columns = table(id).columns;
    SIM_ASSERT(cells.size() == columns.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i != 0) file.text.push_back(',');
        const Cell& cell = cells[i];
        if (cell.kind == Cell::Kind::text)
            put_text(file.text, cell.text);
        else if (cell.kind == Cell::Kind::number && columns[i].kind == ColumnKind::word)
            fmt::format_to(std::back_inserter(file.text), "{:#x}", cell.number);
        else if (cell.kind == Cell::Kind::number)
            fmt::format_to(std::back_inserter(file.text), "{}", cell.number);
    }
    file.text.append(std::string_view("\r\n"));
    if (file.text.size() >= kPiece) write(file);
}

void CsvSink::write(File& file) {
    file.output.write({file.text.data(), file.text.size()});
    file.text.clear();
}

void CsvSink::finish() {
    for (const auto& file : files_) {
        write(*file);
        file->output.finish();
    }
}

void CsvSink::commit() {
    for (const auto& file : files_) file->output.commit();
}

}  // namespace hvsim::analysis
