#include "analysis/export/processor_tracks.h"

#include <algorithm>

#include "analysis/export/request_tracks.h"
#include "analysis/timeline/processor_spans.h"

namespace hvsim::analysis {

ProcessorTracks::ProcessorTracks(TrackTree& tree, TrackNames& names, TrackSink& sink)
    : tree_(tree),
      names_(names),
      sink_(sink),
      guest_(sink.string("guest")),
      switching_(sink.string("switching")),
      idle_(sink.string("idle")),
      cost_(sink.string("cost_ps")),
      begin_(sink.string("begin_ps")),
      duration_(sink.string("duration_ps")),
      rip_(sink.string("rip")),
      guest_physical_(sink.string("guest_physical")),
      qualification_(sink.string("qualification")) {}

void ProcessorTracks::change(std::uint16_t lp, std::uint64_t key, const sim::Subject& runs,
                             sim::Time begin) {
    if (lp >= running_.size()) running_.resize(lp + std::size_t{1});
    Running& running = running_[lp];
    if (running.key == key) return;
    if (running.key != 0) sink_.close(tree_.lp(lp), running.end);
    running.key = key;
    if (key == 0) return;
    const std::string name = TrackTree::processor_name(runs);
    sink_.open(tree_.lp(lp), begin, {{sink_.string(name)}});
}

void ProcessorTracks::on_processor(const ProcessorSpan& span) {
    const bool runs = span.mode == ProcessorMode::guest || span.mode == ProcessorMode::hypervisor;
    change(span.lp, runs ? processor_key(span.runs) + 1 : 0, span.runs, span.begin);
    running_[span.lp].end = span.end;
    Label label{guest_};
    if (span.mode == ProcessorMode::hypervisor) label = names_.exit_reason(span.reason);
    if (span.mode == ProcessorMode::switching) label = {switching_};
    if (span.mode == ProcessorMode::idle) label = {idle_};
    sink_.slice(tree_.lp(span.lp), span.begin, span.end, {label});
}

/// One that no entry follows ends with the work on it. Exits of a virtual processor follow each
/// other; where a trace says otherwise, the later one is drawn shorter.
void ProcessorTracks::on_exit(const ExitSpan& span) {
    const TrackId track = tree_.vp(span.subject);
    const auto number = static_cast<std::size_t>(track);
    if (number >= ends_.size()) ends_.resize(number + 1);
    const sim::Time end = span.end != sim::kNever ? span.end : span.begin + span.cost;
    const sim::Time drawn_begin = std::max(span.begin, ends_[number]);
    ends_[number] = std::max(end, drawn_begin);
    const Detail details[] = {{cost_, Detail::Form::decimal, span.cost},
                              {begin_, Detail::Form::decimal, span.begin},
                              {duration_, Detail::Form::decimal, end - span.begin},
                              {rip_, Detail::Form::hexadecimal, span.rip},
                              {qualification_, Detail::Form::hexadecimal, span.qualification},
                              {guest_physical_, Detail::Form::hexadecimal, span.guest_physical}};
    // The last two say nothing for most exits.
    std::size_t count = std::size(details);
    if (span.guest_physical == 0) --count;
    if (span.guest_physical == 0 && span.qualification == 0) --count;
    const Flow flow{signal_flow(span.signal), Flow::Step::first};
    sink_.slice(track, drawn_begin, ends_[number],
                {names_.exit(span), std::span(details).first(count),
                 std::span(&flow, span.signal != 0 ? 1 : 0)});
}

void ProcessorTracks::on_instant(const sim::Event& event, std::span<const Flow> flows) {
    Detail details[4];
    const unsigned count = names_.arguments(event.kind);
    for (unsigned i = 0; i < count; ++i)
        details[i] = names_.argument(event.kind, i, event.arguments[i]);
    sink_.instant(tree_.events(event.subject), event.time,
                  {{names_.event(event.kind)}, std::span(details).first(count), flows});
}

void ProcessorTracks::finish() {
    for (std::uint16_t lp = 0; lp < running_.size(); ++lp) change(lp, 0, {}, 0);
}

}  // namespace hvsim::analysis
