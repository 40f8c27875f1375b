#include "analysis/compare/trace_difference.h"

#include <algorithm>

#include "analysis/compare/trace_side.h"
#include "analysis/trace_text.h"

namespace hvsim::analysis {
namespace {

bool same_event(const sim::Event& a, const sim::Event& b) {
    return a.time == b.time && a.kind == b.kind && a.subject.lp == b.subject.lp &&
           a.subject.partition == b.subject.partition && a.subject.vp == b.subject.vp &&
           a.arguments == b.arguments;
}

/// Reads a side to its end from the point where they part.
TracePoint rest_of(TraceSide& side, TraceText text) {
    TracePoint point;
    point.event = side.current();
    for (; side.current(); side.next()) {
        if (point.events.size() <= kEventsAfter) point.events.push_back(text.line(*side.current()));
        side.keep();
    }
    point.record = side.record();
    point.end_problem = side.source().end_text();
    return point;
}

}  // namespace

sim::Time TraceDifference::time() const noexcept {
    if (!a.event) return b.event ? b.event->time : 0;
    return b.event ? std::min(a.event->time, b.event->time) : a.event->time;
}

TraceDifference compare_traces(const std::filesystem::path& a, const std::filesystem::path& b) {
    TraceSide first(a), second(b);
    std::deque<sim::Event> last;
    while (first.next().has_value() && second.next().has_value() &&
           same_event(*first.current(), *second.current())) {
        last.push_back(*first.current());
        if (last.size() > kEventsBefore) last.pop_front();
        first.keep();
        second.keep();
    }
    // The first was over: the second has not been asked yet.
    if (!first.current()) second.next();
    TraceDifference difference;
    difference.common = first.kept();
    difference.common_digest = first.digest();
    difference.consoles = first.console_lines();
    difference.parted = first.current() || second.current();
    const sim::TraceInfo info_a = first.info(), info_b = second.info();
    TraceText text_a(info_a), text_b(info_b);
    for (const sim::Event& event : last) {
        difference.before.push_back(text_a.line(event));
        text_b.line(event);
    }
    difference.a = rest_of(first, text_a);
    difference.b = rest_of(second, text_b);
    difference.rest = difference_of(difference.a.record, difference.b.record);
    return difference;
}

RunRecord read_trace_head(const std::filesystem::path& file) {
    return TraceSide(file).record();
}

}  // namespace hvsim::analysis
