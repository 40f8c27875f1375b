#include <systemc>

#include "analysis/failure_text.h"
#include "app/machine/bare_machine.h"
#include "app/machine/board.h"
#include "app/machine/hv_machine.h"
#include "app/run.h"
#include "cpu/engine/engine.h"
#include "sim/error.h"

// libsystemc's own entry point, which a program with its own main() never calls.
int sc_main(int, char**) {
    return 0;
}

namespace hvsim::app {
namespace {

struct Reported {
    sim::Time next = 0;
    unsigned steps = 0;  ///< since the last report
};

/// Between two runs of processors: progress, stop flag. Time may stand still, steps do not.
template <typename Machine>
bool step(Board& board, const Machine& machine, sim::Time now, Reported& reported) {
    constexpr unsigned kMostSteps = 64;
    if (board.options.progress && (now >= reported.next || ++reported.steps >= kMostSteps)) {
        board.options.progress({now, machine.code_bytes()});
        reported = {now + sim::kMillisecond, 0};
    }
    return board.options.stop == nullptr || !board.options.stop->load(std::memory_order_relaxed);
}

/// A model's bug is told with the virtual time and the events that led to it.
DispatchEnd dispatch(Board& board) {
    try {
        return board.dispatcher.run();
    } catch (const sim::ModelError& error) {
        throw sim::ModelError(analysis::failure_text(error.what(), board.dispatcher.now(),
                                                     board.recorder.last_events(),
                                                     trace_names(board.scenario)));
    }
}

/// Runs what is built; the outcome lacks what only the kind of machine knows.
template <typename Machine>
RunOutcome run_board(Board& board, const Machine& machine) {
    Reported reported;
    bool stopped = false;
    board.dispatcher.on_step = [&](sim::Time now) {
        board.sampler.on_step(now);
        stopped = !step(board, machine, now, reported);
        return !stopped;
    };
    const DispatchEnd end = dispatch(board);
    board.sampler.sample(board.dispatcher.now());
    RunOutcome outcome;
    outcome.cause = stopped                        ? StopCause::stopped
                    : end == DispatchEnd::deadline ? StopCause::deadline
                                                   : StopCause::ended;
    outcome.virtual_time = board.dispatcher.now();
    return outcome;
}

/// The digests: first of the events, then with what the machine's end adds.
template <typename Machine>
void finish(Board& board, Machine& machine, RunOutcome& outcome) {
    outcome.intervals = board.recorder.interval_digests();
    machine.finish();
    outcome.digest = board.recorder.digest().hex();
    board.options.processors = nullptr;
}

RunOutcome run_bare(const Scenario& scenario, RunOptions& options) {
    Board board(scenario, options);
    BareMachine machine(board);
    options.processors = [&machine] { return machine.processors(); };
    machine.boot();
    RunOutcome outcome = run_board(board, machine);
    if (outcome.cause == StopCause::ended && board.outcome.end == MachineEnd::running)
        board.outcome = machine.idle_outcome();
    outcome.machines.push_back(board.outcome);
    machine.collect(outcome);
    finish(board, machine, outcome);
    return outcome;
}

RunOutcome run_hypervisor(const Scenario& scenario, RunOptions& options) {
    Board board(scenario, options);
    HvMachine machine(board);
    options.processors = [&machine] { return machine.processors(); };
    RunOutcome outcome = run_board(board, machine);
    if (outcome.cause == StopCause::ended && !machine.all_ended()) machine.note_hang();
    machine.collect(outcome);
    finish(board, machine, outcome);
    return outcome;
}

}  // namespace

RunOutcome run_machine(const Scenario& scenario, RunOptions& options) {
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_set_time_resolution(1, sc_core::SC_PS);
    return scenario.hypervisor ? run_hypervisor(scenario, options) : run_bare(scenario, options);
}

std::vector<analysis::NamedText> library_versions() {
    return {{"SystemC", sc_core::sc_release()},
            {"Execution engine", cpu::engine::library_version()}};
}

}  // namespace hvsim::app
