#pragma once
// Runs a trace's scenario once more, as far as the event at which it parts from another trace, to
// see what the processors held there.
#include <cstdint>
#include <filesystem>
#include <string>

#include "analysis/compare/comparison.h"

namespace hvsim::app {

/// Fills comparison.states for two traces that part. `program_a`, `program_b`: the hvsim that ran
/// each side; both the same: one run serves where the inputs are the same too.
void add_states(analysis::Comparison& comparison, const std::filesystem::path& program_a,
                const std::filesystem::path& program_b);

}  // namespace hvsim::app
