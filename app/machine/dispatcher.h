#pragma once
// Decides who executes next. One processor at a time, lowest (time, number) first, device deadlines
// at or before that time first: the order never depends on SystemC's choice among ready processes.
#include <exception>
#include <functional>
#include <memory>
#include <systemc>
#include <vector>

#include "app/machine/processor.h"
#include "sim/clocked.h"

namespace hvsim::app {

struct DispatcherConfig {
    sim::Duration quantum = 10 * sim::kMicrosecond;
    sim::Time deadline = sim::kNever;  ///< the run ends there
};

enum class DispatchEnd : std::uint8_t { requested, deadline, nothing_left };

/// The machine's clockwork. Each processor is a SystemC thread of its own that waits for its event;
/// the dispatcher's thread wakes exactly one and waits until it is back.
class Dispatcher : public sc_core::sc_module {
  public:
    Dispatcher(const sc_core::sc_module_name& name, const DispatcherConfig& config);
    ~Dispatcher() override;

    /// Before the simulation starts. Not owned.
    void add(Processor& processor);
    void add(sim::Clocked& device);
    /// Called once, when the buses are connected, before anything runs.
    std::function<void()> on_start;
    /// Called between two runs of processors, at least each millisecond of virtual time; returns
    /// false to end the run.
    std::function<bool(sim::Time)> on_step;

    /// A device's deadline, or another processor's wake time, may have moved to `at` or closer:
    /// the processor that executes does not run past it.
    void reconsider();
    void end() noexcept { ended_ = true; }

    /// Runs the simulation to its end. Exceptions of models leave here.
    DispatchEnd run();
    sim::Time now() const noexcept { return now_; }
    sim::Duration quantum() const noexcept { return config_.quantum; }
    std::uint64_t runs() const noexcept { return runs_; }

  private:
    struct Thread;
    void dispatch();
    void dispatch_loop();
    void run_processor(std::size_t index, sim::Time until);
    sim::Time next_device_deadline() const;
    sim::Time limit_for(std::size_t index, sim::Time start) const;

    DispatcherConfig config_;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<sim::Clocked*> devices_;
    sc_core::sc_event done_{"done"};
    std::size_t current_ = SIZE_MAX;
    bool ended_ = false;
    DispatchEnd result_ = DispatchEnd::requested;
    std::exception_ptr failure_;
    sim::Time now_ = 0;
    std::uint64_t runs_ = 0;
};

}  // namespace hvsim::app
