#include "analysis/page/run_profile.h"

#include <algorithm>

#include "analysis/timeline/argument.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;

// interrupt_accepted's cause (docs/tracing.md).
constexpr std::uint64_t kCauseSynic = 6;

/// Processors' clocks differ by up to a quantum.
sim::Duration since(sim::Time from, sim::Time to) {
    return to > from ? to - from : 0;
}

sim::Duration between(sim::Time from, sim::Time to) {
    return from == sim::kNever || to == sim::kNever ? sim::kNever : since(from, to);
}

constexpr std::uint16_t kHost = sim::kNoUnit;

}  // namespace

std::array<sim::Duration, RunProfile::kStages> stages_of(const ChannelRequest& r) {
    std::array<sim::Duration, RunProfile::kStages> stages{};
    const auto at = [&stages](Stage stage) -> sim::Duration& {
        return stages[static_cast<std::size_t>(stage)];
    };
    const sim::Time noticed = std::min(r.noticed, r.taken);
    at(Stage::notice) = between(r.signalled, noticed);
    at(Stage::queue) = between(noticed, r.taken);
    at(Stage::disk) = between(r.provider_begin, r.provider_end);
    const sim::Duration whole = between(r.taken, r.answered);
    const sim::Duration disk = at(Stage::disk) == sim::kNever ? 0 : at(Stage::disk);
    at(Stage::provider) = whole == sim::kNever ? sim::kNever : since(disk, whole);
    at(Stage::signal) = between(r.answered, r.interrupted);
    return stages;
}

RunProfile::RunProfile() {
    for (std::size_t& series : rates_) series = bins_.add_series();
    queue_ = bins_.add_series();
}

void RunProfile::ask(Vector vector, sim::Time time, Latency latency) {
    asked_.try_emplace(vector, Asked{time, latency});
}

void RunProfile::on_accepted(const sim::Event& event) {
    bins_.add(rates_[kInterrupts], event.time, 1);
    const std::uint64_t vector = argument<EventKind::kInterruptAccepted, "vector">(event);
    const Unit unit{event.subject.partition, event.subject.vp};
    const Unit asked = event.subject.partition == kHost ? Unit{kHost, kHost} : unit;
    if (const auto found = asked_.find({asked, vector}); found != asked_.end()) {
        latencies_[found->second.latency].add(since(found->second.time, event.time));
        asked_.erase(found);
    }
    if (argument<EventKind::kInterruptAccepted, "cause">(event) != kCauseSynic) return;
    if (const auto found = synic_events_.find(unit); found != synic_events_.end()) {
        latencies_[kSynicToGuest].add(since(found->second, event.time));
        synic_events_.erase(found);
    }
}

void RunProfile::on_timer(const sim::Event& event) {
    const std::uint64_t vector = argument<EventKind::kSynicTimer, "delivered_vector">(event);
    if (vector != 0)
        ask({{event.subject.partition, event.subject.vp}, vector}, event.time, kTimerToGuest);
}

void RunProfile::on_event(const sim::Event& event) {
    end_ = std::max(end_, event.time);
    switch (event.kind) {
        case EventKind::kVmExit:
            bins_.add(rates_[kExits], event.time, 1);
            break;
        case EventKind::kHypercall:
            bins_.add(rates_[kHypercalls], event.time, 1);
            break;
        case EventKind::kException:
            bins_.add(rates_[kExceptions], event.time, 1);
            break;
        case EventKind::kScsiComplete:
            bins_.add(rates_[kDiskBytes], event.time,
                      argument<EventKind::kScsiComplete, "bytes">(event));
            break;
        case EventKind::kInterrupt:
            ask({{kHost, kHost}, argument<EventKind::kInterrupt, "vector">(event)}, event.time,
                kDeviceToHost);
            break;
        case EventKind::kSynicEvent:
        case EventKind::kSynicMessage:
            synic_events_.try_emplace({event.subject.partition, event.subject.vp}, event.time);
            break;
        case EventKind::kSynicTimer:
            on_timer(event);
            break;
        case EventKind::kInterruptAccepted:
            on_accepted(event);
            break;
        case EventKind::kVpRun:
            if (argument<EventKind::kVpRun, "state">(event) != 0)
                vps_[{event.subject.partition, event.subject.vp}].waited +=
                    argument<EventKind::kVpRun, "time_ps">(event);
            break;
        default:
            break;
    }
}

void RunProfile::on_processor(const ProcessorSpan& span) {
    auto [found, is_new] = processors_.try_emplace(span.lp);
    if (is_new)
        for (std::size_t& series : found->second.modes) series = bins_.add_series();
    bins_.add_span(found->second.modes[static_cast<std::size_t>(span.mode)], span.begin, span.end);
    if (span.mode != ProcessorMode::guest && span.mode != ProcessorMode::hypervisor) return;
    VpTime& vp = vps_[{span.runs.partition, span.runs.vp}];
    if (span.mode == ProcessorMode::guest)
        vp.guest += span.end - span.begin;
    else
        vp.by_reason[span.reason] += span.end - span.begin;
}

void RunProfile::on_request(const ChannelRequest& request) {
    if (!request.complete() || !request.scsi) return;
    const sim::Time begin = request.begin(), end = std::max(request.end(), begin);
    bins_.add_span(queue_, begin, end);
    Operation& operation = operations_[request.operation];
    operation.total.add(end - begin);
    const auto stages = stages_of(request);
    for (std::size_t i = 0; i < kStages; ++i)
        if (stages[i] != sim::kNever) operation.stages[i].add(stages[i]);
    const auto slower = [](const ChannelRequest& a, const ChannelRequest& b) {
        const sim::Duration first = since(a.begin(), a.end()), second = since(b.begin(), b.end());
        return first != second ? first > second : a.number < b.number;
    };
    slowest_.insert(std::upper_bound(slowest_.begin(), slowest_.end(), request, slower), request);
    if (slowest_.size() > kSlowest) slowest_.pop_back();
}

void RunProfile::on_console_line(const ConsoleLine& line) {
    if (lines_.size() < kMostLines)
        lines_.push_back(line);
    else
        ++lines_left_out_;
}

}  // namespace hvsim::analysis
