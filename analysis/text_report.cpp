#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <span>

#include "analysis/quantity_text.h"
#include "analysis/report.h"

namespace hvsim::analysis {
namespace {

using Cells = std::vector<std::string>;

/// Rows of cells: the first column to the left, the others to the right.
void print_rows(std::string& out, const std::vector<Cells>& rows) {
    std::vector<std::size_t> widths;
    for (const Cells& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const Cells& row : rows) {
        std::string line = fmt::format("  {:<{}}", row[0], widths[0]);
        for (std::size_t i = 1; i < row.size(); ++i)
            line += fmt::format("  {:>{}}", row[i], widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
}

void print_heading(std::string& out, std::string_view title) {
    fmt::format_to(std::back_inserter(out), "\n{}\n", title);
}

/// Name and value, both to the left.
void print_pairs(std::string& out, const std::vector<NamedText>& pairs) {
    std::size_t width = 0;
    for (const auto& [name, value] : pairs) width = std::max(width, name.size());
    for (const auto& [name, value] : pairs)
        fmt::format_to(std::back_inserter(out), "  {:<{}}  {}\n", name, width, value);
}

/// amount for each second of wall time, in millions with two decimals.
std::string millions_a_second(std::uint64_t amount, std::uint64_t wall_ns) {
    const sim::Uint128 hundredths =
        sim::Uint128{amount} * 100'000 / std::max<std::uint64_t>(wall_ns, 1);
    const auto value = static_cast<std::uint64_t>(hundredths);
    return fmt::format("{}.{:02}", value / 100, value % 100);
}

void print_time(std::string& out, const RunResult& result) {
    print_heading(out, "Time and speed");
    std::vector<NamedText> pairs;
    const std::uint64_t wall_ps = result.wall_ns * sim::kNanosecond;
    pairs.push_back({"virtual time", exact_seconds(result.virtual_time) + " s"});
    pairs.push_back({"wall time", duration_text(wall_ps)});
    if (result.virtual_time > 0 && wall_ps > 0) {
        const sim::Uint128 permille = sim::Uint128{wall_ps} * 1000 / result.virtual_time;
        const auto slowdown = static_cast<std::uint64_t>(permille);
        pairs.push_back({"slowdown", fmt::format("{}.{:03}", slowdown / 1000, slowdown % 1000)});
    }
    pairs.push_back({"code bytes", grouped(result.code_bytes)});
    pairs.push_back({"instructions", grouped(result.instructions)});
    if (result.wall_ns > 0)
        pairs.push_back(
            {"speed", millions_a_second(result.code_bytes, result.wall_ns) + " MB code/s, " +
                          millions_a_second(result.instructions, result.wall_ns) + " MIPS"});
    pairs.push_back({"quantum", duration_text(result.quantum)});
    pairs.push_back({"timer overshoot", "at most " + duration_text(result.greatest_overshoot)});
    print_pairs(out, pairs);
}

/// Tables that only count are cut behind this many rows; what is left is summed up.
constexpr std::size_t kRowsShown = 20;

void print_table(std::string& out, const Table& table) {
    print_heading(out, table.title);
    std::vector<Cells> rows{{table.name_title}};
    for (const Column& column : table.columns) rows[0].push_back(column.title);
    const bool cut = table.columns.size() == 1 && table.rows.size() > kRowsShown;
    const std::size_t shown = cut ? kRowsShown - 1 : table.rows.size();
    std::uint64_t rest = 0;
    for (std::size_t i = shown; i < table.rows.size(); ++i) rest += table.rows[i].values[0];
    for (const Row& row : std::span(table.rows).first(shown)) {
        Cells& cells = rows.emplace_back();
        cells.push_back(row.name);
        for (std::size_t i = 0; i < table.columns.size(); ++i)
            cells.push_back(value_text(row.values[i], table.columns[i].unit));
    }
    if (cut)
        rows.push_back({fmt::format("{} others", table.rows.size() - shown),
                        value_text(rest, table.columns[0].unit)});
    print_rows(out, rows);
}

void print_distributions(std::string& out, const RunResult& result) {
    if (result.distributions.empty()) return;
    print_heading(out, "Latencies");
    std::vector<Cells> rows{
        {"what", "count", "least", "median", "90 %", "99 %", "greatest", "mean"}};
    for (const Distribution& distribution : result.distributions) {
        const Percentiles& p = distribution.percentiles;
        Cells& cells = rows.emplace_back();
        cells = {distribution.title, grouped(p.count)};
        for (const std::uint64_t value : {p.least, p.p50, p.p90, p.p99, p.greatest, p.mean})
            cells.push_back(value_text(value, distribution.unit));
    }
    print_rows(out, rows);
}

/// Statistics by the first part of their names, in the order of first appearance; zeros say
/// nothing to a person.
void print_statistics(std::string& out, const RunResult& result) {
    std::vector<std::string> order;
    std::map<std::string, std::vector<Cells>> groups;
    for (const Statistic& statistic : result.statistics) {
        if (statistic.value == 0) continue;
        const std::size_t dot = statistic.name.find('.');
        const std::string group = statistic.name.substr(0, dot);
        if (!groups.contains(group)) order.push_back(group);
        groups[group].push_back({dot == std::string::npos ? group : statistic.name.substr(dot + 1),
                                 value_text(statistic.value, statistic.unit),
                                 statistic.description});
    }
    for (const std::string& group : order) {
        print_heading(out, "Statistics of " + group);
        std::size_t name = 0, value = 0;
        for (const Cells& cells : groups[group]) {
            name = std::max(name, cells[0].size());
            value = std::max(value, cells[1].size());
        }
        for (const Cells& cells : groups[group])
            fmt::format_to(std::back_inserter(out), "  {:<{}}  {:>{}}  {}\n", cells[0], name,
                           cells[1], value, cells[2]);
    }
}

void print_failure(std::string& out, const Failure& failure) {
    print_heading(out, "First failure of a VM entry or of an extension's instruction");
    std::vector<NamedText> pairs;
    pairs.push_back({"what", fmt::format("{}: {}", failure.what, failure.outcome)});
    pairs.push_back({"rule", fmt::format("{} ({}) demands of {}: {}", failure.rule, failure.section,
                                         failure.field, failure.demand)});
    std::string found = fmt::format("{} = {:#x}", failure.field, failure.value);
    if (!failure.value_text.empty()) found += fmt::format(" ({})", failure.value_text);
    pairs.push_back({"found", found});
    if (!failure.broken.empty()) pairs.push_back({"wrong", failure.broken});
    std::string where = fmt::format("{} s, {}", exact_seconds(failure.time), failure.processor);
    if (failure.rip) where += fmt::format(", RIP {:#x}", *failure.rip);
    if (!failure.instruction.empty()) where += ": " + failure.instruction;
    pairs.push_back({"where", where});
    if (failure.count > 1)
        pairs.push_back({"", fmt::format("{} failures in all", grouped(failure.count))});
    print_pairs(out, pairs);
}

}  // namespace

std::string text_report(const RunResult& result) {
    std::string out = fmt::format("hvsim {}: {}\n", result.program_version, result.scenario);
    std::vector<NamedText> pairs = result.machine;
    pairs.push_back({"end", result.end});
    pairs.push_back({"expectations", result.met ? "met" : "not met"});
    for (const std::string& unmet : result.unmet) pairs.push_back({"", unmet});
    print_pairs(out, pairs);
    print_time(out, result);
    for (const Table& table : result.tables) print_table(out, table);
    print_distributions(out, result);
    print_statistics(out, result);
    if (!result.versions.empty()) {
        print_heading(out, "Versions");
        print_pairs(out, result.versions);
    }
    if (result.first_failure) print_failure(out, *result.first_failure);
    fmt::format_to(std::back_inserter(out), "\ndigest {}\n", result.digest);
    return out;
}

}  // namespace hvsim::analysis
