#pragma once
// What a scenario's schema cannot say: how keys depend on each other and on files.
#include "app/scenario/scenario.h"

namespace hvsim::app {

/// Makes paths relative to the scenario's folder and fills in defaults that depend on other keys.
void complete(Scenario& scenario);

/// Throws sim::ConfigError for the first contradiction, or missing file when `check_files`.
void validate(const Scenario& scenario, bool check_files);

}  // namespace hvsim::app
