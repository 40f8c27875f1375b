#pragma once
// The outcome of holding two runs against each other, for people and for programs.
#include <optional>
#include <string>
#include <vector>

#include "analysis/compare/run_record.h"
#include "analysis/compare/trace_difference.h"
#include "analysis/processor_state.h"

namespace hvsim::analysis {

enum class ComparisonResult : std::uint8_t { same, different, not_comparable };
std::string_view to_string(ComparisonResult result);

/// What running a scenario once more, up to the point where two traces part, has shown.
struct ReplayedState {
    std::string matches;  ///< "A", "B", "A and B"; empty: neither
    std::string problem;  ///< why there is no state; empty: there is
    std::vector<ProcessorState> processors;
};

struct Comparison {
    ComparisonResult result = ComparisonResult::same;
    RunRecord a, b;
    std::vector<std::string> reasons;  ///< why they are not comparable
    bool anyway = false;               ///< compared in spite of that
    RecordDifference difference;
    std::optional<TraceDifference> traces;  ///< both are traces
    std::vector<ReplayedState> states;
};

/// Reads and compares two files of any kind; `anyway`: also when inputs, settings or versions
/// differ. Throws ConfigError for a file that is none of them.
Comparison compare_files(const std::filesystem::path& a, const std::filesystem::path& b,
                         bool anyway);

/// `all_numbers`: every number that differs, not the first thirty alone.
std::string comparison_text(const Comparison& comparison, bool all_numbers);
std::string comparison_json(const Comparison& comparison);

/// The table of numbers; empty when there is none. `titles`: of the two columns.
std::string numbers_text(const std::vector<NumberDifference>& numbers, const std::string& title_a,
                         const std::string& title_b, std::size_t most);
/// "in millisecond 13 of virtual time, 0.013 s to 0.014 s".
std::string interval_text(std::uint64_t interval);

}  // namespace hvsim::analysis
