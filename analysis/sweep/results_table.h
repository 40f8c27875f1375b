#pragma once
// The points of a sweep as a table for people.
#include <string>
#include <string_view>
#include <vector>

#include "analysis/sweep/results.h"

namespace hvsim::analysis {

/// A metric by its name; throws sim::ConfigError with the nearest ones when no point has it.
void require_metric(SweepResults& results, std::string_view name);

/// A row for each point: its settings, virtual time, the metrics in `shown`, status, digest; below
/// the table the reasons of points that are not met.
std::string results_table(SweepResults& results, const std::vector<std::string>& keys,
                          const std::vector<PointRow>& points,
                          const std::vector<std::string>& shown);

}  // namespace hvsim::analysis
