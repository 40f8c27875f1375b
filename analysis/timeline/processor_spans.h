#pragma once
// Spans of logical processors and VM exits.
#include <cstdint>
#include <optional>
#include <vector>

#include "analysis/timeline/timeline.h"

namespace hvsim::analysis {

/// Key of a virtual processor, or of a logical one where the event has no other subject.
inline std::uint64_t processor_key(const sim::Subject& subject) {
    const bool virtual_one = subject.partition != sim::kNoUnit;
    return virtual_one ? std::uint64_t{subject.partition} << 16 | subject.vp
                       : std::uint64_t{1} << 32 | subject.lp;
}

class Timeline::Processors {
  public:
    explicit Processors(TimelineListener& listener) : listener_(listener) {}

    void on_event(const sim::Event& event);
    void finish();

    /// The exit that a virtual processor is in; nullptr: none.
    ExitSpan* open_exit(const sim::Subject& subject);

  private:
    /// An exit that is not over: the hypervisor's work on it ends where the virtual processor stops
    /// running, and goes on where it runs again.
    struct Open {
        ExitSpan exit;
        sim::Time working_since = 0;
        bool working = false;
        bool open = false;
    };

    /// A virtual processor begins to run on a logical one, `waited` after it could.
    void wake(std::uint16_t lp, sim::Time time, sim::Duration waited);
    void change(std::uint16_t lp, sim::Time time, ProcessorMode mode, const sim::Subject& runs = {},
                std::uint64_t reason = 0);
    Open& of(const sim::Subject& subject);
    void end_exit(Open& open, sim::Time time);
    void on_vm_exit(const sim::Event& event);
    void on_vm_entry(const sim::Event& event);
    void on_run(const sim::Event& event);
    void on_intercept(const sim::Event& event, std::uint64_t number);

    TimelineListener& listener_;
    std::vector<std::optional<ProcessorSpan>> current_;  // by logical processor
    std::vector<std::pair<std::uint64_t, Open>> exits_;  // by processor_key, in order of appearance
    std::size_t newest_ = 0;                             // the one looked up last
    sim::Time last_ = 0;
};

}  // namespace hvsim::analysis
