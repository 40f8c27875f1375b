#include "app/scenario/timing_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/scenario/nearest.h"
#include "app/scenario/quantity.h"
#include "hypervisor-model/reference_time.h"

namespace hvsim::app {
namespace {

using sim::kTimingTable;
using sim::TimingDescription;
using sim::TimingKind;
using sim::TimingProfile;
using sim::Uint128;

constexpr std::uint64_t kGreatestFrequency = 100'000'000'000;  // keeps products in 128 bits
constexpr std::uint64_t kGreatestCost = 1000 * sim::kSecond;

/// Entries of which the models can take a part only, in hertz or picoseconds.
struct Limit {
    std::uint64_t TimingProfile::*field;
    std::uint64_t least, greatest;
    std::string_view expected;
};
constexpr Limit kLimits[] = {
    {&TimingProfile::clock_tsc_hz, hv::kReferenceHz + 1, kGreatestFrequency,
     "a frequency above 10 MHz, that of the hypervisor's reference counter"},
    {&TimingProfile::device_disk_page, 4096, 4096 * sim::kMicrosecond,
     "a duration from 4096 ps to 4096 us (1 TB/s to 1 MB/s)"},
};

std::string full_key(const TimingDescription& row) {
    return fmt::format("{}.{}", row.section, row.key);
}

std::string_view expected_units(TimingKind kind) {
    switch (kind) {
        case TimingKind::frequency:
            return "\"Hz\"";
        case TimingKind::per_byte:
            return "\"millicycles\" or \"ps\"";
        case TimingKind::cost:
            return "\"cycles\", \"ps\", \"ns\", \"us\" or \"ms\"";
    }
    return "a unit";
}

/// Cycles in thousandths to picoseconds, rounded to the nearest.
Uint128 from_millicycles(Uint128 millicycles, std::uint64_t core_hz) {
    const Uint128 divisor = Uint128{core_hz} * 1000;
    return (millicycles * sim::kSecond + divisor / 2) / divisor;
}

struct Converted {
    Uint128 value = 0;
    bool unit_known = true;
};

Converted convert(TimingKind kind, Uint128 value, std::string_view unit, std::uint64_t core_hz) {
    if (kind == TimingKind::frequency) return {value, unit == "Hz"};
    if (unit == "ps") return {value};
    if (kind == TimingKind::per_byte)
        return {from_millicycles(value, core_hz), unit == "millicycles"};
    if (unit == "cycles") return {from_millicycles(value * 1000, core_hz)};
    if (unit == "ns") return {value * sim::kNanosecond};
    if (unit == "us") return {value * sim::kMicrosecond};
    return {value * sim::kMillisecond, unit == "ms"};
}

class EntryReader {
  public:
    /// `profile`: every entry must name its source; else the place itself is the source.
    EntryReader(TimingResult& result, const std::string& file, bool profile)
        : result_(result), file_(file), profile_(profile) {}

    void check_names(const toml::table& root, std::span<const std::string_view> other_keys) const {
        std::vector<std::string_view> sections(other_keys.begin(), other_keys.end());
        for (const TimingDescription& row : kTimingTable)
            if (std::find(sections.begin(), sections.end(), row.section) == sections.end())
                sections.push_back(row.section);
        for (const auto& [name, node] : root) {
            check_name(name, sections, "");
            if (std::find(other_keys.begin(), other_keys.end(), name.str()) != other_keys.end())
                continue;
            const toml::table* section = node.as_table();
            if (section == nullptr) fail_expected(at(node), name.str(), "a table", node);
            std::vector<std::string_view> keys;
            for (const TimingDescription& row : kTimingTable)
                if (row.section == name.str()) keys.push_back(row.key);
            for (const auto& entry : *section) check_name(entry.first, keys, name.str());
        }
    }

    /// Reads one entry; false when it is not there.
    bool read_entry(const toml::table& root, const TimingDescription& row) {
        const toml::node* section = root.get(row.section);
        const toml::table* table = section != nullptr ? section->as_table() : nullptr;
        const toml::node* node = table != nullptr ? table->get(row.key) : nullptr;
        if (node == nullptr) return false;
        const std::string key = full_key(row);
        const toml::table* entry = node->as_table();
        if (entry == nullptr)
            fail_expected(at(*node), key, "a table { value, unit, source }", *node);
        constexpr std::array<std::string_view, 3> fields{"value", "unit", "source"};
        for (const auto& field : *entry) check_name(field.first, fields, key);
        store(row, key, *node, *entry);
        return true;
    }

  private:
    void check_name(const toml::key& name, std::span<const std::string_view> known,
                    std::string_view section) const {
        if (std::find(known.begin(), known.end(), name.str()) != known.end()) return;
        const std::string_view near = nearest(name.str(), known);
        const std::string prefix = section.empty() ? "" : fmt::format("{}.", section);
        throw sim::ConfigError(location_of(name.source(), file_),
                               fmt::format("unknown timing entry \"{}{}\"", prefix, name.str()),
                               near.empty() ? "`hvsim scenario --explain timing` lists them"
                                            : fmt::format("did you mean \"{}{}\"?", prefix, near));
    }

    void store(const TimingDescription& row, const std::string& key, const toml::node& node,
               const toml::table& entry) {
        const std::uint64_t value = value_of(row, key, node, entry);
        const std::string unit = text_of(key, "unit", node, entry, expected_units(row.kind));
        const Converted converted = convert(row.kind, value, unit, result_.profile.clock_core_hz);
        if (!converted.unit_known)
            fail_expected(at(*entry.get("unit")), key + ".unit", expected_units(row.kind),
                          *entry.get("unit"));
        if (row.kind != TimingKind::frequency && converted.value > kGreatestCost)
            fail_expected(at(*entry.get("value")), key, "a cost of at most 1000 s",
                          *entry.get("value"));
        for (const Limit& limit : kLimits)
            if (limit.field == row.field &&
                (converted.value < limit.least || converted.value > limit.greatest))
                fail_expected(at(*entry.get("value")), key, limit.expected, *entry.get("value"));
        result_.profile.*row.field = static_cast<std::uint64_t>(converted.value);
        std::string source = fmt::format("{}:{}", file_, node.source().begin.line);
        if (entry.contains("source") || profile_)
            source =
                text_of(key, "source", node, entry, "where the number is from, or \"estimate\"");
        const std::size_t index = static_cast<std::size_t>(&row - kTimingTable.data());
        result_.sources[index] = {key, fmt::format("{} {}", value, unit), std::move(source)};
    }

    std::uint64_t value_of(const TimingDescription& row, const std::string& key,
                           const toml::node& node, const toml::table& entry) const {
        const bool frequency = row.kind == TimingKind::frequency;
        const toml::node* value = entry.get("value");
        if (value == nullptr)
            throw sim::ConfigError(at(node), fmt::format("{}.value is missing", key));
        const auto number = natural(*value);
        const std::uint64_t greatest = frequency ? kGreatestFrequency : kGreatestCost;
        const bool zero_allowed = row.kind == TimingKind::cost;
        if (!number || *number > greatest || (*number == 0 && !zero_allowed))
            fail_expected(at(*value), key + ".value",
                          fmt::format("an integer from {} to {}", zero_allowed ? 0 : 1, greatest),
                          *value);
        return *number;
    }

    std::string text_of(const std::string& key, std::string_view name, const toml::node& node,
                        const toml::table& entry, std::string_view expected) const {
        const toml::node* value = entry.get(name);
        if (value == nullptr)
            throw sim::ConfigError(at(node), fmt::format("{}.{} is missing", key, name),
                                   fmt::format("expected {}", expected));
        const auto* text = value->as_string();
        if (text == nullptr || text->get().empty())
            fail_expected(at(*value), fmt::format("{}.{}", key, name), expected, *value);
        return text->get();
    }

    sim::SourceLocation at(const toml::node& node) const {
        return location_of(node.source(), file_);
    }

    TimingResult& result_;
    const std::string& file_;
    bool profile_;
};

}  // namespace

TimingResult read_timing(std::string_view text, const std::string& file,
                         const toml::table* overrides, const std::string& scenario) {
    const toml::table root = parse_document(text, file);
    TimingResult result;
    result.sources.resize(kTimingTable.size());
    constexpr std::array<std::string_view, 2> heads{"name", "description"};
    EntryReader profile(result, file, true);
    EntryReader replaced(result, scenario, false);
    profile.check_names(root, heads);
    if (overrides != nullptr) replaced.check_names(*overrides, {});
    // The table's first row is the core clock, which the costs in cycles need.
    static_assert(kTimingTable[0].field == &TimingProfile::clock_core_hz);
    for (const TimingDescription& row : kTimingTable) {
        if (!profile.read_entry(root, row))
            throw sim::ConfigError({file, 0, 0},
                                   fmt::format("timing entry \"{}\" is missing", full_key(row)),
                                   std::string(row.text));
        if (overrides != nullptr) replaced.read_entry(*overrides, row);
    }
    for (const std::string_view head : heads) {
        const toml::node* node = root.get(head);
        if (node == nullptr)
            throw sim::ConfigError(sim::SourceLocation{file, 0, 0},
                                   fmt::format("{} is missing", head));
        if (!node->is_string())
            fail_expected(location_of(node->source(), file), head, "a string", *node);
        (head == "name" ? result.name : result.description) = node->as_string()->get();
    }
    return result;
}

void override_timing(TimingResult& result, std::uint64_t TimingProfile::*field, sim::Duration cost,
                     const std::string& where) {
    for (std::size_t i = 0; i < kTimingTable.size(); ++i) {
        if (kTimingTable[i].field != field) continue;
        result.profile.*field = cost;
        result.sources[i].value = format_duration(cost);
        result.sources[i].source = where;
    }
}

}  // namespace hvsim::app
