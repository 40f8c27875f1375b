#pragma once
// A SQLite database as a file of this program: every failure is a ConfigError that names the file.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace hvsim::analysis {

class Database {
  public:
    enum class Mode : std::uint8_t { create, read };
    Database(std::filesystem::path file, Mode mode);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    void execute(const std::string& sql);
    const std::filesystem::path& file() const noexcept { return file_; }

    /// A prepared statement; parameters are bound in their order, columns read by their number.
    class Statement {
      public:
        Statement(Database& database, std::string_view sql);
        ~Statement();
        Statement(const Statement&) = delete;
        Statement& operator=(const Statement&) = delete;

        Statement& bind(std::uint64_t value);
        Statement& bind(std::string_view value);
        /// True: there is a row. False: there is none left; the statement can be bound anew.
        bool step();
        /// For a statement without rows.
        void run() {
            while (step()) {
            }
        }
        std::uint64_t number(int column) const;
        std::string text(int column) const;

      private:
        Database& database_;
        sqlite3_stmt* statement_ = nullptr;
        int bound_ = 0;
    };

    /// What is written in its lifetime is in the database as a whole, or (without commit()) not.
    class Transaction {
      public:
        explicit Transaction(Database& database) : database_(database) {
            database_.execute("BEGIN IMMEDIATE");
        }
        ~Transaction();
        Transaction(const Transaction&) = delete;
        Transaction& operator=(const Transaction&) = delete;
        void commit();

      private:
        Database& database_;
        bool open_ = true;
    };

  private:
    [[noreturn]] void fail(const char* hint = "") const;

    std::filesystem::path file_;
    sqlite3* database_ = nullptr;
};

}  // namespace hvsim::analysis
