#include "analysis/timeline/processor_spans.h"

#include <algorithm>

#include "analysis/timeline/argument.h"

namespace hvsim::analysis {

using sim::EventKind;

/// A processor's own events never step back; those that another one causes on it may.
void Timeline::Processors::change(std::uint16_t lp, sim::Time time, ProcessorMode mode,
                                  const sim::Subject& runs, std::uint64_t reason) {
    if (lp == sim::kNoUnit) return;
    if (lp >= current_.size()) current_.resize(lp + std::size_t{1});
    std::optional<ProcessorSpan>& span = current_[lp];
    if (span) {
        span->end = std::max(time, span->begin);
        time = span->end;
        if (span->end != span->begin) listener_.on_processor(*span);
    }
    span = ProcessorSpan{lp, mode, runs, reason, time, time};
}

Timeline::Processors::Open& Timeline::Processors::of(const sim::Subject& subject) {
    const std::uint64_t key = processor_key(subject);
    if (newest_ < exits_.size() && exits_[newest_].first == key) return exits_[newest_].second;
    for (newest_ = 0; newest_ < exits_.size(); ++newest_)
        if (exits_[newest_].first == key) return exits_[newest_].second;
    return exits_.emplace_back(key, Open{}).second;
}

ExitSpan* Timeline::Processors::open_exit(const sim::Subject& subject) {
    Open& open = of(subject);
    return open.open ? &open.exit : nullptr;
}

void Timeline::Processors::end_exit(Open& open, sim::Time time) {
    if (open.working && time > open.working_since) open.exit.cost += time - open.working_since;
    open.open = false;
    listener_.on_exit(open.exit);
}

void Timeline::Processors::on_vm_exit(const sim::Event& event) {
    Open& open = of(event.subject);
    if (open.open) end_exit(open, event.time);
    open = {};
    open.open = open.working = true;
    open.working_since = event.time;
    ExitSpan& exit = open.exit;
    exit.subject = event.subject;
    exit.reason = argument<EventKind::kVmExit, "reason">(event);
    exit.qualification = argument<EventKind::kVmExit, "qualification">(event);
    exit.rip = argument<EventKind::kVmExit, "rip">(event);
    exit.guest_physical = argument<EventKind::kVmExit, "guest_physical">(event);
    exit.begin = event.time;
    change(event.subject.lp, event.time, ProcessorMode::hypervisor, event.subject, exit.reason);
}

void Timeline::Processors::on_vm_entry(const sim::Event& event) {
    Open& open = of(event.subject);
    if (open.open) {
        open.exit.end = std::max(event.time, open.exit.begin);
        end_exit(open, event.time);
    }
    change(event.subject.lp, event.time, ProcessorMode::guest, event.subject);
}

void Timeline::Processors::on_run(const sim::Event& event) {
    const bool runs = argument<EventKind::kVpRun, "state">(event) != 0;
    Open& open = of(event.subject);
    if (open.open) {
        if (runs)
            open.working_since = event.time;
        else if (open.working && event.time > open.working_since)
            open.exit.cost += event.time - open.working_since;
        open.working = runs;
    }
    if (runs)
        wake(event.subject.lp, event.time, argument<EventKind::kVpRun, "time_ps">(event));
    else
        change(event.subject.lp, event.time, ProcessorMode::switching);
}

/// What stopped last leaves the processor switching; until somebody could run it was idle.
void Timeline::Processors::wake(std::uint16_t lp, sim::Time time, sim::Duration waited) {
    if (lp != sim::kNoUnit && lp < current_.size() && current_[lp]) {
        ProcessorSpan& span = *current_[lp];
        const sim::Time awake = time - std::min(waited, time);
        if (span.mode == ProcessorMode::switching && awake > span.begin) {
            span.mode = ProcessorMode::idle;
            change(lp, awake, ProcessorMode::switching);
        }
    }
    change(lp, time, ProcessorMode::switching);
}

void Timeline::Processors::on_intercept(const sim::Event& event, std::uint64_t number) {
    ExitSpan* exit = open_exit(event.subject);
    if (exit == nullptr || exit->intercept != EventKind::kVmExit) return;
    exit->intercept = event.kind;
    exit->number = number;
}

void Timeline::Processors::on_event(const sim::Event& event) {
    last_ = std::max(last_, event.time);
    switch (event.kind) {
        case EventKind::kVmExit:
            return on_vm_exit(event);
        case EventKind::kVmEntry:
            return on_vm_entry(event);
        case EventKind::kVpRun:
            return on_run(event);
        case EventKind::kHypercall:
            return on_intercept(event, argument<EventKind::kHypercall, "code">(event));
        case EventKind::kMsrIntercept:
            return on_intercept(event, argument<EventKind::kMsrIntercept, "msr">(event));
        case EventKind::kIoIntercept:
            return on_intercept(event, argument<EventKind::kIoIntercept, "port">(event));
        default:
            return;
    }
}

void Timeline::Processors::finish() {
    for (auto& [key, open] : exits_)
        if (open.open) end_exit(open, last_);
    for (std::size_t lp = 0; lp < current_.size(); ++lp)
        if (current_[lp]) {
            // Behind the last stop nothing was to run any more.
            if (current_[lp]->mode == ProcessorMode::switching)
                current_[lp]->mode = ProcessorMode::idle;
            change(static_cast<std::uint16_t>(lp), last_, ProcessorMode::idle);
        }
}

}  // namespace hvsim::analysis
