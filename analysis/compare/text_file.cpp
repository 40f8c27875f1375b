#include "analysis/compare/text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sim/error.h"

namespace hvsim::analysis {

std::string read_text_file(const std::filesystem::path& file) {
    std::error_code error;
    if (std::filesystem::is_directory(file, error))
        throw sim::ConfigError(fmt::format("cannot read {}: it is a folder", file.string()));
    errno = 0;
    std::ifstream in(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in)
        throw sim::ConfigError(fmt::format("cannot read {}: {}", file.string(),
                                           std::strerror(errno != 0 ? errno : EIO)));
    return text;
}

}  // namespace hvsim::analysis
