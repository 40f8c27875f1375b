#pragma once
// Where timing profiles are found.
#include <filesystem>
#include <vector>

#include "app/scenario/scenario.h"
#include "app/scenario/timing_reader.h"

namespace hvsim::app {

/// The file of the scenario's profile. A name ending in .toml is a file relative to the scenario;
/// any other name is looked up as NAME.toml in `folders`, in `profiles` beside the scenario and in
/// `scenarios/profiles` of each folder above it. Throws sim::ConfigError when there is none.
std::filesystem::path find_profile(const Scenario& scenario,
                                   const std::vector<std::filesystem::path>& folders);

}  // namespace hvsim::app
