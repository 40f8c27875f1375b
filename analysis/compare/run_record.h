#pragma once
// What a report, a golden or a trace tells of a run, in one form.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/compare/numbers.h"
#include "sim/recorder.h"
#include "sim/run_input.h"

namespace hvsim::analysis {

struct RunRecord {
    std::string file;  ///< the record's own, for messages
    std::string scenario;
    std::string program_version;
    std::optional<sim::RunInputs> inputs;  ///< nothing: the file is too old to name them
    std::string end;                       ///< one word; empty: not told
    std::string digest;                    ///< of the whole run; empty: not told
    bool has_intervals = false;
    std::vector<sim::IntervalDigest> intervals;
    NumberSet numbers;
};

/// A run that has just ended. `file`: what to call it.
RunRecord record_of(const RunResult& result, std::string file);

/// Reads a report (hvsim run --json), a golden or a trace, whichever the file is; a trace to its
/// end. Throws ConfigError for what is none of them, of another version, truncated or damaged.
RunRecord read_record(const std::filesystem::path& file);
bool is_trace(const std::filesystem::path& file);

/// Why two runs cannot be compared, a sentence each: another version of the program, other inputs,
/// other settings. The names of files do not matter, what is in them does.
std::vector<std::string> why_not_comparable(const RunRecord& a, const RunRecord& b);

/// Where two comparable runs part.
struct RecordDifference {
    bool other_end = false;
    bool other_digest = false;
    std::optional<std::uint64_t> interval;  ///< the first that differs, where both name theirs
    std::vector<NumberDifference> numbers;

    bool same() const noexcept {
        return !other_end && !other_digest && !interval && numbers.empty();
    }
};
RecordDifference difference_of(const RunRecord& a, const RunRecord& b);

}  // namespace hvsim::analysis
