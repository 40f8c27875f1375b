#include "analysis/export/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "sim/error.h"

namespace hvsim::analysis {

std::filesystem::path partial_name(const std::filesystem::path& path) {
    std::filesystem::path name = path;
    name += fmt::format(".{}.partial", getpid());
    return name;
}

std::filesystem::path output_place(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::is_symlink(path, error)) return path;
    std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
    return error ? path : target;
}

OutputFile::OutputFile(std::filesystem::path path) : path_(output_place(path)) {
    std::error_code ignored;
    const auto status = std::filesystem::status(path_, ignored);
    if (status.type() == std::filesystem::file_type::directory) fail(EISDIR);
    const bool replace = !exists(status) || is_regular_file(status);
    if (replace) partial_ = partial_name(path_);
    file_.reset(std::fopen((replace ? partial_ : path_).c_str(), "wb"));
    if (file_) return;
    const int error = errno;
    partial_.clear();
    fail(error);
}

OutputFile::~OutputFile() {
    file_.reset();
    std::error_code ignored;
    if (!partial_.empty()) std::filesystem::remove(partial_, ignored);
}

void OutputFile::fail(int error) const {
    throw sim::ConfigError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(error)),
                           error == ENOSPC || error == EFBIG
                               ? "nothing of it was kept; make room and export again"
                               : "");
}

void OutputFile::write(std::string_view bytes) {
    errno = 0;
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
        fail(errno != 0 ? errno : EIO);
}

void OutputFile::finish() {
    errno = 0;
    if (std::fclose(file_.release()) != 0) fail(errno != 0 ? errno : EIO);
}

void OutputFile::commit() {
    if (partial_.empty()) return;
    std::error_code error;
    std::filesystem::rename(partial_, path_, error);
    if (error) fail(error.value());
    partial_.clear();
}

}  // namespace hvsim::analysis
