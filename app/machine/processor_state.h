#pragma once
#include <string>

#include "analysis/processor_state.h"
#include "cpu/core.h"

namespace hvsim::app {

/// Registers and the next instructions of a core, as they are. What its code's pages hold is read
/// without a trace in the machine.
analysis::ProcessorState state_of(cpu::Core& core, std::string name);

}  // namespace hvsim::app
