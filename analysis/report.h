#pragma once
// A run's result for people and for programs.
#include <string>

#include "analysis/run_result.h"

namespace hvsim::analysis {

/// Aligned tables, one section after the other.
std::string text_report(const RunResult& result);

/// The version of the JSON form: it grows when a field changes its meaning or goes away.
inline constexpr int kJsonVersion = 2;

/// The same as JSON (docs/report.md says what each field is), with a newline at the end. All that
/// depends on the host stands below "host"; the rest is equal for equal runs.
std::string json_report(const RunResult& result);

}  // namespace hvsim::analysis
