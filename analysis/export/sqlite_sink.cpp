#include "analysis/export/sqlite_sink.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <system_error>

#include "analysis/export/output_file.h"
#include "analysis/export/utf8.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

std::string create_statement(const Table& about) {
    std::string sql = fmt::format("CREATE TABLE {} (  -- {}\n", about.name, about.description);
    for (std::size_t i = 0; i < about.columns.size(); ++i) {
        const Column& column = about.columns[i];
        const bool last = i + 1 == about.columns.size();
        sql += fmt::format("    {} {}{}", column.name,
                           column.kind == ColumnKind::text ? "TEXT" : "INTEGER", last ? "" : ",");
        if (!column.unit.empty() || !column.description.empty()) sql += "  --";
        if (!column.unit.empty()) sql += fmt::format(" [{}]", column.unit);
        if (!column.description.empty()) sql += fmt::format(" {}", column.description);
        sql += '\n';
    }
    return sql + ")";
}

std::string insert_statement(const Table& about) {
    std::string sql = fmt::format("INSERT INTO {} VALUES (", about.name);
    for (std::size_t i = 0; i < about.columns.size(); ++i) sql += i == 0 ? "?" : ", ?";
    return sql + ")";
}

}  // namespace

void SqliteSink::Closer::operator()(sqlite3* database) const noexcept {
    sqlite3_close(database);
}

void SqliteSink::Closer::operator()(sqlite3_stmt* statement) const noexcept {
    sqlite3_finalize(statement);
}

SqliteSink::SqliteSink(const std::filesystem::path& path) : path_(output_place(path)) {
    std::error_code ignored;
    const auto status = std::filesystem::status(path_, ignored);
    if (exists(status) && !is_regular_file(status))
        throw sim::ConfigError(fmt::format("cannot write {}: it is no file", path_.string()));
    partial_ = partial_name(path_);
    std::filesystem::remove(partial_, ignored);
    sqlite3* database = nullptr;
    const int opened = sqlite3_open_v2(partial_.c_str(), &database,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    database_.reset(database);
    try {
        if (opened != SQLITE_OK) fail();
        // Until commit() nobody else sees the file: it needs neither a journal nor locks.
        execute(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN");
        make_tables();
    } catch (...) {
        database_.reset();
        std::filesystem::remove(partial_, ignored);
        throw;
    }
}

SqliteSink::~SqliteSink() {
    inserts_ = {};
    database_.reset();
    std::error_code ignored;
    if (!partial_.empty()) std::filesystem::remove(partial_, ignored);
}

void SqliteSink::fail() const {
    const char* const why =
        database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(SQLITE_NOMEM);
    throw sim::ConfigError(fmt::format("cannot write {}: {}", path_.string(), why));
}

void SqliteSink::execute(const std::string& sql) {
    if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

SqliteSink::Statement SqliteSink::prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
        fail();
    return Statement(statement);
}

void SqliteSink::bind(sqlite3_stmt* statement, int position, const Cell& cell) {
    int result = SQLITE_OK;
    if (cell.kind == Cell::Kind::nothing) {
        result = sqlite3_bind_null(statement, position);
    } else if (cell.kind == Cell::Kind::number) {
        result = sqlite3_bind_int64(statement, position, static_cast<std::int64_t>(cell.number));
    } else {
        const std::string text = valid_utf8(cell.text);
        result = sqlite3_bind_text(statement, position, text.data(), static_cast<int>(text.size()),
                                   SQLITE_TRANSIENT);
    }
    if (result != SQLITE_OK) fail();
}

void SqliteSink::step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) fail();
}

void SqliteSink::make_tables() {
    execute(
        "CREATE TABLE columns (  -- What the columns of all other tables are\n"
        "    \"table\" TEXT,\n    \"column\" TEXT,\n    unit TEXT,\n    description TEXT\n)");
    const Statement columns = prepare("INSERT INTO columns VALUES (?, ?, ?, ?)");
    for (std::size_t i = 0; i < kTables; ++i) {
        const Table& about = table(static_cast<TableId>(i));
        execute(create_statement(about));
        inserts_[i] = prepare(insert_statement(about));
        for (const Column& column : about.columns) {
            bind(columns.get(), 1, about.name);
            bind(columns.get(), 2, column.name);
            bind(columns.get(), 3, column.unit);
            bind(columns.get(), 4, column.description);
            step(columns.get());
        }
    }
}

void SqliteSink::row(TableId id, std::span<const Cell> cells) {
    SIM_ASSERT(cells.size() == table(id).columns.size());
    sqlite3_stmt* const statement = inserts_[static_cast<std::size_t>(id)].get();
    for (std::size_t i = 0; i < cells.size(); ++i)
        bind(statement, static_cast<int>(i + 1), cells[i]);
    step(statement);
}

void SqliteSink::finish() {
    for (std::size_t i = 0; i < kTables; ++i) {
        const Table& about = table(static_cast<TableId>(i));
        if (!about.index.empty())
            execute(fmt::format("CREATE INDEX {0}_by ON {0} ({1})", about.name, about.index));
    }
    execute("COMMIT");
    inserts_ = {};
    if (sqlite3_close(database_.get()) != SQLITE_OK) fail();
    static_cast<void>(database_.release());
}

void SqliteSink::commit() {
    std::error_code error;
    std::filesystem::rename(partial_, path_, error);
    if (error)
        throw sim::ConfigError(fmt::format("cannot write {}: {}", path_.string(), error.message()));
    partial_.clear();
}

}  // namespace hvsim::analysis
