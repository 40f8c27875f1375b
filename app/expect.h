#pragma once
// What a scenario expects of its run, and whether it got it.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/pattern.h"
#include "app/run.h"
#include "app/scenario/scenario.h"

namespace hvsim::app {

/// Watches the consoles for expected patterns, unwanted ones and kernel panics.
class ConsoleWatch {
  public:
    ConsoleWatch(const ExpectConfig& expect, std::size_t consoles);

    void on_byte(std::size_t console, std::uint8_t byte, sim::Time time);

    /// The run has nothing more to give: a kernel has panicked to its end, or all was seen and the
    /// scenario expects no other end.
    bool wants_stop() const noexcept;
    bool all_seen() const noexcept { return seen_count_ == expected_.size(); }
    /// The expected patterns that did not appear; with `ordered`, from the first missing one on.
    std::vector<std::string> missing() const;
    const std::vector<Pattern>& expected() const noexcept { return expected_; }
    bool seen(std::size_t expected) const { return seen_.at(expected); }
    const std::vector<Pattern>& absent() const noexcept { return absent_; }

    struct Sighting {
        std::size_t console = 0;
        sim::Time time = 0;
        std::string pattern;  ///< empty for a panic
        std::string line;
    };
    /// The first appearance of each unwanted pattern.
    const std::vector<Sighting>& unwanted() const noexcept { return unwanted_; }
    /// The first kernel panic.
    const std::optional<Sighting>& panic() const noexcept { return panic_; }
    /// The last lines of a console, the unfinished one included.
    std::vector<std::string> last_lines(std::size_t console) const;

  private:
    struct Console {
        std::string line;
        std::deque<std::string> lines;
    };
    void check_expected(std::string_view line, bool finished);
    void check_unwanted(std::size_t console, std::string_view line, bool finished, sim::Time time);
    void check_panic(std::size_t console, std::string_view line, sim::Time time);

    std::vector<Pattern> expected_;
    std::vector<bool> seen_;
    std::size_t seen_count_ = 0;
    std::vector<Pattern> absent_;
    std::vector<bool> absent_seen_;
    std::vector<Sighting> unwanted_;
    std::optional<Sighting> panic_;
    bool panic_over_ = false;
    bool ordered_;
    ExpectedEnd end_;
    std::vector<Console> consoles_;
};

/// Why the command line stopped a run, if it did.
enum class StopReason : std::uint8_t { none, watch, wall_limit, interrupted, trace_full };

/// One thing that was expected.
struct Expectation {
    std::string name;                   ///< "the console shows \"login:\""
    std::vector<std::string> failures;  ///< sentences; empty: it was met
};

struct Verdict {
    bool met = false;
    std::string end;                 ///< one word: "poweroff", "panic", "deadline", ...
    std::vector<std::string> unmet;  ///< sentences: all failures of the expectations
    std::vector<Expectation> expectations;
    /// Expected statistics, by their place in the scenario's list, that the run does not have.
    std::vector<std::size_t> unknown_statistics;
};

Verdict judge(const Scenario& scenario, const RunOutcome& outcome, const ConsoleWatch& watch,
              StopReason reason);

}  // namespace hvsim::app
