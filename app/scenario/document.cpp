#include "app/scenario/document.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace hvsim::app {

std::string read_text(const std::filesystem::path& file, std::string_view hint) {
    std::error_code error;
    errno = 0;
    std::ifstream in(file, std::ios::binary);
    if (std::filesystem::is_directory(file, error) || !in) {
        const char* reason = errno != 0 ? std::strerror(errno) : "it is a folder";
        throw sim::ConfigError(fmt::format("cannot read {}: {}", file.string(), reason),
                               std::string(hint));
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

sim::SourceLocation location_of(const toml::source_region& region, const std::string& file) {
    return {region.path ? *region.path : file, region.begin.line, region.begin.column};
}

toml::table parse_document(std::string_view text, const std::string& file) {
    try {
        return toml::parse(text, file);
    } catch (const toml::parse_error& error) {
        std::string problem(error.description());
        const std::string_view lead = "Error while parsing ";
        if (problem.starts_with(lead)) problem.replace(0, lead.size(), "TOML syntax: ");
        throw sim::ConfigError(location_of(error.source(), file), problem);
    }
}

std::string found_form(const toml::node& node) {
    if (const auto* value = node.as_integer()) return fmt::format("integer {}", value->get());
    if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
    if (const auto* value = node.as_string()) {
        const std::string& text = value->get();
        if (text.size() > 60) return fmt::format("string \"{}...\"", text.substr(0, 57));
        return fmt::format("string \"{}\"", text);
    }
    if (node.is_table()) return "a table";
    if (node.is_array()) return node.as_array()->empty() ? "an empty array" : "an array";
    std::ostringstream text;
    node.visit([&text](const auto& value) {
        if constexpr (toml::is_value<decltype(value)>) text << value.get();
    });
    return fmt::format("{} {}", node.is_floating_point() ? "number" : "date or time", text.str());
}

void fail_expected(sim::SourceLocation where, std::string_view key, std::string_view expected,
                   const toml::node& node) {
    throw sim::ConfigError(std::move(where), fmt::format("{}: expected {}, found {}", key, expected,
                                                         found_form(node)));
}

std::optional<std::uint64_t> natural(const toml::node& node) {
    const auto* integer = node.as_integer();
    if (integer == nullptr || integer->get() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(integer->get());
}

}  // namespace hvsim::app
