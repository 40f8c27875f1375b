#pragma once
// Tables as comma-separated values (RFC 4180): a folder with one file for each, and columns.csv.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "analysis/export/output_file.h"
#include "analysis/export/tables.h"

namespace hvsim::analysis {

/// Files of these names that the folder has already are replaced; others stay.
class CsvSink final : public TableSink {
  public:
    explicit CsvSink(std::filesystem::path folder);
    ~CsvSink() override;

    void row(TableId id, std::span<const Cell> cells) override;
    void finish() override;
    void commit() override;

  private:
    static constexpr std::size_t kPiece = 1 << 16;
    struct File {
        explicit File(const std::filesystem::path& path) : output(path) {}
        OutputFile output;
        fmt::memory_buffer text;
    };
    void write(File& file);
    void put_columns();

    std::filesystem::path folder_;
    bool made_folder_ = false;
    std::vector<std::unique_ptr<File>> files_;  // by table, then that of the columns
};

}  // namespace hvsim::analysis
