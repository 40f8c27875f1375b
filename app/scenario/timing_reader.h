#pragma once
// Reads timing profiles: every entry of sim/timing.h's table as { value, unit, source }.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/scenario/document.h"
#include "app/scenario/scenario.h"

namespace hvsim::app {

struct TimingResult {
    std::string name;
    std::string description;
    sim::TimingProfile profile;
    std::vector<TimingSource> sources;  ///< in the table's order
};

/// Reads a whole profile, every entry with its source; the entries of `overrides` (the [timing] of
/// `scenario`; may be null) replace the profile's before cycles become time. Throws
/// sim::ConfigError.
TimingResult read_timing(std::string_view text, const std::string& file,
                         const toml::table* overrides, const std::string& scenario);

/// Replaces a cost by a duration that stands elsewhere in the scenario, at `where`.
void override_timing(TimingResult& result, std::uint64_t sim::TimingProfile::*field,
                     sim::Duration cost, const std::string& where);

}  // namespace hvsim::app
