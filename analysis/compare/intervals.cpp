#include "analysis/compare/intervals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hvsim::analysis {
namespace {

constexpr std::uint64_t kPerLine = 10;
constexpr std::size_t kDigits = 8;

/// The next word; empty at the end.
std::string_view take_word(std::string_view& line) {
    const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
    line.remove_prefix(begin);
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

template <typename Integer>
bool parse(std::string_view word, int base, Integer& value) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
    return error == std::errc{} && end == word.data() + word.size();
}

}  // namespace

std::vector<std::string> interval_lines(const std::vector<sim::IntervalDigest>& digests) {
    std::vector<std::string> lines;
    std::uint64_t first = 0, next = 0;  // of the line; expected next
    for (const sim::IntervalDigest& entry : digests) {
        const std::uint64_t begin = entry.interval - entry.interval % kPerLine;
        if (lines.empty() || begin != first) {
            lines.push_back(fmt::format("{}", begin));
            first = next = begin;
        }
        for (; next < entry.interval; ++next) lines.back() += " .";
        lines.back() += fmt::format(" {:08x}", entry.digest);
        ++next;
    }
    return lines;
}

bool parse_interval_line(std::string_view line, std::vector<sim::IntervalDigest>& digests) {
    std::uint64_t interval = 0;
    if (!parse(take_word(line), 10, interval) || interval % kPerLine != 0) return false;
    if (!digests.empty() && digests.back().interval >= interval) return false;
    std::vector<sim::IntervalDigest> found;
    std::uint64_t words = 0;
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
        if (++words > kPerLine) return false;
        sim::IntervalDigest entry{interval + words - 1, 0};
        if (word == ".") continue;
        if (word.size() != kDigits || !parse(word, 16, entry.digest)) return false;
        found.push_back(entry);
    }
    digests.insert(digests.end(), found.begin(), found.end());
    return !found.empty();
}

std::optional<std::uint64_t> first_differing_interval(const std::vector<sim::IntervalDigest>& a,
                                                      const std::vector<sim::IntervalDigest>& b) {
    const std::size_t shorter = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < shorter; ++i)
        if (a[i] != b[i]) return std::min(a[i].interval, b[i].interval);
    if (a.size() > shorter) return a[shorter].interval;
    if (b.size() > shorter) return b[shorter].interval;
    return std::nullopt;
}

}  // namespace hvsim::analysis
