#include "analysis/failure_text.h"

#include <fmt/format.h>

#include "analysis/quantity_text.h"
#include "analysis/trace_text.h"

namespace hvsim::analysis {

std::string failure_text(std::string_view problem, sim::Time now,
                         std::span<const sim::Event> last_events, const sim::TraceNames& names) {
    std::string text = fmt::format("{}, at {} s of virtual time", problem, exact_seconds(now));
    if (last_events.empty()) return text;
    text += "; the last events were:\n";
    sim::TraceInfo info;
    info.names = names;
    info.events = sim::describe_events();
    TraceText lines(info);
    for (const sim::Event& event : last_events) text += lines.line(event);
    text.pop_back();
    return text;
}

}  // namespace hvsim::analysis
