#pragma once
// What scenario and profile readers share: TOML nodes with their places, and errors about them. The
// only header of the program that includes the TOML parser.
#include <toml++/toml.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sim/error.h"

namespace hvsim::app {

/// The whole file's text; ConfigError when it cannot be read.
std::string read_text(const std::filesystem::path& file, std::string_view hint);

/// Parses TOML; a syntax error becomes a ConfigError with its place.
toml::table parse_document(std::string_view text, const std::string& file);

sim::SourceLocation location_of(const toml::source_region& region, const std::string& file);

/// "integer 65", "string \"four\"", "a table".
std::string found_form(const toml::node& node);

/// Throws "KEY: expected EXPECTED, found FOUND".
[[noreturn]] void fail_expected(sim::SourceLocation where, std::string_view key,
                                std::string_view expected, const toml::node& node);

/// A whole number of 0 or more.
std::optional<std::uint64_t> natural(const toml::node& node);

}  // namespace hvsim::app
