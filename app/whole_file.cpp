#include "app/whole_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "sim/error.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, int error) {
    throw sim::ConfigError(
        fmt::format("cannot write {}: {}", file.string(), std::strerror(error != 0 ? error : EIO)));
}

bool write_text(const fs::path& file, std::string_view text) {
    errno = 0;
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    return out.good();
}

}  // namespace

void write_whole_file(const fs::path& file, std::string_view text) {
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    // A pipe or a device has no other name to take.
    if (fs::exists(status) && !fs::is_regular_file(status)) {
        if (!write_text(file, text)) fail(file, errno);
        return;
    }
    const fs::path target =
        fs::is_symlink(fs::symlink_status(file, error)) ? fs::weakly_canonical(file, error) : file;
    fs::path beside = target;
    beside += fmt::format(".{}.part", ::getpid());
    if (!write_text(beside, text)) {
        const int problem = errno;
        fs::remove(beside, error);
        fail(file, problem);
    }
    fs::rename(beside, target, error);
    if (!error) return;
    const int problem = error.value();
    fs::remove(beside, error);
    fail(file, problem);
}

}  // namespace hvsim::app
