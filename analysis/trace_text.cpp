#include "analysis/trace_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/quantity_text.h"

namespace hvsim::analysis {
namespace {

std::string unit_text(const char* prefix, std::uint16_t unit) {
    return unit == sim::kNoUnit ? "-" : fmt::format("{}{}", prefix, unit);
}

/// Signed microseconds with six decimals.
std::string distance_text(sim::Time from, sim::Time to) {
    const bool back = to < from;
    const std::uint64_t distance = back ? from - to : to - from;
    return fmt::format("{}{}.{:06}", back ? '-' : '+', distance / sim::kMicrosecond,
                       distance % sim::kMicrosecond);
}

}  // namespace

bool is_decimal_argument(std::string_view name) {
    constexpr std::array<std::string_view, 21> names{
        "bytes",        "size",         "blocks",
        "payload_size", "reps_done",    "lba",
        "relid",        "sint",         "timer",
        "to_guest",     "is_write",     "command_id",
        "flag",         "instructions", "code_bytes",
        "walks",        "walk_steps",   "translations",
        "iotlb_hits",   "context_hits", "memory_references"};
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool TraceFilter::wants(const sim::Event& event) const {
    if (event.time < from || event.time > to) return false;
    if (lp && event.subject.lp != *lp) return false;
    if (partition && event.subject.partition != *partition) return false;
    if (vp && event.subject.vp != *vp) return false;
    return kinds.empty() || kinds.contains(static_cast<std::uint8_t>(event.kind));
}

TraceText::TraceText(const sim::TraceInfo& info) : info_(info) {
    for (const sim::TraceEventDescription& row : info.events)
        name_width_ = std::max(name_width_, row.name.size());
}

std::string TraceText::heading() const {
    return fmt::format("# {} (hvsim {})\n# {:>18} {:>16} {:>4} {:>4} {:>4}  {:<{}} arguments\n",
                       info_.scenario, info_.program_version, "time [s]", "after [us]", "lp",
                       "part", "vp", "event", name_width_);
}

std::string TraceText::argument(const sim::Event& event, unsigned index) const {
    const auto kind = static_cast<std::uint8_t>(event.kind);
    const std::uint64_t value = event.arguments[index];
    const std::string& name = info_.events[kind].arguments[index];
    if (const auto symbol = info_.names.find(kind, index, value); !symbol.empty())
        return symbol.find(' ') == symbol.npos ? fmt::format(" {}={}", name, symbol)
                                               : fmt::format(" {}=\"{}\"", name, symbol);
    if (name.ends_with("_ps")) {
        const std::string_view stem = std::string_view(name).substr(0, name.size() - 3);
        std::string text = duration_text(value);
        text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
        return fmt::format(" {}={}", stem, text);
    }
    if (name == "byte" && value >= 0x20 && value < 0x7f)
        return fmt::format(" {}='{}'", name, static_cast<char>(value));
    if (is_decimal_argument(name)) return fmt::format(" {}={}", name, value);
    return fmt::format(" {}={:#x}", name, value);
}

std::string TraceText::line(const sim::Event& event, const sim::Code* code) {
    const auto kind = static_cast<std::size_t>(event.kind);
    const sim::TraceEventDescription& row = info_.events[kind];
    const std::string after = last_ ? distance_text(*last_, event.time) : "";
    last_ = event.time;
    std::string text =
        fmt::format("{:>20} {:>16} {:>4} {:>4} {:>4}  {:<{}}", exact_seconds(event.time), after,
                    unit_text("lp", event.subject.lp), unit_text("p", event.subject.partition),
                    unit_text("vp", event.subject.vp), row.name, name_width_);
    for (unsigned i = 0; i < 4; ++i)
        if (!row.arguments[i].empty()) text += argument(event, i);
    if (code != nullptr && disassembler_)
        for (unsigned i = 0; i < 4; ++i)
            if (row.arguments[i] == "rip")
                text +=
                    fmt::format(" instruction=\"{}\"", disassembler_(*code, event.arguments[i]));
    text.erase(text.find_last_not_of(' ') + 1);
    return text + '\n';
}

}  // namespace hvsim::analysis
