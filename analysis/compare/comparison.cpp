#include "analysis/compare/comparison.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace hvsim::analysis {
namespace {

/// A trace that is cut off tells nothing about what came behind.
bool ends_unknown(const TracePoint& point) {
    return !point.event && !point.end_problem.empty();
}

void compare_both_traces(Comparison& comparison) {
    comparison.traces = compare_traces(comparison.a.file, comparison.b.file);
    const TraceDifference& traces = *comparison.traces;
    comparison.a = traces.a.record;
    comparison.b = traces.b.record;
    comparison.difference = traces.rest;
    const bool whole = traces.a.end_problem.empty() && traces.b.end_problem.empty();
    if (ends_unknown(traces.a) || ends_unknown(traces.b)) {
        for (const TracePoint* point : {&traces.a, &traces.b})
            if (!point->end_problem.empty())
                comparison.reasons.push_back(
                    fmt::format("{}: {}; as far as it goes, the runs are the same",
                                point->record.file, point->end_problem));
        comparison.result = ComparisonResult::not_comparable;
    } else if (traces.parted || !comparison.difference.same()) {
        comparison.result = ComparisonResult::different;
    }
    if (!whole) comparison.difference = {};
}

}  // namespace

std::string_view to_string(ComparisonResult result) {
    switch (result) {
        case ComparisonResult::same:
            return "same";
        case ComparisonResult::different:
            return "different";
        case ComparisonResult::not_comparable:
            return "not_comparable";
    }
    return "unknown";
}

Comparison compare_files(const std::filesystem::path& a, const std::filesystem::path& b,
                         bool anyway) {
    Comparison comparison;
    comparison.anyway = anyway;
    const bool traces = is_trace(a) && is_trace(b);
    comparison.a = traces ? read_trace_head(a) : read_record(a);
    comparison.b = traces ? read_trace_head(b) : read_record(b);
    comparison.reasons = why_not_comparable(comparison.a, comparison.b);
    if (!comparison.reasons.empty() && !anyway) {
        comparison.result = ComparisonResult::not_comparable;
        return comparison;
    }
    if (traces) {
        compare_both_traces(comparison);
        return comparison;
    }
    comparison.difference = difference_of(comparison.a, comparison.b);
    if (!comparison.difference.same()) comparison.result = ComparisonResult::different;
    return comparison;
}

}  // namespace hvsim::analysis
