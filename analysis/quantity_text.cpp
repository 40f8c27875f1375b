#include "analysis/quantity_text.h"

#include <fmt/format.h>

#include <array>

#include "sim/time.h"

namespace hvsim::analysis {
namespace {

/// value / factor with four significant digits (more before the point when there are more).
std::string four_digits(std::uint64_t value, std::uint64_t factor) {
    const std::uint64_t whole = value / factor;
    const unsigned decimals = whole >= 1000 ? 0 : whole >= 100 ? 1 : whole >= 10 ? 2 : 3;
    std::uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; ++i) scale *= 10;
    const sim::Uint128 scaled =
        (sim::Uint128{value} * scale * 2 + factor) / (sim::Uint128{factor} * 2);
    const auto rounded = static_cast<std::uint64_t>(scaled);
    if (decimals == 0) return fmt::format("{}", rounded);
    return fmt::format("{}.{:0{}}", rounded / scale, rounded % scale, decimals);
}

struct Unit {
    const char* name;
    std::uint64_t factor;
};

}  // namespace

std::string grouped(std::uint64_t value) {
    std::string digits = fmt::format("{}", value);
    for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
    return digits;
}

std::string duration_text(std::uint64_t picoseconds) {
    constexpr std::array units{Unit{"s", sim::kSecond}, Unit{"ms", sim::kMillisecond},
                               Unit{"us", sim::kMicrosecond}, Unit{"ns", sim::kNanosecond}};
    for (const Unit& unit : units)
        if (picoseconds >= unit.factor)
            return fmt::format("{} {}", four_digits(picoseconds, unit.factor), unit.name);
    return picoseconds == 0 ? "0" : fmt::format("{} ps", picoseconds);
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array units{Unit{"TiB", std::uint64_t{1} << 40}, Unit{"GiB", 1 << 30},
                               Unit{"MiB", 1 << 20}, Unit{"KiB", 1 << 10}};
    for (const Unit& unit : units)
        if (bytes >= unit.factor)
            return fmt::format("{} {}", four_digits(bytes, unit.factor), unit.name);
    return fmt::format("{} B", bytes);
}

std::string value_text(std::uint64_t value, std::string_view unit) {
    if (unit == "ps") return duration_text(value);
    if (unit == "bytes") return size_text(value);
    if (unit == "count" || unit.empty()) return grouped(value);
    return fmt::format("{} {}", grouped(value), unit);
}

std::string exact_seconds(std::uint64_t picoseconds) {
    return fmt::format("{}.{:012}", picoseconds / sim::kSecond, picoseconds % sim::kSecond);
}

}  // namespace hvsim::analysis
