#include "analysis/compare/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "analysis/quantity_text.h"

namespace hvsim::analysis {
namespace {

constexpr std::string_view kCacheTable = "translation";

void add_percentiles(std::vector<Number>& numbers, const Distribution& distribution) {
    const Percentiles& p = distribution.percentiles;
    const auto add = [&](const char* name, std::uint64_t value, const std::string& unit) {
        numbers.push_back(
            {NumberGroup::distribution, fmt::format("{}.{}", distribution.key, name), value, unit});
    };
    add("count", p.count, "count");
    add("least", p.least, distribution.unit);
    add("p50", p.p50, distribution.unit);
    add("p90", p.p90, distribution.unit);
    add("p99", p.p99, distribution.unit);
    add("greatest", p.greatest, distribution.unit);
    add("mean", p.mean, distribution.unit);
}

/// Distance by the greater value, for sorting: in millionths.
std::uint64_t weight(const NumberDifference& difference) {
    const std::uint64_t greater = std::max(difference.a, difference.b);
    const std::uint64_t distance = greater - std::min(difference.a, difference.b);
    return static_cast<std::uint64_t>(static_cast<sim::Uint128>(distance) * 1'000'000 / greater);
}

bool covers(const NumberSet& set, const Number& number) {
    if (set.events_only)
        return number.group == NumberGroup::table || number.group == NumberGroup::distribution;
    return !set.keys_only || is_key_number({number.group, number.name, 1, number.unit});
}

}  // namespace

std::string_view to_string(NumberGroup group) {
    constexpr std::array<std::string_view, 4> names{"total", "table", "distribution", "statistic"};
    return names[static_cast<std::size_t>(group)];
}

std::vector<Number> numbers_of(const RunResult& result) {
    std::vector<Number> numbers;
    const auto total = [&](const char* name, std::uint64_t value, const char* unit) {
        numbers.push_back({NumberGroup::total, name, value, unit});
    };
    total("virtual_time", result.virtual_time, "ps");
    total("code_bytes", result.code_bytes, "bytes");
    total("instructions", result.instructions, "count");
    total("greatest_overshoot", result.greatest_overshoot, "ps");
    for (const Table& table : result.tables) {
        if (table.key == kCacheTable) continue;
        for (const Row& row : table.rows)
            for (std::size_t i = 0; i < table.columns.size(); ++i)
                numbers.push_back(
                    {NumberGroup::table,
                     fmt::format("{}.{}.{}", table.key, row.name, table.columns[i].key),
                     row.values[i], table.columns[i].unit});
    }
    for (const Distribution& distribution : result.distributions)
        add_percentiles(numbers, distribution);
    for (const Statistic& statistic : result.statistics)
        numbers.push_back(
            {NumberGroup::statistic, statistic.name, statistic.value, statistic.unit});
    return numbers;
}

bool is_key_number(const Number& number) {
    constexpr std::array<std::string_view, 4> tables{"vm_exits.", "hypercalls.", "exceptions.",
                                                     "interrupts_accepted."};
    const std::string_view name = number.name;
    switch (number.group) {
        case NumberGroup::total:
            return name != "instructions";  // not exact where exits end blocks of code
        case NumberGroup::statistic:
            return number.value != 0;
        case NumberGroup::table:
            return name.ends_with(".count") &&
                   std::any_of(tables.begin(), tables.end(),
                               [&](std::string_view table) { return name.starts_with(table); });
        case NumberGroup::distribution:
            break;
    }
    return false;
}

std::vector<NumberDifference> differing_numbers(const NumberSet& a, const NumberSet& b) {
    std::vector<std::pair<NumberDifference, bool>> all;  // and whether both sides tell of it
    std::map<std::pair<NumberGroup, std::string_view>, std::size_t> places;
    for (const Number& number : a.numbers) {
        places[{number.group, number.name}] = all.size();
        all.push_back(
            {{number.name, number.unit, number.value, 0}, covers(a, number) && covers(b, number)});
    }
    for (const Number& number : b.numbers) {
        if (const auto found = places.find({number.group, number.name}); found != places.end())
            all[found->second].first.b = number.value;
        else
            all.push_back({{number.name, number.unit, 0, number.value},
                           covers(a, number) && covers(b, number)});
    }
    std::vector<NumberDifference> differing;
    for (auto& [difference, told] : all)
        if (told && difference.a != difference.b) differing.push_back(std::move(difference));
    std::stable_sort(differing.begin(), differing.end(),
                     [](const auto& x, const auto& y) { return weight(x) > weight(y); });
    return differing;
}

std::string relative_text(const NumberDifference& difference) {
    if (difference.a == 0) return "new";
    if (difference.b == 0) return "gone";
    const double from = static_cast<double>(difference.a);
    return fmt::format("{:+.2f} %", (static_cast<double>(difference.b) - from) * 100 / from);
}

std::string absolute_text(const NumberDifference& difference) {
    const bool less = difference.b < difference.a;
    const std::uint64_t distance = less ? difference.a - difference.b : difference.b - difference.a;
    return fmt::format("{}{}", less ? '-' : '+', value_text(distance, difference.unit));
}

}  // namespace hvsim::analysis
