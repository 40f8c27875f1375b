#pragma once
// Reads what `hvsim run --json` wrote.
#include <string>
#include <string_view>

#include "analysis/compare/run_record.h"

namespace hvsim::analysis {

/// Throws ConfigError for text that is no report, of another version, cut off or malformed; `file`
/// is its name in messages.
RunRecord parse_report(std::string_view text, const std::string& file);

}  // namespace hvsim::analysis
