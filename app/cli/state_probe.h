#pragma once
// hvsim run --state-at: the processors at one event of a run.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/processor_state.h"
#include "sim/recorder.h"

namespace hvsim::app {

/// Counts a run's events of level event from 1; at the wanted one it looks at the processors and
/// asks for the run's end.
class StateProbe : public sim::EventSink {
  public:
    using Look = std::function<std::vector<analysis::ProcessorState>()>;

    StateProbe(std::uint64_t number, sim::EventSink& next, std::function<void()> stop)
        : number_(number), next_(next), stop_(std::move(stop)) {}

    /// How to look at the processors; to be set before the run's first event.
    void set_look(const Look* look) noexcept { look_ = look; }
    void on_event(const sim::Event& event) override;
    bool reached() const noexcept { return event_.has_value(); }
    std::uint64_t events() const noexcept { return events_; }
    /// What was seen, as JSON (docs/golden.md): event, processors, and the digest of all events
    /// before it.
    std::string json() const;

  private:
    std::uint64_t number_;
    sim::EventSink& next_;
    std::function<void()> stop_;
    const Look* look_ = nullptr;
    std::uint64_t events_ = 0;
    sim::Digest digest_;
    std::optional<sim::Event> event_;
    std::vector<analysis::ProcessorState> processors_;
};

}  // namespace hvsim::app
