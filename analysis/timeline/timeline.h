#pragma once
// Finds what belongs together in a trace's events (analysis/timeline/spans.h) while they pass by:
// memory grows with what is open at a time, not with the trace.
#include <memory>

#include "analysis/timeline/spans.h"
#include "sim/recorder.h"

namespace hvsim::analysis {

/// Give it the events in the trace's order, then finish(). Can be a run's sink as well.
class Timeline : public sim::EventSink {
  public:
    /// `listener` must outlive this object.
    explicit Timeline(TimelineListener& listener);
    ~Timeline() override;

    void on_event(const sim::Event& event) override;
    /// The trace is over: what is still open ends now, incomplete. Call it once.
    void finish();

  private:
    class Processors;
    class Requests;
    class Consoles;

    TimelineListener& listener_;
    std::unique_ptr<Processors> processors_;
    std::unique_ptr<Requests> requests_;
    std::unique_ptr<Consoles> consoles_;
};

}  // namespace hvsim::analysis
