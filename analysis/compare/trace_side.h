#pragma once
// One trace of a comparison: its events one after the other, and what is remembered of them.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/compare/run_record.h"
#include "analysis/tally.h"
#include "analysis/timeline/timeline.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {

/// Reads a trace's events of level event: the others depend on the engine's caches and are no part
/// of what a run did. Memory does not grow with the trace.
class TraceSide : private TimelineListener {
  public:
    /// Throws ConfigError as TraceSource does.
    explicit TraceSide(const std::filesystem::path& file);

    /// Makes the next event the current one; nothing at the end.
    const std::optional<sim::Event>& next();
    const std::optional<sim::Event>& current() const noexcept { return current_; }
    /// The current event counts: folds it into digest, tables and consoles.
    void keep();

    std::uint64_t kept() const noexcept { return kept_; }
    std::string digest() const { return digest_.hex(); }  ///< of the events kept
    /// Last lines that the consoles have shown so far, by the partition's name, unfinished ones
    /// too. To be asked once.
    std::map<std::string, std::deque<std::string>> console_lines();
    const TraceSource& source() const noexcept { return source_; }
    /// The file's head in this program's terms, for printing events.
    sim::TraceInfo info() const;
    /// What was kept; the run's digest is known behind the end alone.
    RunRecord record() const;

  private:
    static constexpr std::size_t kConsoleLines = 8;
    void on_console_line(const ConsoleLine& line) override;

    std::string file_;
    TraceSource source_;
    std::optional<sim::Event> current_;
    Tally tally_;
    Timeline consoles_;
    std::map<std::string, std::deque<std::string>> lines_;
    sim::Digest digest_;
    sim::IntervalDigests intervals_;
    std::uint64_t kept_ = 0;
    bool consoles_over_ = false;
};

/// A whole trace. Throws ConfigError for one that is cut off or damaged.
RunRecord read_trace_record(const std::filesystem::path& file);

}  // namespace hvsim::analysis
