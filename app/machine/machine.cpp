#include <systemc>

#include "app/machine/bare_machine.h"
#include "app/machine/board.h"
#include "app/run.h"
#include "cpu/engine/engine.h"
#include "cpu/vmx/spec/fields.h"

// libsystemc's own entry point, which a program with its own main() never calls.
int sc_main(int, char**) { return 0; }

namespace hvsim::app {
namespace {

/// Between two runs of processors: progress, stop flag.
bool step(Board& board, sim::Time now, sim::Time& reported) {
    if (board.options.progress && now >= reported) {
        board.options.progress({now, 0});
        reported = now + sim::kMillisecond;
    }
    return board.options.stop == nullptr || !board.options.stop->load(std::memory_order_relaxed);
}

RunOutcome run_bare(const Scenario& scenario, RunOptions& options) {
    Board board(scenario, options);
    BareMachine machine(board);
    machine.boot();
    sim::Time reported = 0;
    bool stopped = false;
    board.dispatcher.on_step = [&](sim::Time now) {
        const bool go_on = step(board, now, reported);
        stopped = !go_on;
        return go_on;
    };
    const DispatchEnd end = board.dispatcher.run();
    RunOutcome outcome;
    if (end == DispatchEnd::nothing_left) board.outcome = machine.idle_outcome();
    outcome.cause = stopped                         ? StopCause::stopped
                    : end == DispatchEnd::deadline ? StopCause::deadline
                                                   : StopCause::ended;
    outcome.machines.push_back(board.outcome);
    outcome.virtual_time = board.dispatcher.now();
    machine.collect(outcome);
    machine.finish();
    outcome.digest = board.recorder.digest().hex();
    return outcome;
}

}  // namespace

RunOutcome run_machine(const Scenario& scenario, RunOptions& options) {
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_set_time_resolution(1, sc_core::SC_PS);
    return run_bare(scenario, options);
}

sim::TraceNames trace_names(const Scenario&) {
    sim::TraceNames names;
    return names;
}

std::vector<analysis::NamedText> library_versions() {
    return {{"SystemC", sc_core::sc_release()},
            {"Execution engine", cpu::engine::library_version()}};
}

}  // namespace hvsim::app
