#include "analysis/page/phases.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "analysis/timeline/processor_spans.h"

namespace hvsim::analysis {
namespace {

struct Mark {
    std::string_view text;   ///< somewhere in the line
    std::string_view phase;  ///< what begins there
};
constexpr std::array kMarks{
    Mark{"Linux version ", "Linux: early start"},
    Mark{"smp: Bringing up secondary CPUs", "Linux: other processors"},
    Mark{"smp: Brought up ", "Linux: drivers"},
    Mark{"Run /init as init process", "initial RAM disk"},
    Mark{"hv_vmbus: Vmbus version:", "VMBus and its devices"},
    Mark{"reboot: Power down", "power down"},
    Mark{"reboot: Restarting system", "restart"},
};
constexpr std::string_view kOwnMark = "HVSIM: ";
/// A guest that prints marks without end gets no more phases than this.
constexpr std::size_t kMostPhases = 100;

/// The phase that a line begins; empty: none.
std::string phase_of(std::string_view line) {
    if (line.starts_with(kOwnMark)) return std::string(line.substr(kOwnMark.size()));
    for (const Mark& mark : kMarks)
        if (line.find(mark.text) != std::string_view::npos) return std::string(mark.phase);
    return {};
}

}  // namespace

std::vector<Phase> find_phases(const std::vector<ConsoleLine>& lines, sim::Time end) {
    std::vector<Phase> phases;
    std::map<std::uint64_t, std::size_t> open;  // by console: index of its last phase
    for (const ConsoleLine& line : lines) {
        std::string name = phase_of(line.text);
        if (name.empty() || phases.size() == kMostPhases) continue;
        const std::uint64_t console = processor_key(line.subject);
        const auto [last, is_first] = open.try_emplace(console, phases.size());
        if (!is_first) phases[last->second].end = std::max(line.begin, phases[last->second].begin);
        last->second = phases.size();
        phases.push_back({std::move(name), line.begin, std::max(line.begin, end)});
    }
    return phases;
}

}  // namespace hvsim::analysis
