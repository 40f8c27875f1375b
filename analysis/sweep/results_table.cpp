#include "analysis/sweep/results_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/quantity_text.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

constexpr std::string_view kVirtualTime = "time.virtual_ps";
constexpr std::size_t kDigestDigits = 12;

/// The last words of a dotted name, for a heading.
std::string heading_of(const std::string& metric) {
    const std::size_t last = metric.rfind('.');
    if (last == std::string::npos || last == 0) return metric;
    const std::size_t before = metric.rfind('.', last - 1);
    return before == std::string::npos ? metric : metric.substr(before + 1);
}

std::string metric_text(SweepResults& results, const PointRow& point, std::string_view name) {
    std::uint64_t value = 0;
    std::string unit;
    if (!results.metric(point.id, name, value, unit)) return "-";
    return unit == "ns" ? duration_text(value * 1000) : value_text(value, unit);
}

}  // namespace

void require_metric(SweepResults& results, std::string_view name) {
    const std::vector<std::string> names = results.metric_names();
    if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) return;
    const std::string_view word = name.substr(name.rfind('.') + 1);
    std::string some;
    for (const std::string& other : names) {
        if (other.find(word) == std::string::npos || some.size() > 200) continue;
        some += (some.empty() ? "" : ", ") + other;
    }
    throw sim::ConfigError(fmt::format("no point has a metric \"{}\"", name),
                           some.empty() ? "hvsim plot RESULTS --list prints all names"
                                        : fmt::format("there are {}", some));
}

std::string results_table(SweepResults& results, const std::vector<std::string>& keys,
                          const std::vector<PointRow>& points,
                          const std::vector<std::string>& shown) {
    for (const std::string& name : shown) require_metric(results, name);
    std::vector<std::vector<std::string>> lines(1);
    lines.front() = keys;
    lines.front().emplace_back("virtual time");
    for (const std::string& name : shown) lines.front().push_back(heading_of(name));
    lines.front().emplace_back("status");
    lines.front().emplace_back("digest");
    std::string reasons;
    for (const PointRow& point : points) {
        std::vector<std::string>& line = lines.emplace_back();
        for (const auto& [key, value] : point.settings) line.push_back(value);
        line.push_back(metric_text(results, point, kVirtualTime));
        for (const std::string& name : shown) line.push_back(metric_text(results, point, name));
        line.emplace_back(to_string(point.status));
        line.push_back(point.digest.substr(0, kDigestDigits));
        if (!point.reason.empty())
            reasons += fmt::format("{}: {}: {}\n", to_string(point.settings),
                                   to_string(point.status), point.reason);
    }
    std::vector<std::size_t> widths(lines.front().size());
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i)
            widths[i] = std::max(widths[i], line[i].size());
    std::string text;
    for (const auto& line : lines) {
        std::string row;
        for (std::size_t i = 0; i < line.size(); ++i)
            row += i + 1 == line.size() ? line[i] : fmt::format("{:>{}}  ", line[i], widths[i]);
        row.erase(row.find_last_not_of(' ') + 1);
        text += row + '\n';
    }
    return text + reasons;
}

}  // namespace hvsim::analysis
