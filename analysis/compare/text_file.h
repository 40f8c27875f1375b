#pragma once
#include <filesystem>
#include <string>

namespace hvsim::analysis {

/// The whole file; throws ConfigError when it cannot be read.
std::string read_text_file(const std::filesystem::path& file);

}  // namespace hvsim::analysis
