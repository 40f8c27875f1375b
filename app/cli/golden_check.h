#pragma once
// hvsim run --golden: a run held against a golden, or a golden written from it.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/compare/run_record.h"
#include "app/cli/program.h"
#include "app/expect.h"

namespace hvsim::app {

class GoldenCheck {
  public:
    /// Reads the golden; one that is to be renewed need not be there. Throws sim::ConfigError for a
    /// file that is no golden.
    explicit GoldenCheck(const RunArguments& arguments);

    /// Why no run with these inputs can be compared with the golden; empty when one can.
    std::vector<std::string> obstacles(const sim::RunInputs& inputs) const;
    /// Holds the run against the golden: what differs, as an expectation's failures.
    Expectation check(const analysis::RunResult& result);
    /// What to print for people when something differs: the numbers, and how to get to the event.
    std::string explanation() const;
    /// Writes the golden; says what has changed.
    std::string renew(const analysis::RunResult& result) const;

  private:
    const RunArguments& arguments_;
    std::optional<analysis::RunRecord> golden_;
    analysis::RecordDifference difference_;
};

}  // namespace hvsim::app
