#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <ostream>
#include <thread>

#include "analysis/quantity_text.h"
#include "analysis/report.h"
#include "analysis/tally.h"
#include "app/cli/console_output.h"
#include "app/cli/golden_check.h"
#include "app/cli/junit.h"
#include "app/cli/keyboard.h"
#include "app/cli/program.h"
#include "app/cli/state_probe.h"
#include "app/console_input.h"
#include "app/control_block_dump.h"
#include "app/expect.h"
#include "app/failure_text.h"
#include "app/inputs.h"
#include "app/scenario/quantity.h"
#include "app/scenario/reader.h"
#include "app/statistic_demand.h"
#include "app/version.h"
#include "app/whole_file.h"
#include "sim/trace_writer.h"

namespace hvsim::app {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kProgressPeriodNs = kSecondNs / 5;

/// One run, from its scenario to its report.
class Run {
  public:
    Run(const RunArguments& arguments, const Surroundings& surroundings)
        : arguments_(arguments),
          surroundings_(surroundings),
          scenario_(read_scenario(arguments.scenario, {arguments.set, arguments.profiles, true})),
          consoles_(std::max<std::size_t>(scenario_.vms.size(), 1)),
          watch_(scenario_.expect, consoles_),
          script_(scenario_),
          output_(scenario_, surroundings.out, arguments.quiet, arguments.interactive) {}

    int run() {
        const sim::TraceNames names = surroundings_.machine.names(scenario_);
        collect_inputs();
        if (!arguments_.golden.empty()) golden_ = std::make_unique<GoldenCheck>(arguments_);
        if (refuse_golden()) return kExitConfig;
        open_trace(names);
        open_dump(names);
        analysis::Tally tally(names, trace_.get());
        connect_input();
        if (arguments_.state_at != 0) return run_to_state(tally);
        RunOptions options = options_for(tally);
        const RunOutcome outcome = run_machine_with(options);
        Verdict verdict = judge(scenario_, outcome, watch_, reason_);
        analysis::RunResult result = result_of(outcome, verdict, tally);
        check_golden(verdict, result);
        report(result);
        if (trace_) trace_->finish();
        write_junit(result, verdict);
        finish_dump();
        refuse_unknown(verdict, outcome);
        if (!verdict.met) print_failure(verdict);
        renew_golden(verdict, result);
        if (was_stopped()) return kExitStopped;
        return verdict.met ? kExitMet : kExitUnmet;
    }

  private:
    bool was_stopped() const {
        return reason_ == StopReason::wall_limit || reason_ == StopReason::interrupted;
    }

    /// What traces, reports and goldens say of the run's inputs; before the run, which may write to
    /// disk images.
    void collect_inputs() {
        if (arguments_.trace.empty() && arguments_.json.empty() && arguments_.golden.empty())
            return;
        const auto processor = surroundings_.machine.processor;
        inputs_ = run_inputs(scenario_, {arguments_.set, arguments_.profiles, arguments_.replay,
                                         processor != nullptr ? processor(scenario_) : ""});
    }

    /// Whether the golden is one of other inputs, or of another version.
    bool refuse_golden() const {
        if (!golden_) return false;
        const std::vector<std::string> obstacles = golden_->obstacles(*inputs_);
        if (obstacles.empty()) return false;
        const std::string problem =
            fmt::format("the run cannot be compared with {}", arguments_.golden.string());
        surroundings_.err << "hvsim: " << problem << ":\n";
        for (const std::string& obstacle : obstacles) surroundings_.err << "  " << obstacle << '\n';
        surroundings_.err << "  hint: --update-golden makes a golden of what is there now\n";
        if (!arguments_.junit.empty()) {
            analysis::RunResult result;
            result.scenario = arguments_.scenario.string();
            result.program_version = kVersion;
            write_whole_file(
                arguments_.junit,
                junit_report(result, {}, fmt::format("{}: {}", problem, fmt::join(obstacles, "; ")),
                             {}));
        }
        return true;
    }

    void check_golden(Verdict& verdict, analysis::RunResult& result) {
        if (!golden_ || was_stopped()) return;
        Expectation expected = golden_->check(result);
        if (arguments_.update_golden) return;
        verdict.met = verdict.met && expected.failures.empty();
        verdict.unmet.insert(verdict.unmet.end(), expected.failures.begin(),
                             expected.failures.end());
        verdict.expectations.push_back(std::move(expected));
        result.met = verdict.met;
        result.unmet = verdict.unmet;
    }

    void renew_golden(const Verdict& verdict, const analysis::RunResult& result) const {
        if (!arguments_.update_golden) return;
        if (verdict.met && !was_stopped())
            surroundings_.err << golden_->renew(result) << '\n';
        else
            surroundings_.err << fmt::format(
                "hvsim: {} stays as it is: the run did not meet its expectations\n",
                arguments_.golden.string());
    }

    RunOutcome run_machine_with(RunOptions& options) {
        start_ns_ = surroundings_.wall_clock_ns();
        RunOutcome outcome = surroundings_.machine.run(scenario_, options);
        wall_ns_ = surroundings_.wall_clock_ns() - start_ns_;
        clear_progress();
        output_.finish();
        keyboard_.reset();
        return outcome;
    }

    /// --state-at: as far as an event, then what the processors hold.
    int run_to_state(analysis::Tally& tally) {
        StateProbe probe(arguments_.state_at, tally, [this] { stop(StopReason::watch); });
        RunOptions options = options_for(tally);
        options.sink = &probe;
        probe.set_look(&options.processors);
        run_machine_with(options);
        if (trace_) trace_->finish();
        if (!probe.reached())
            throw sim::ConfigError(
                fmt::format("the run ended after {} events", probe.events()),
                fmt::format("--state-at {}: name one of them", arguments_.state_at));
        surroundings_.out << probe.json() << std::flush;
        return kExitMet;
    }

    void write_junit(const analysis::RunResult& result, const Verdict& verdict) const {
        if (arguments_.junit.empty()) return;
        std::vector<ConsoleTail> consoles;
        for (std::size_t console = 0; console < consoles_; ++console)
            consoles.push_back({scenario_.console_name(console), watch_.last_lines(console)});
        const std::string error = was_stopped() ? "the run was stopped" : "";
        write_whole_file(arguments_.junit,
                         junit_report(result, verdict.expectations, error, consoles));
    }

    void open_trace(const sim::TraceNames& names) {
        if (arguments_.trace.empty()) return;
        sim::TraceInfo info;
        info.scenario = arguments_.scenario.string();
        info.program_version = kVersion;
        info.start_date = scenario_.host.date;
        info.names = names;
        info.inputs = *inputs_;
        trace_ = std::make_unique<sim::TraceWriter>(arguments_.trace, std::move(info));
    }

    void open_dump(const sim::TraceNames& names) {
        if (arguments_.vmcs.empty()) return;
        std::vector<DumpCondition> conditions;
        for (const std::string& text : arguments_.dump_vmcs)
            conditions.push_back(parse_dump_condition(text, names));
        if (conditions.empty()) conditions.push_back(parse_dump_condition("failed", names));
        dump_ = std::make_unique<ControlBlockDump>(arguments_.vmcs, arguments_.scenario.string(),
                                                   names, std::move(conditions));
    }

    /// Ends the file of dumped control blocks, and says which dumps it does not have.
    void finish_dump() {
        if (!dump_) return;
        dump_->finish();
        for (const std::string& condition : dump_->missed())
            surroundings_.err << fmt::format("hvsim: --dump-vmcs {}: it never came to that\n",
                                             condition);
    }

    void connect_input() {
        input_.add(script_);
        if (arguments_.interactive) {
            keyboard_ = std::make_unique<Keyboard>();
            ConsoleInput* source = keyboard_.get();
            if (!arguments_.record.empty()) {
                recording_ = std::make_unique<RecordingInput>(*source, arguments_.record);
                source = recording_.get();
            }
            polled_ = std::make_unique<PolledInput>(*source);
            input_.add(*polled_);
            scenario_.expect.deadline = sim::kNever;  // a person takes the time a person takes
        }
        if (!arguments_.replay.empty()) {
            replayed_ = std::make_unique<ReplayedInput>(arguments_.replay, consoles_);
            polled_ = std::make_unique<PolledInput>(*replayed_);
            input_.add(*polled_);
            const sim::Time end = replayed_->end();
            scenario_.expect.deadline += std::min(end, sim::kNever - scenario_.expect.deadline);
        }
    }

    RunOptions options_for(analysis::Tally& tally) {
        RunOptions options;
        options.console = [this](std::size_t console, std::uint8_t byte, sim::Time time) {
            if (shares_terminal()) clear_progress();
            output_.on_byte(console, byte);
            watch_.on_byte(console, byte, time);
            script_.on_byte(console, byte, time);
            if (watch_.wants_stop()) stop(StopReason::watch);
        };
        options.input = &input_;
        options.stop = &stop_;
        options.sink = &tally;
        options.watch = dump_.get();
        options.level =
            arguments_.trace_level == "walk" ? sim::EventLevel::walk : sim::EventLevel::event;
        options.progress = [this](const Progress& progress) { on_progress(progress); };
        return options;
    }

    void stop(StopReason reason) {
        if (reason_ == StopReason::none) reason_ = reason;
        stop_.store(true);
    }

    void on_progress(const Progress& progress) {
        const std::uint64_t wall_ns = surroundings_.wall_clock_ns() - start_ns_;
        const auto limit_ns = static_cast<std::uint64_t>(arguments_.wall_limit * 1e9);
        if (limit_ns != 0 && wall_ns >= limit_ns) stop(StopReason::wall_limit);
        if (surroundings_.interrupted != nullptr && surroundings_.interrupted->load())
            stop(StopReason::interrupted);
        if (keyboard_) {
            if (keyboard_->wants_quit()) stop(StopReason::interrupted);
            // For a person the guest's clock must not run ahead; results do not depend on it.
            const std::uint64_t virtual_ns = progress.virtual_time / sim::kNanosecond;
            if (virtual_ns > wall_ns && !stop_.load())
                std::this_thread::sleep_for(std::chrono::nanoseconds(virtual_ns - wall_ns));
        }
        watch_trace(progress.virtual_time);
        print_progress(progress, wall_ns);
    }

    /// Consoles and progress line are on one terminal: the line gives way to what consoles print.
    bool shares_terminal() const {
        return surroundings_.out_is_terminal && surroundings_.err_is_terminal &&
               output_.uses_output();
    }

    /// The moment at which the trace cannot be written any more.
    void watch_trace(sim::Time now) {
        if (!trace_ || trace_->error() == 0 || trace_lost_) return;
        trace_lost_ = true;
        const bool goes_on = arguments_.trace_full != "stop";
        clear_progress();
        surroundings_.err << fmt::format(
            "hvsim: the trace is incomplete from here on ({} s): {}; the run {}\n",
            analysis::exact_seconds(now), std::strerror(trace_->error()),
            goes_on ? "goes on" : "stops");
        if (!goes_on) stop(StopReason::trace_full);
    }

    void print_progress(const Progress& progress, std::uint64_t wall_ns) {
        if (!surroundings_.err_is_terminal || arguments_.interactive) return;
        if (wall_ns < next_progress_ns_ || (shares_terminal() && output_.line_open())) return;
        next_progress_ns_ = wall_ns + kProgressPeriodNs;
        const std::uint64_t speed =
            progress.code_bytes * 10'000 / std::max<std::uint64_t>(wall_ns, 1);
        surroundings_.err << fmt::format("\r{:>9}.{:03} s virtual, {} s wall, {}.{} MB code/s ",
                                         progress.virtual_time / sim::kSecond,
                                         progress.virtual_time / sim::kMillisecond % 1000,
                                         wall_ns / kSecondNs, speed / 10, speed % 10)
                          << std::flush;
        progress_shown_ = true;
    }

    void clear_progress() {
        if (progress_shown_) surroundings_.err << "\r\033[K" << std::flush;
        progress_shown_ = false;
    }

    analysis::RunResult result_of(const RunOutcome& outcome, const Verdict& verdict,
                                  const analysis::Tally& tally) const {
        analysis::RunResult result;
        result.scenario = arguments_.scenario.string();
        result.scenario_text = scenario_.text;
        result.settings = arguments_.set;
        result.program_version = kVersion;
        result.versions = surroundings_.machine.versions();
        result.machine = machine_text();
        result.end = verdict.end;
        if (!outcome.machines.empty()) result.exit_code = outcome.machines.front().exit_code;
        result.met = verdict.met;
        result.unmet = verdict.unmet;
        result.virtual_time = outcome.virtual_time;
        result.wall_ns = wall_ns_;
        result.code_bytes = outcome.code_bytes;
        result.instructions = outcome.instructions;
        result.quantum = scenario_.host.quantum;
        result.greatest_overshoot = outcome.greatest_overshoot;
        tally.add_to(result);
        if (const auto& failure = tally.first_failure()) {
            result.first_failure =
                describe_failure(scenario_.host.vendor, failure->event, failure->code);
            result.first_failure->count = tally.failures();
        }
        result.statistics = outcome.statistics;
        result.digest = outcome.digest;
        result.inputs = inputs_;
        result.intervals = outcome.intervals;
        return result;
    }

    std::vector<analysis::NamedText> machine_text() const {
        const HostConfig& host = scenario_.host;
        std::vector<analysis::NamedText> text;
        text.push_back(
            {"host",
             fmt::format("{}, {} processor{}, {}", host.vendor == Vendor::intel ? "Intel" : "AMD",
                         host.processors, host.processors == 1 ? "" : "s", format_size(host.ram))});
        text.push_back({"timing profile", scenario_.timing_profile});
        for (const VmConfig& vm : scenario_.vms)
            text.push_back({fmt::format("VM \"{}\"", vm.name),
                            fmt::format("{} processor{}, {}, {} disk{}", vm.processors,
                                        vm.processors == 1 ? "" : "s", format_size(vm.ram),
                                        vm.disks.size(), vm.disks.size() == 1 ? "" : "s")});
        return text;
    }

    void report(const analysis::RunResult& result) const {
        if (!arguments_.json.empty()) write_json(analysis::json_report(result));
        if (trace_) trace_->set_result(analysis::json_report(result));
        if (!arguments_.no_report && arguments_.json != "-")
            surroundings_.out << '\n' << analysis::text_report(result) << std::flush;
    }

    void write_json(const std::string& text) const {
        if (arguments_.json == "-")
            surroundings_.out << text << std::flush;
        else
            write_whole_file(arguments_.json, text);
    }

    /// A name that no model lists is the scenario's mistake, unless the run missed other
    /// expectations too: it may have ended before there was such a statistic.
    void refuse_unknown(const Verdict& verdict, const RunOutcome& outcome) const {
        const auto& unknown = verdict.unknown_statistics;
        if (unknown.empty() || verdict.unmet.size() > unknown.size()) return;
        const std::string path = fmt::format("expect.statistics[{}]", unknown.front());
        const StatisticDemand demand(scenario_.expect.statistics[unknown.front()]);
        const std::string near = nearest_statistic(demand.name(), outcome.statistics);
        throw sim::ConfigError(
            scenario_.where(path),
            fmt::format("{}: the run has no statistic \"{}\"", path, demand.name()),
            near.empty() ? "the report's JSON (hvsim run --json) has the names"
                         : fmt::format("did you mean \"{}\"?", near));
    }

    void print_failure(const Verdict& verdict) const {
        std::ostream& err = surroundings_.err;
        for (const std::string& sentence : verdict.unmet) err << "hvsim: " << sentence << '\n';
        for (std::size_t console = 0; console < consoles_; ++console) {
            const std::vector<std::string> lines = watch_.last_lines(console);
            if (lines.empty()) {
                err << fmt::format("the console of {} printed nothing\n",
                                   scenario_.console_name(console));
                continue;
            }
            err << fmt::format("the console of {} ends with:\n", scenario_.console_name(console));
            for (const std::string& line : lines) err << "  | " << line << '\n';
        }
        if (golden_) err << golden_->explanation();
        err.flush();
    }

    const RunArguments& arguments_;
    const Surroundings& surroundings_;
    Scenario scenario_;
    std::size_t consoles_;
    ConsoleWatch watch_;
    ScriptedInput script_;
    ConsoleOutput output_;
    CombinedInput input_;
    std::unique_ptr<Keyboard> keyboard_;
    std::unique_ptr<RecordingInput> recording_;
    std::unique_ptr<ReplayedInput> replayed_;
    std::unique_ptr<PolledInput> polled_;
    std::unique_ptr<sim::TraceWriter> trace_;
    std::optional<sim::RunInputs> inputs_;
    std::unique_ptr<GoldenCheck> golden_;
    std::unique_ptr<ControlBlockDump> dump_;
    std::atomic<bool> stop_{false};
    StopReason reason_ = StopReason::none;
    std::uint64_t start_ns_ = 0, wall_ns_ = 0;
    std::uint64_t next_progress_ns_ = kProgressPeriodNs;
    bool progress_shown_ = false;
    bool trace_lost_ = false;
};

}  // namespace

int run_command(const RunArguments& arguments, const Surroundings& surroundings) {
    return Run(arguments, surroundings).run();
}

}  // namespace hvsim::app
