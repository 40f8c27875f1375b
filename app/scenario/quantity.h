#pragma once
// Sizes and spans of time as people write them. Whole numbers and exact decimals only: a quantity
// that is not a whole number of bytes or picoseconds is not one.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/time.h"

namespace hvsim::app {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// "512 MiB", "2GiB", "1.5 GiB": a number and B, KiB, MiB, GiB or TiB. Bytes, or nothing.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "10us", "3 s", "2.5 ms": a number and ps, ns, us, ms, s or min. Picoseconds, or nothing.
std::optional<sim::Duration> parse_duration(std::string_view text);

/// The largest unit that gives a whole number: "512 MiB".
std::string format_size(std::uint64_t bytes);
/// The largest unit that gives a whole number: "10 us".
std::string format_duration(sim::Duration duration);

}  // namespace hvsim::app
