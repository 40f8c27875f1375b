#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/compare/comparison.h"
#include "analysis/quantity_text.h"
#include "sim/trace_format.h"

namespace hvsim::analysis {
namespace {

constexpr std::size_t kNumbersShown = 30, kRegistersPerLine = 4;

/// Seconds without the zeros at the end: "0.013".
std::string seconds(sim::Time time) {
    std::string text = exact_seconds(time);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text += '0';
    return text;
}

std::string name_text(const RunRecord& run) {
    return fmt::format("{}  ({}, hvsim {})", run.file, run.scenario, run.program_version);
}

std::string indented(const std::vector<std::string>& lines, std::string_view first) {
    std::string text;
    for (const std::string& line : lines) {
        text += fmt::format("{:<3}{}", &line == &lines.front() ? first : "", line);
    }
    return text;
}

std::string state_text(const ReplayedState& state) {
    if (!state.problem.empty()) return fmt::format("\nNo registers: {}.\n", state.problem);
    std::string text =
        fmt::format("\nProcessors there, by running the scenario again{}:\n",
                    state.matches.empty() ? std::string() : " (as in " + state.matches + ")");
    for (const ProcessorState& processor : state.processors) {
        text += fmt::format("  {}\n", processor.name);
        for (std::size_t i = 0; i < processor.registers.size(); ++i) {
            const auto& [name, value] = processor.registers[i];
            const bool last = i % kRegistersPerLine + 1 == kRegistersPerLine ||
                              i + 1 == processor.registers.size();
            text += fmt::format("    {:>6} {:016x}{}", name, value, last ? "\n" : "");
        }
        for (const std::string& line : processor.code) text += fmt::format("      {}\n", line);
    }
    return text;
}

std::string traces_text(const TraceDifference& traces) {
    if (!traces.parted) return {};
    std::string text =
        fmt::format("The runs part at event {}, at {} s of virtual time (millisecond {}).\n",
                    grouped(traces.common + 1), exact_seconds(traces.time()),
                    traces.time() / sim::kDigestInterval);
    text += traces.before.empty()
                ? std::string("\nIt is the first event.\n")
                : fmt::format("\nThe {} before it, the same in both:\n",
                              traces.before.size() == 1
                                  ? std::string("event")
                                  : fmt::format("{} events", traces.before.size()));
    for (const std::string& line : traces.before) text += "   " + line;
    for (const auto& [name, point] : {std::pair{"A", &traces.a}, std::pair{"B", &traces.b}}) {
        text += fmt::format("\nThen in {}:\n", name);
        text += point->event
                    ? indented(point->events, ">>")
                    : fmt::format(">> {}\n", point->end_problem.empty() ? "nothing: the run is over"
                                                                        : point->end_problem);
    }
    for (const auto& [name, lines] : traces.consoles) {
        text += fmt::format("\nThe console of {} so far ends with:\n", name);
        for (const std::string& line : lines) text += fmt::format("  | {}\n", line);
    }
    return text;
}

std::string result_text(const Comparison& comparison) {
    const RecordDifference& difference = comparison.difference;
    std::string text;
    if (difference.other_end)
        text += fmt::format("A ended with {}, B with {}.\n", comparison.a.end, comparison.b.end);
    if (comparison.traces) {
        if (!comparison.traces->parted && difference.other_digest)
            text += fmt::format(
                "All {} events are the same, the digests are not ({} in A, {} in B): registers or "
                "memory were other ones at the end.\n",
                grouped(comparison.traces->common), comparison.a.digest, comparison.b.digest);
        return text + traces_text(*comparison.traces);
    }
    if (difference.other_digest)
        text += fmt::format("The digest is {} in A, {} in B.\n", comparison.a.digest,
                            comparison.b.digest);
    if (difference.interval) {
        const sim::Time begin = *difference.interval * sim::kDigestInterval;
        text += fmt::format(
            "The runs part {}.\nTo see the event, record both (hvsim run --trace) and compare the "
            "traces. Of a single trace:\n  hvsim trace TRACE --from \"{} s\" --to \"{} s\"\n",
            interval_text(*difference.interval), seconds(begin),
            seconds(begin + sim::kDigestInterval));
    } else if (difference.other_digest && comparison.a.has_intervals &&
               comparison.b.has_intervals) {
        text += "All events are the same: registers or memory were other ones at the end.\n";
    }
    return text;
}

std::string same_text(const Comparison& comparison) {
    const std::string& digest =
        comparison.a.digest.empty() ? comparison.b.digest : comparison.a.digest;
    std::string text = "The runs are the same";
    if (comparison.traces) text += fmt::format(": {} events", grouped(comparison.traces->common));
    if (!comparison.a.digest.empty() && !comparison.b.digest.empty())
        text += fmt::format("{} digest {}", comparison.traces ? "," : ":", digest);
    return text + ".\n";
}

}  // namespace

std::string interval_text(std::uint64_t interval) {
    const sim::Time begin = interval * sim::kDigestInterval;
    return fmt::format("in millisecond {} of virtual time ({} s to {} s)", interval, seconds(begin),
                       seconds(begin + sim::kDigestInterval));
}

std::string numbers_text(const std::vector<NumberDifference>& numbers, const std::string& title_a,
                         const std::string& title_b, std::size_t most) {
    if (numbers.empty()) return {};
    std::vector<std::array<std::string, 5>> rows{
        {"statistic", title_a, title_b, "difference", "relative"}};
    for (std::size_t i = 0; i < std::min(most, numbers.size()); ++i) {
        const NumberDifference& number = numbers[i];
        rows.push_back({number.name, value_text(number.a, number.unit),
                        value_text(number.b, number.unit), absolute_text(number),
                        relative_text(number)});
    }
    std::array<std::size_t, 5> widths{};
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows)
        text += fmt::format("  {:<{}}  {:>{}}  {:>{}}  {:>{}}  {:>{}}\n", row[0], widths[0], row[1],
                            widths[1], row[2], widths[2], row[3], widths[3], row[4], widths[4]);
    if (most < numbers.size()) text += fmt::format("  and {} more\n", numbers.size() - most);
    return text;
}

std::string comparison_text(const Comparison& comparison, bool all_numbers) {
    std::string text =
        fmt::format("A  {}\nB  {}\n\n", name_text(comparison.a), name_text(comparison.b));
    if (!comparison.reasons.empty()) {
        text += comparison.result == ComparisonResult::not_comparable
                    ? "The runs cannot be compared:\n"
                    : "Compared although:\n";
        for (const std::string& reason : comparison.reasons) text += fmt::format("  {}\n", reason);
        if (comparison.result == ComparisonResult::not_comparable) return text;
        text += '\n';
    }
    if (comparison.result == ComparisonResult::same) return text + same_text(comparison);
    text += result_text(comparison);
    for (const ReplayedState& state : comparison.states) text += state_text(state);
    const auto& numbers = comparison.difference.numbers;
    if (!numbers.empty())
        text += fmt::format(
            "\nStatistics that differ, the greatest difference first:\n{}",
            numbers_text(numbers, "A", "B", all_numbers ? numbers.size() : kNumbersShown));
    if (!all_numbers && numbers.size() > kNumbersShown)
        text += "  (--all-statistics prints them)\n";
    return text;
}

}  // namespace hvsim::analysis
