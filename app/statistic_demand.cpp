#include "app/statistic_demand.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "app/scenario/nearest.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

using Comparison = StatisticDemand::Comparison;

struct Sign {
    std::string_view text;
    Comparison comparison;
};
// The longer ones first: "<=" begins with "<".
constexpr Sign kSigns[] = {{"==", Comparison::equal},   {"!=", Comparison::unequal},
                           {"<=", Comparison::at_most}, {">=", Comparison::at_least},
                           {"<", Comparison::less},     {">", Comparison::more}};

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

bool good_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-' || c == '*';
    });
}

/// Whether `pattern` means `name`; after a star it goes back to the last one only, which is enough
/// within one part of a name.
bool means(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = std::string_view::npos, after = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            after = n;
        } else if (p < pattern.size() && pattern[p] == name[n]) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos && name[after] != '.') {
            p = star + 1;
            n = ++after;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

[[noreturn]] void fail(std::string_view text, const std::string& problem) {
    throw sim::ConfigError(fmt::format("\"{}\": {}", text, problem),
                           "write \"NAME > NUMBER\" with ==, !=, <, <=, > or >=, and a name of the "
                           "report's (hvsim run --json)");
}

}  // namespace

StatisticDemand::StatisticDemand(std::string_view text) {
    const std::size_t at = text.find_first_of("=!<>");
    if (at == std::string_view::npos) fail(text, "expected a comparison");
    const std::string_view name = trimmed(text.substr(0, at));
    std::string_view rest = text.substr(at);
    const auto* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                    [&](const Sign& s) { return rest.starts_with(s.text); });
    if (sign == std::end(kSigns)) fail(text, "expected ==, !=, <, <=, > or >=");
    if (!good_name(name)) fail(text, "expected the name of a statistic before the comparison");
    rest = trimmed(rest.substr(sign->text.size()));
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number_);
    if (rest.empty() || error != std::errc{} || end != rest.data() + rest.size())
        fail(text, "expected a decimal integer after the comparison");
    name_ = name;
    comparison_ = sign->comparison;
}

std::optional<std::uint64_t> StatisticDemand::found_in(
    const std::vector<analysis::Statistic>& statistics) const {
    std::optional<std::uint64_t> sum;
    for (const analysis::Statistic& statistic : statistics) {
        if (!means(name_, statistic.name)) continue;
        std::uint64_t next = 0;
        if (__builtin_add_overflow(sum.value_or(0), statistic.value, &next))
            next = std::numeric_limits<std::uint64_t>::max();
        sum = next;
    }
    return sum;
}

bool StatisticDemand::holds(std::uint64_t value) const noexcept {
    switch (comparison_) {
        case Comparison::equal:
            return value == number_;
        case Comparison::unequal:
            return value != number_;
        case Comparison::less:
            return value < number_;
        case Comparison::at_most:
            return value <= number_;
        case Comparison::more:
            return value > number_;
        case Comparison::at_least:
            return value >= number_;
    }
    return false;
}

std::string nearest_statistic(const std::string& name,
                              const std::vector<analysis::Statistic>& statistics) {
    std::vector<std::string_view> names;
    for (const analysis::Statistic& statistic : statistics) names.push_back(statistic.name);
    return std::string(nearest(name, names));
}

}  // namespace hvsim::app
