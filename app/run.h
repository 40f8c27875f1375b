#pragma once
// What the command line and the composition root say to each other about a run.
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/processor_state.h"
#include "analysis/run_result.h"
#include "app/scenario/scenario.h"
#include "sim/recorder.h"
#include "sim/trace_names.h"

namespace hvsim::cpu {
class ControlBlockWatch;
}

namespace hvsim::app {

/// Where a machine's consoles get their input. A console is a VM by its index, or the bare host
/// (0).
class ConsoleInput {
  public:
    virtual ~ConsoleInput() = default;
    /// The next byte for the console, if there is one at `now`. Asked at times that depend on
    /// nothing but the run itself, once for each byte.
    virtual std::optional<std::uint8_t> next(std::size_t console, sim::Time now) = 0;
    /// When the console's next byte will be there; kNever when it is not known.
    virtual sim::Time next_deadline(std::size_t console) const = 0;
};

struct Progress {
    sim::Time virtual_time = 0;
    std::uint64_t code_bytes = 0;
};

struct RunOptions {
    /// A byte printed on a console; may be empty. It may set the stop flag.
    std::function<void(std::size_t console, std::uint8_t byte, sim::Time time)> console;
    ConsoleInput* input = nullptr;  ///< not owned; may be null
    /// Set: end the run at the next end of a quantum. May be null.
    const std::atomic<bool>* stop = nullptr;
    sim::EventSink* sink = nullptr;  ///< not owned; may be null
    sim::EventLevel level = sim::EventLevel::event;
    /// Set by run_machine, to be called from the sink: the processors of guests as they are.
    std::function<std::vector<analysis::ProcessorState>()> processors;
    cpu::ControlBlockWatch* watch = nullptr;  ///< not owned; may be null
    /// To be called every now and then, at least each millisecond of virtual time, and also while
    /// that stands still; may be empty.
    std::function<void(const Progress&)> progress;
};

/// How one machine (a VM, or the bare host) ended.
enum class MachineEnd : std::uint8_t {
    running,       ///< it did not
    poweroff,      ///< the guest switched it off
    reboot,        ///< the guest asked for a reset
    crash,         ///< the guest reported a crash (crash MSRs)
    triple_fault,  ///< a processor shut down
    halt,          ///< all processors wait with interrupts off, for good
    exit,          ///< a test device was told to end the run
};
std::string_view to_string(MachineEnd end);

struct MachineOutcome {
    MachineEnd end = MachineEnd::running;
    sim::Time time = 0;  ///< of the end
    std::string
        detail;  ///< further words about it (crash parameters, the faulting RIP); may be empty
    std::optional<std::uint32_t> exit_code = {};  ///< with `exit`
};

/// What made a run stop.
enum class StopCause : std::uint8_t {
    ended,     ///< every machine ended
    deadline,  ///< expect.deadline
    stopped,   ///< the stop flag
};

struct RunOutcome {
    StopCause cause = StopCause::ended;
    std::vector<MachineOutcome> machines;  ///< by console
    sim::Time virtual_time = 0;
    std::uint64_t code_bytes = 0;
    std::uint64_t instructions = 0;
    sim::Duration greatest_overshoot = 0;
    std::string digest;
    std::vector<sim::IntervalDigest> intervals;  ///< of its events
    std::vector<analysis::Statistic> statistics;
};

/// Builds the scenario's machine, runs it and takes it apart. Throws sim::ConfigError for what the
/// user can mend, sim::ModelError for a bug.
RunOutcome run_machine(const Scenario& scenario, RunOptions& options);
/// Names of exit reasons, hypercalls, registers and the like for the scenario's machine.
sim::TraceNames trace_names(const Scenario& scenario);
/// The scenario's processor model, all that its CPUID says: for a hash.
std::string processor_text(const Scenario& scenario);
/// The libraries that the machine is made with.
std::vector<analysis::NamedText> library_versions();

/// The composition root's functions, so that the command line can be tested without it.
struct MachineFunctions {
    RunOutcome (*run)(const Scenario& scenario, RunOptions& options);
    sim::TraceNames (*names)(const Scenario& scenario);
    std::vector<analysis::NamedText> (*versions)();
    std::string (*processor)(const Scenario& scenario);
};

}  // namespace hvsim::app
