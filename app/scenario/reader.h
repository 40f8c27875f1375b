#pragma once
// Reads a scenario file (TOML) by the schema.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/scenario/scenario.h"

namespace hvsim::app {

struct ReadOptions {
    /// "host.processors=4", "vm[0].ram=1 GiB": replace or add single values; the value is TOML, or
    /// else a string.
    std::vector<std::string> set;
    /// Where profile names are looked up before the scenario's own surroundings.
    std::vector<std::filesystem::path> profile_folders;
    /// Whether kernel, initramfs and images must exist.
    bool check_files = true;
};

/// Reads and checks a scenario with its timing profile. Relative paths in the result are relative
/// to the scenario file's folder, joined to it. Throws sim::ConfigError with the place and a hint.
Scenario read_scenario(const std::filesystem::path& file, const ReadOptions& options = {});

/// The same for text that claims to stand in `file`.
Scenario parse_scenario(std::string_view text, const std::filesystem::path& file,
                        const ReadOptions& options = {});

}  // namespace hvsim::app
