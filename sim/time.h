#pragma once
// Virtual time: picoseconds since the machine was switched on, the same for every model.
#include <cstdint>
#include <limits>

namespace hvsim::sim {

/// For products of times and frequencies; not in ISO C++, so named once, here.
__extension__ typedef unsigned __int128 Uint128;

using Time = std::uint64_t;      ///< a point in virtual time, picoseconds
using Duration = std::uint64_t;  ///< a span of virtual time, picoseconds

inline constexpr Duration kNanosecond = 1000;
inline constexpr Duration kMicrosecond = 1000 * kNanosecond;
inline constexpr Duration kMillisecond = 1000 * kMicrosecond;
inline constexpr Duration kSecond = 1000 * kMillisecond;
inline constexpr Time kNever = std::numeric_limits<Time>::max();

/// Ticks of a clock of `hertz` that have passed at `time`; exact, rounds down.
constexpr std::uint64_t ticks_at(Time time, std::uint64_t hertz) noexcept {
    return static_cast<std::uint64_t>(static_cast<Uint128>(time) * hertz / kSecond);
}

/// The earliest time at which `ticks` ticks of a clock of `hertz` have passed; kNever on overflow.
constexpr Time time_of_ticks(std::uint64_t ticks, std::uint64_t hertz) noexcept {
    const Uint128 ps = (static_cast<Uint128>(ticks) * kSecond + hertz - 1) / hertz;
    return ps >= kNever ? kNever : static_cast<Time>(ps);
}

}  // namespace hvsim::sim
