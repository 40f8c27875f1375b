#pragma once
// Where two traces part: both are read side by side, event by event.
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/compare/run_record.h"
#include "sim/trace_format.h"

namespace hvsim::analysis {

inline constexpr std::size_t kEventsBefore = 20, kEventsAfter = 5;

/// One side at the point where the traces part.
struct TracePoint {
    RunRecord record;                 ///< of the whole trace
    std::vector<std::string> events;  ///< lines: the diverging event and some behind it
    std::optional<sim::Event> event;  ///< nothing: this trace is over
    std::string end_problem;          ///< the trace is cut off or damaged; empty: it is whole
};

struct TraceDifference {
    bool parted = false;
    std::uint64_t common = 0;         ///< events that both have, from the begin on
    std::string common_digest;        ///< of those
    std::vector<std::string> before;  ///< lines: the last of them
    std::map<std::string, std::deque<std::string>> consoles;  ///< last lines up to there
    TracePoint a, b;
    RecordDifference rest;  ///< digests at the end, and numbers

    /// The time of the first event that differs.
    sim::Time time() const noexcept;
};

/// Reads both in memory that does not grow with them. Throws ConfigError for what is no trace.
TraceDifference compare_traces(const std::filesystem::path& a, const std::filesystem::path& b);

/// The inputs of a trace, from its head alone.
RunRecord read_trace_head(const std::filesystem::path& file);

}  // namespace hvsim::analysis
