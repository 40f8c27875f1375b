#pragma once
// The schema as text: for `hvsim scenario --explain` and docs/scenario.md.
#include <string>
#include <string_view>

namespace hvsim::app {

/// Everything a scenario may contain (empty `path`), one section, or one key ("host.ram", "timing",
/// "timing.exit.cpuid"). Throws sim::ConfigError, with the nearest name, for what there is not.
std::string explain(std::string_view path);

/// docs/scenario.md, whole.
std::string scenario_document();

}  // namespace hvsim::app
