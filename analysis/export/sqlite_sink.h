#pragma once
// Tables as a database of SQLite. Comments in the tables' own SQL and the table "columns" say what
// is in them.
#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "analysis/export/tables.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hvsim::analysis {

/// Numbers of 64 bits are stored as SQLite has them, in two's complement.
class SqliteSink final : public TableSink {
  public:
    explicit SqliteSink(const std::filesystem::path& path);
    ~SqliteSink() override;

    void row(TableId id, std::span<const Cell> cells) override;
    void finish() override;
    void commit() override;

  private:
    struct Closer {
        void operator()(sqlite3* database) const noexcept;
        void operator()(sqlite3_stmt* statement) const noexcept;
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Closer>;

    [[noreturn]] void fail() const;
    void execute(const std::string& sql);
    Statement prepare(const std::string& sql);
    void bind(sqlite3_stmt* statement, int position, const Cell& cell);
    void step(sqlite3_stmt* statement);
    void make_tables();

    std::filesystem::path path_, partial_;
    std::unique_ptr<sqlite3, Closer> database_;
    std::array<Statement, kTables> inserts_;
};

}  // namespace hvsim::analysis
