#include "analysis/sweep/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "sim/error.h"

namespace hvsim::analysis {

Database::Database(std::filesystem::path file, Mode mode) : file_(std::move(file)) {
    const int flags =
        mode == Mode::create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(file_.c_str(), &database_, flags, nullptr) != SQLITE_OK) {
        const std::string problem =
            database_ != nullptr ? sqlite3_errmsg(database_) : "out of memory";
        sqlite3_close(database_);
        throw sim::ConfigError(fmt::format("{}: {}", file_.string(), problem));
    }
    sqlite3_busy_timeout(database_, 5000);
}

Database::~Database() {
    sqlite3_close(database_);
}

void Database::fail(const char* hint) const {
    throw sim::ConfigError(fmt::format("{}: {}", file_.string(), sqlite3_errmsg(database_)), hint);
}

void Database::execute(const std::string& sql) {
    if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

Database::Statement::Statement(Database& database, std::string_view sql) : database_(database) {
    if (sqlite3_prepare_v2(database_.database_, sql.data(), static_cast<int>(sql.size()),
                           &statement_, nullptr) != SQLITE_OK)
        database_.fail();
}

Database::Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Database::Statement& Database::Statement::bind(std::uint64_t value) {
    if (sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value)) != SQLITE_OK)
        database_.fail();
    return *this;
}

Database::Statement& Database::Statement::bind(std::string_view value) {
    if (sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()),
                          SQLITE_TRANSIENT) != SQLITE_OK)
        database_.fail();
    return *this;
}

bool Database::Statement::step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) database_.fail();
    sqlite3_reset(statement_);
    bound_ = 0;
    return false;
}

std::uint64_t Database::Statement::number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
}

std::string Database::Statement::text(int column) const {
    const unsigned char* text = sqlite3_column_text(statement_, column);
    return text != nullptr ? reinterpret_cast<const char*>(text) : std::string();
}

Database::Transaction::~Transaction() {
    // Nobody is left to tell of a failure, and an open transaction goes with the connection.
    if (open_) sqlite3_exec(database_.database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Database::Transaction::commit() {
    database_.execute("COMMIT");
    open_ = false;
}

}  // namespace hvsim::analysis
