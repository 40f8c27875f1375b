#pragma once
// Draws a timeline as tracks: one for each logical and virtual processor, VMBus channel, console
// and for the disk controller, with counters. docs/export.md says what is on them.
#include <memory>

#include "analysis/export/track_sink.h"
#include "analysis/timeline/spans.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {

/// Memory grows with what is open at a time and with the number of tracks, not with the trace.
class TrackBuilder final : public TimelineListener {
  public:
    /// Both must outlive this object.
    TrackBuilder(const TraceSource& source, TrackSink& sink);
    ~TrackBuilder() override;

    void on_event(const sim::Event& event) override;
    void on_processor(const ProcessorSpan& span) override;
    void on_exit(const ExitSpan& span) override;
    void on_command(const DiskCommand& command) override;
    void on_request(const ChannelRequest& request) override;
    void on_depth(const QueueDepth& depth) override;
    void on_console_line(const ConsoleLine& line) override;
    /// After the timeline's finish(). The sink is not finished.
    void finish();

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace hvsim::analysis
