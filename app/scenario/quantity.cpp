#include "app/scenario/quantity.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <span>

namespace hvsim::app {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// From small to large.
constexpr std::array kSizes{Unit{"B", 1}, Unit{"KiB", kKiB}, Unit{"MiB", kMiB}, Unit{"GiB", kGiB},
                            Unit{"TiB", 1024 * kGiB}};
constexpr std::array kDurations{Unit{"ps", 1},
                                Unit{"ns", sim::kNanosecond},
                                Unit{"us", sim::kMicrosecond},
                                Unit{"ms", sim::kMillisecond},
                                Unit{"s", sim::kSecond},
                                Unit{"min", 60 * sim::kSecond}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// digits [ "." digits ] [ space ] unit, scaled exactly; nothing when it overflows or leaves a
/// rest.
std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units) {
    sim::Uint128 number = 0;
    sim::Uint128 divisor = 1;
    std::size_t i = 0;
    bool digits = false;
    for (bool fraction = false; i < text.size(); ++i) {
        if (text[i] == '.' && digits && !fraction) {
            fraction = true;
            continue;
        }
        if (!is_digit(text[i])) break;
        digits = true;
        number = number * 10 + static_cast<unsigned>(text[i] - '0');
        if (fraction) divisor *= 10;
        if (number > std::numeric_limits<std::uint64_t>::max() || divisor > sim::kSecond)
            return std::nullopt;
    }
    if (!digits || text[i - 1] == '.') return std::nullopt;
    while (i < text.size() && text[i] == ' ') ++i;
    const std::string_view name = text.substr(i);
    for (const Unit& unit : units) {
        if (unit.name != name) continue;
        const sim::Uint128 scaled = number * unit.factor;
        if (scaled % divisor != 0) return std::nullopt;
        const sim::Uint128 value = scaled / divisor;
        if (value > std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
        return static_cast<std::uint64_t>(value);
    }
    return std::nullopt;
}

std::string format(std::uint64_t value, std::span<const Unit> units) {
    const Unit* best = &units.front();
    for (const Unit& unit : units)
        if (value >= unit.factor && value % unit.factor == 0) best = &unit;
    return fmt::format("{} {}", value / best->factor, best->name);
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    return parse(text, kSizes);
}
std::optional<sim::Duration> parse_duration(std::string_view text) {
    return parse(text, kDurations);
}
std::string format_size(std::uint64_t bytes) {
    return format(bytes, kSizes);
}
std::string format_duration(sim::Duration duration) {
    // Minutes are for writing only: "90 s" reads better than "1.5 min", and "120 s" as well.
    return format(duration, std::span(kDurations).first(kDurations.size() - 1));
}

}  // namespace hvsim::app
