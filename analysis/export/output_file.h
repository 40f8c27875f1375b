#pragma once
// Files that a command writes for its user: there under their names when they are whole, or not at
// all.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace hvsim::analysis {

/// Writes beside its place, under a name of its own, and takes its place in commit(). What is no
/// regular file (a pipe, a device) is written directly. Every failure of the host is a ConfigError.
class OutputFile {
  public:
    explicit OutputFile(std::filesystem::path path);
    /// Without commit() nothing remains.
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    void write(std::string_view bytes);
    /// Everything is written.
    void finish();
    /// After finish(): from now on the file is there. An older one is replaced.
    void commit();

  private:
    struct Closer {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    [[noreturn]] void fail(int error) const;

    std::filesystem::path path_;
    std::filesystem::path partial_;  // empty: written directly
    std::unique_ptr<std::FILE, Closer> file_;
};

/// Where an output of that name is put together: beside it, of this process alone.
std::filesystem::path partial_name(const std::filesystem::path& path);
/// The place of what `path` names: behind a symbolic link that to which it leads.
std::filesystem::path output_place(const std::filesystem::path& path);

}  // namespace hvsim::analysis
