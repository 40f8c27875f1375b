#include "app/sweep/parameters.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/error.h"

namespace hvsim::app {
namespace {

constexpr const char* kExample = "write --set host.iommu.iotlb_entries=16,64,256";

std::string trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

/// The pieces between commas at the outermost level.
std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> pieces;
    std::size_t begin = 0;
    int depth = 0;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            if (c == '\\' && quote == '"') ++i;
            if (c == quote) quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '[' || c == '{') {
            ++depth;
        } else if (c == ']' || c == '}') {
            --depth;
        } else if (c == ',' && depth <= 0) {
            pieces.push_back(trimmed(text.substr(begin, i - begin)));
            begin = i + 1;
        }
    }
    pieces.push_back(trimmed(text.substr(std::min(begin, text.size()))));
    return pieces;
}

}  // namespace

Parameter parse_parameter(std::string_view text) {
    const std::string option = fmt::format("--set {}", text);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
        throw sim::ConfigError(sim::SourceLocation{option, 0, 0}, "expected KEY=VALUE,VALUE,...",
                               kExample);
    Parameter parameter{trimmed(text.substr(0, equals)), split(text.substr(equals + 1))};
    if (parameter.key.empty() || parameter.key.find(' ') != std::string::npos)
        throw sim::ConfigError(sim::SourceLocation{option, 0, 0}, "that is not a key", kExample);
    for (auto value = parameter.values.begin(); value != parameter.values.end(); ++value) {
        if (value->empty())
            throw sim::ConfigError(
                sim::SourceLocation{option, 0, 0},
                parameter.values.size() == 1 ? "the list of values is empty" : "a value is empty",
                kExample);
        if (std::find(parameter.values.begin(), value, *value) != value)
            throw sim::ConfigError(sim::SourceLocation{option, 0, 0},
                                   fmt::format("the value {} stands there twice", *value));
    }
    return parameter;
}

std::vector<analysis::Settings> cross_product(const std::vector<Parameter>& parameters) {
    std::vector<analysis::Settings> points{{}};
    for (const Parameter& parameter : parameters) {
        for (const auto& [key, value] : points.front())
            if (key == parameter.key)
                throw sim::ConfigError(
                    sim::SourceLocation{fmt::format("--set {}", parameter.key), 0, 0},
                    "the key is given twice");
        if (points.size() * parameter.values.size() > kMostPoints)
            throw sim::ConfigError(fmt::format("the sweep has more than {} points", kMostPoints));
        std::vector<analysis::Settings> longer;
        for (const analysis::Settings& point : points)
            for (const std::string& value : parameter.values) {
                longer.push_back(point);
                longer.back().emplace_back(parameter.key, value);
            }
        points = std::move(longer);
    }
    return points;
}

std::vector<std::string> options_of(const analysis::Settings& settings) {
    std::vector<std::string> options;
    for (const auto& [key, value] : settings) options.push_back(fmt::format("{}={}", key, value));
    return options;
}

}  // namespace hvsim::app
