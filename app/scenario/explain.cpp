#include "app/scenario/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "app/scenario/nearest.h"
#include "app/scenario/schema.h"
#include "sim/error.h"
#include "sim/timing.h"

namespace hvsim::app {
namespace {

std::string heading(const Section& section) {
    if (section.kind == SectionKind::array) return fmt::format("[[{}]]", section.path);
    return fmt::format("[{}]", section.path);
}

std::string_view timing_units(sim::TimingKind kind) {
    switch (kind) {
        case sim::TimingKind::frequency:
            return "Hz";
        case sim::TimingKind::per_byte:
            return "millicycles or ps";
        case sim::TimingKind::cost:
            return "cycles, ps, ns, us or ms";
    }
    return "";
}

/// Breaks text into lines of at most `width` letters, each after `indent`.
std::string wrapped(std::string_view text, std::size_t width, std::string_view indent) {
    std::string result;
    std::size_t column = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        const std::string_view word = text.substr(begin, end - begin);
        begin = end + 1;
        if (column > 0 && column + 1 + word.size() > width) {
            result += '\n';
            column = 0;
        }
        if (column == 0) {
            result += indent;
        } else {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
    }
    return result + '\n';
}

std::string describe_key(const Key& key, std::string_view prefix) {
    return fmt::format("  {}{} = {}, default {}\n{}", prefix, key.name, expected_form(key),
                       written_default(key), wrapped(key.text, 88, "      "));
}

std::string describe_timing(const sim::TimingDescription& row) {
    return fmt::format("  {}.{} ({})\n{}", row.section, row.key, timing_units(row.kind),
                       wrapped(row.text, 88, "      "));
}

std::string describe_section(const Section& section) {
    std::string text = heading(section) + '\n';
    if (!section.text.empty()) text += wrapped(section.text, 92, "  ");
    for (const Key& key : section.keys) text += describe_key(key, "");
    if (section.kind == SectionKind::timing)
        for (const sim::TimingDescription& row : sim::kTimingTable) text += describe_timing(row);
    return text;
}

[[noreturn]] void fail_unknown(std::string_view path) {
    std::vector<std::string> names;
    for (const Section& section : schema()) {
        if (section.path.empty()) continue;
        names.emplace_back(section.path);
        for (const Key& key : section.keys)
            names.push_back(fmt::format("{}.{}", section.path, key.name));
    }
    for (const sim::TimingDescription& row : sim::kTimingTable)
        names.push_back(fmt::format("timing.{}.{}", row.section, row.key));
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string_view near = nearest(path, views);
    throw sim::ConfigError(fmt::format("a scenario has no key or section \"{}\"", path),
                           near.empty() ? "`hvsim scenario --explain` lists them all"
                                        : fmt::format("did you mean \"{}\"?", near));
}

std::string explain_timing(std::string_view path) {
    std::string text;
    for (const sim::TimingDescription& row : sim::kTimingTable)
        if (path == row.section || path == fmt::format("{}.{}", row.section, row.key))
            text += describe_timing(row);
    return text;
}

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '|') result += '\\';
        result += c;
    }
    return result;
}

constexpr std::string_view kIntroduction =
    "# Scenario files\n"
    "\n"
    "<!-- Written by `hvsim scenario --markdown`; do not edit. -->\n"
    "\n"
    "A scenario is a [TOML](https://toml.io) file that says which server is simulated, what runs "
    "on "
    "it and what must\ncome out. `hvsim run FILE` runs it; `hvsim scenario --check FILE` only "
    "reads "
    "it; `hvsim scenario --explain KEY`\nprints what stands here. `--set KEY=VALUE` replaces a "
    "single value, for example `--set host.processors=4` or\n`--set vm[0].ram=\"1 GiB\"`.\n"
    "\n"
    "Sizes are written `\"512 MiB\"` (B, KiB, MiB, GiB, TiB) or as an integer of MiB, durations "
    "`\"10us\"` (ps, ns, us, ms,\ns, min). Paths are relative to the scenario file's folder. An "
    "unknown key is an error.\n";

constexpr std::string_view kTimingIntroduction =
    "\nA timing profile (`scenarios/profiles/*.toml`) gives every entry as `{ value, unit, source "
    "}` "
    "in a table of its\nsection, with its `name` and `description` before them. Costs in cycles "
    "are "
    "cycles of `clock.core_hz`.\n";

std::string section_document(const Section& section) {
    std::string text = fmt::format("\n## `{}`\n\n{}\n", heading(section), section.text);
    if (section.kind == SectionKind::timing) {
        text += kTimingIntroduction;
        text += "\n| entry | unit | meaning |\n|---|---|---|\n";
        for (const sim::TimingDescription& row : sim::kTimingTable)
            text += fmt::format("| `{}.{}` | {} | {} |\n", row.section, row.key,
                                timing_units(row.kind), cell(row.text));
        return text;
    }
    if (section.keys.empty()) return text;
    text += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
    for (const Key& key : section.keys) {
        const std::string fallback = written_default(key);
        const bool literal = key.fallback != nullptr && fallback != "none";
        text += fmt::format("| `{}` | {} | {} | {} |\n", key.name, cell(expected_form(key)),
                            literal ? fmt::format("`{}`", fallback) : fallback, cell(key.text));
    }
    return text;
}

}  // namespace

std::string explain(std::string_view path) {
    std::string text;
    if (path.empty()) {
        for (const Section& section : schema()) {
            if (section.path.empty()) continue;
            if (!text.empty()) text += '\n';
            text += describe_section(section);
        }
        return text;
    }
    for (const Section& section : schema()) {
        if (section.path.empty()) continue;
        if (section.path == path) return describe_section(section);
        if (section.path == parent_path(path))
            for (const Key& key : section.keys)
                if (key.name == last_part(path))
                    text += heading(section) + '\n' + describe_key(key, "");
    }
    constexpr std::string_view kTiming = "timing.";
    if (path.starts_with(kTiming)) text += explain_timing(path.substr(kTiming.size()));
    if (text.empty()) fail_unknown(path);
    return text;
}

std::string scenario_document() {
    std::string text(kIntroduction);
    for (const Section& section : schema())
        if (!section.path.empty()) text += section_document(section);
    return text;
}

}  // namespace hvsim::app
