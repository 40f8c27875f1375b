#pragma once
#include <filesystem>
#include <string_view>

namespace hvsim::app {

/// Writes the file anew, whole or not at all: the text goes to a file beside it that then takes its
/// name. Throws sim::ConfigError when that fails; nothing is left behind then.
void write_whole_file(const std::filesystem::path& file, std::string_view text);

}  // namespace hvsim::app
