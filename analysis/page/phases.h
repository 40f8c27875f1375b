#pragma once
// Phases of a run, from what its consoles print.
#include <string>
#include <vector>

#include "analysis/timeline/spans.h"

namespace hvsim::analysis {

/// From the line that marks its beginning to the beginning of the same console's next phase.
struct Phase {
    std::string name;
    sim::Time begin = 0, end = 0;
};

/// Finds phases in a run's console lines, `lines` in the order of their ends; the last phase of
/// each console ends at `end`. Known are the marks of Linux' start, and every line that begins with
/// "HVSIM: ", by which a guest's own programs mark phases (docs/report.md).
std::vector<Phase> find_phases(const std::vector<ConsoleLine>& lines, sim::Time end);

}  // namespace hvsim::analysis
