#include "app/scenario/value_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/scenario/nearest.h"
#include "app/scenario/quantity.h"

namespace hvsim::app {
namespace {

bool within(const Range& range, std::uint64_t value) {
    return value >= range.least && value <= range.greatest && value % range.multiple == 0;
}

std::optional<std::uint64_t> index_of(std::span<const std::string_view> choices,
                                      std::string_view word) {
    const auto found = std::find(choices.begin(), choices.end(), word);
    if (found == choices.end()) return std::nullopt;
    return static_cast<std::uint64_t>(found - choices.begin());
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
    // Years that begin in March put the leap day last; 400 years are 146097 days.
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

std::int64_t seconds_of(const toml::date& date) {
    return days_from_civil(date.year, date.month, date.day) * 86400;
}

std::optional<std::int64_t> date_of(const toml::node& node) {
    if (const auto* value = node.as_date()) return seconds_of(value->get());
    const auto* value = node.as_date_time();
    if (value == nullptr) return std::nullopt;
    const toml::date_time& when = value->get();
    const std::int64_t offset = when.offset ? when.offset->minutes * 60 : 0;
    return seconds_of(when.date) + when.time.hour * 3600 + when.time.minute * 60 +
           when.time.second - offset;
}

/// The number of an integer, size or duration, not yet checked against its range.
std::optional<std::uint64_t> number_of(ValueType type, const toml::node& node) {
    const auto* text = node.as_string();
    const auto whole = natural(node);
    switch (type) {
        case ValueType::integer:
            return whole;
        case ValueType::size:
            if (text != nullptr) return parse_size(text->get());
            if (!whole || *whole > ~std::uint64_t{0} / kMiB) return std::nullopt;
            return *whole * kMiB;
        case ValueType::duration:
            return text != nullptr ? parse_duration(text->get()) : std::nullopt;
        default:
            return std::nullopt;
    }
}

/// One word of a choice; a near miss gets a hint.
std::uint64_t read_choice(const Key& key, const toml::node& node, const std::string& path,
                          const sim::SourceLocation& where) {
    const auto* text = node.as_string();
    if (text != nullptr) {
        if (const auto index = index_of(key.choices, text->get())) return *index;
        if (const auto near = nearest(text->get(), key.choices); !near.empty())
            throw sim::ConfigError(where,
                                   fmt::format("{}: expected {}, found {}", path,
                                               expected_form(key), found_form(node)),
                                   fmt::format("did you mean \"{}\"?", near));
    }
    fail_expected(where, path, expected_form(key), node);
}

}  // namespace

Value read_value(const Key& key, const toml::node& node, const std::string& path,
                 const sim::SourceLocation& where) {
    switch (key.type) {
        case ValueType::boolean:
            if (const auto* value = node.as_boolean()) return value->get();
            break;
        case ValueType::integer:
        case ValueType::size:
        case ValueType::duration:
            if (const auto number = number_of(key.type, node); number && within(key.range, *number))
                return *number;
            break;
        case ValueType::string:
            if (const auto* value = node.as_string()) return value->get();
            break;
        case ValueType::path:
            if (const auto* value = node.as_string(); value != nullptr && !value->get().empty())
                return std::filesystem::path(value->get());
            break;
        case ValueType::date:
            if (const auto seconds = date_of(node)) return *seconds;
            break;
        case ValueType::choice:
            return read_choice(key, node, path, where);
        case ValueType::strings:
        case ValueType::choices: {
            const auto* array = node.as_array();
            if (array == nullptr) break;
            std::vector<std::string> texts;
            std::vector<std::uint64_t> indices;
            for (std::size_t i = 0; i < array->size(); ++i) {
                const toml::node& element = *array->get(i);
                const sim::SourceLocation place = location_of(element.source(), where.file);
                const std::string element_path = fmt::format("{}[{}]", path, i);
                if (key.type == ValueType::choices)
                    indices.push_back(read_choice(key, element, element_path, place));
                else if (const auto* text = element.as_string())
                    texts.push_back(text->get());
                else
                    fail_expected(place, element_path, "a string", element);
            }
            if (key.type == ValueType::choices) return indices;
            return texts;
        }
    }
    fail_expected(where, path, expected_form(key), node);
}

Value default_value(const Key& key) {
    // Written as a scenario would write it, a default passes the same checks.
    const toml::table table = parse_document("value = " + written_default(key), "default");
    const toml::node* node = table.get("value");
    SIM_ASSERT(node != nullptr);
    return read_value(key, *node, std::string(key.name), {"default", 1, 1});
}

}  // namespace hvsim::app
