#include <systemc>

#include "app/machine/bare_machine.h"
#include "app/machine/board.h"
#include "app/machine/hv_machine.h"
#include "app/run.h"
#include "cpu/engine/engine.h"
#include "cpu/svm/spec/vmcb.h"
#include "cpu/vmx/spec/fields.h"
#include "hypervisor-model/hypercall/table.h"
#include "vmbus-model/spec/protocol.h"

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

/// Runs what is built; the outcome lacks what only the kind of machine knows.
RunOutcome run_board(Board& board) {
    sim::Time reported = 0;
    bool stopped = false;
    board.dispatcher.on_step = [&](sim::Time now) {
        stopped = !step(board, now, reported);
        return !stopped;
    };
    const DispatchEnd end = board.dispatcher.run();
    RunOutcome outcome;
    outcome.cause = stopped                         ? StopCause::stopped
                    : end == DispatchEnd::deadline ? StopCause::deadline
                                                   : StopCause::ended;
    outcome.virtual_time = board.dispatcher.now();
    return outcome;
}

RunOutcome run_bare(const Scenario& scenario, RunOptions& options) {
    Board board(scenario, options);
    BareMachine machine(board);
    machine.boot();
    RunOutcome outcome = run_board(board);
    if (outcome.cause == StopCause::ended && board.outcome.end == MachineEnd::running)
        board.outcome = machine.idle_outcome();
    outcome.machines.push_back(board.outcome);
    machine.collect(outcome);
    machine.finish();
    outcome.digest = board.recorder.digest().hex();
    return outcome;
}

RunOutcome run_hypervisor(const Scenario& scenario, RunOptions& options) {
    Board board(scenario, options);
    HvMachine machine(board);
    RunOutcome outcome = run_board(board);
    if (outcome.cause == StopCause::ended && !machine.all_ended()) machine.note_hang();
    machine.collect(outcome);
    machine.finish();
    outcome.digest = board.recorder.digest().hex();
    return outcome;
}

}  // namespace

RunOutcome run_machine(const Scenario& scenario, RunOptions& options) {
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_set_time_resolution(1, sc_core::SC_PS);
    return scenario.hypervisor ? run_hypervisor(scenario, options) : run_bare(scenario, options);
}

sim::TraceNames trace_names(const Scenario& scenario) {
    sim::TraceNames names;
    if (scenario.host.vendor == Vendor::intel) {
        for (std::uint32_t reason = 0; reason < 128; ++reason)
            if (const auto name = cpu::vmx::exit_reason_name(reason); !name.empty())
                names.add(sim::EventKind::kVmExit, 0, reason, name);
    } else {
        for (std::uint64_t code = 0; code <= 0x403; ++code)
            if (const auto name = cpu::svm::exit_code_name(code); !name.empty())
                names.add(sim::EventKind::kVmExit, 0, code, name);
    }
    for (const hv::HypercallRow& row : hv::hypercall_table())
        names.add(sim::EventKind::kHypercall, 0, row.code, row.name);
    for (const auto& row : vmbus::spec::kMessageTable)
        names.add(sim::EventKind::kVmbusMessage, 0, static_cast<std::uint64_t>(row.type), row.name);
    return names;
}

std::vector<analysis::NamedText> library_versions() {
    return {{"SystemC", sc_core::sc_release()},
            {"Execution engine", cpu::engine::library_version()}};
}

}  // namespace hvsim::app
