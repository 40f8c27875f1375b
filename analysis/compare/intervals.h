#pragma once
// The digests of a run's milliseconds as lines of text, and where those of two runs part.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/recorder.h"

namespace hvsim::analysis {

/// A line for each ten milliseconds that have at least one digest: the number of the first of them,
/// then ten digests, "." where there is none; nothing behind the last one.
std::vector<std::string> interval_lines(const std::vector<sim::IntervalDigest>& digests);

/// Appends a line's digests. False, and nothing is appended: it is no such line, or does not come
/// behind what is there.
bool parse_interval_line(std::string_view line, std::vector<sim::IntervalDigest>& digests);

/// The first interval after which two runs are no longer the same.
std::optional<std::uint64_t> first_differing_interval(const std::vector<sim::IntervalDigest>& a,
                                                      const std::vector<sim::IntervalDigest>& b);

}  // namespace hvsim::analysis
