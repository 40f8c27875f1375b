#pragma once
// A model's bug in words for the person who reports it.
#include <span>
#include <string>
#include <string_view>

#include "sim/event.h"
#include "sim/trace_names.h"

namespace hvsim::analysis {

/// `problem`, the virtual time at which it was found, and the events that led to it as lines of a
/// trace; each names its unit: logical processor, partition and virtual processor.
std::string failure_text(std::string_view problem, sim::Time now,
                         std::span<const sim::Event> last_events, const sim::TraceNames& names);

}  // namespace hvsim::analysis
