#include "analysis/export/track_builder.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "analysis/export/processor_tracks.h"
#include "analysis/export/request_tracks.h"
#include "analysis/export/sample_tracks.h"
#include "analysis/timeline/argument.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;

enum class Drawn : std::uint8_t { by_span, as_instant, as_sample, not_at_all };

/// What spans tell of, the timeline hands over by itself.
constexpr Drawn drawn(EventKind kind) {
    switch (kind) {
        case EventKind::kVmEntry:
        case EventKind::kVmExit:
        case EventKind::kMsrIntercept:
        case EventKind::kIoIntercept:
        case EventKind::kVmbusPacket:
        case EventKind::kVmbusSignal:
        case EventKind::kScsiRequest:
        case EventKind::kScsiComplete:
        case EventKind::kDiskRequest:
        case EventKind::kDiskComplete:
        case EventKind::kDiskIssue:
        case EventKind::kDiskTransfer:
        case EventKind::kVpRun:
        case EventKind::kConsole:
            return Drawn::by_span;
        case EventKind::kProcessorSample:
        case EventKind::kIommuSample:
            return Drawn::as_sample;
        case EventKind::kTlbFill:  // as many as all others together: the samples count them
        case EventKind::kIotlbMiss:
            return Drawn::not_at_all;
        default:
            return Drawn::as_instant;
    }
}

}  // namespace

struct TrackBuilder::Parts {
    Parts(const TraceSource& source, TrackSink& given)
        : sink(given),
          names(source, given),
          tree(source, given),
          processors(tree, names, given),
          requests(tree, names, given),
          samples(tree, given) {}

    void draw_held() {
        if (!held) return;
        processors.on_instant(*held, flows);
        held.reset();
        flows.clear();
    }

    TrackSink& sink;
    TrackNames names;
    TrackTree tree;
    ProcessorTracks processors;
    RequestTracks requests;
    SampleTracks samples;
    sim::Time last = 0;
    /// An interrupt that was accepted: the requests that end with it come directly behind it.
    std::optional<sim::Event> held;
    std::vector<Flow> flows;
};

TrackBuilder::TrackBuilder(const TraceSource& source, TrackSink& sink)
    : parts_(std::make_unique<Parts>(source, sink)) {}

TrackBuilder::~TrackBuilder() = default;

void TrackBuilder::on_event(const sim::Event& event) {
    Parts& parts = *parts_;
    parts.last = std::max(parts.last, event.time);
    if (parts.held) parts.draw_held();
    switch (drawn(event.kind)) {
        case Drawn::as_instant:
            // A call that succeeds is in its exit's name.
            if (event.kind == EventKind::kHypercall &&
                argument<EventKind::kHypercall, "status">(event) == 0)
                return;
            if (event.kind == EventKind::kInterruptAccepted)
                parts.held = event;
            else
                parts.processors.on_instant(event, {});
            return;
        case Drawn::as_sample:
            return parts.samples.on_sample(event);
        default:
            return;
    }
}

void TrackBuilder::on_processor(const ProcessorSpan& span) {
    parts_->processors.on_processor(span);
}

void TrackBuilder::on_exit(const ExitSpan& span) {
    parts_->processors.on_exit(span);
}

void TrackBuilder::on_command(const DiskCommand& command) {
    parts_->requests.on_command(command, parts_->last);
}

void TrackBuilder::on_request(const ChannelRequest& request) {
    Parts& parts = *parts_;
    parts.requests.on_request(request);
    if (!parts.held || request.interrupted != parts.held->time || request.answer_signal == 0)
        return;
    const std::uint64_t flow = signal_flow(request.answer_signal);
    if (parts.flows.empty() || parts.flows.back().id != flow)
        parts.flows.push_back({flow, Flow::Step::last});
}

void TrackBuilder::on_depth(const QueueDepth& depth) {
    parts_->requests.on_depth(depth);
}

void TrackBuilder::on_console_line(const ConsoleLine& line) {
    if (line.text.empty()) return;
    parts_->sink.instant(parts_->tree.console(line.subject.partition), line.end,
                         {{StringId::none, line.text}});
}

void TrackBuilder::finish() {
    parts_->draw_held();
    parts_->processors.finish();
}

}  // namespace hvsim::analysis
