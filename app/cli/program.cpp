#include "app/cli/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <ostream>

#include "app/cli/manual.h"
#include "app/scenario/explain.h"
#include "app/scenario/reader.h"
#include "app/version.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

struct ScenarioArguments {
    std::string explain;
    bool explain_given = false;
    bool markdown = false;
    std::filesystem::path check;
    std::vector<std::string> set;
    std::vector<std::filesystem::path> profiles;
};

struct Arguments {
    RunArguments run;
    ScenarioArguments scenario;
    TraceArguments trace;
    VmcsArguments vmcs;
    ReportArguments report;
    DiffArguments diff;
    analysis::ExportRequest exported;
    SweepArguments sweep;
    PlotArguments plot;
    std::string manual_of;
    bool version = false;
    bool exit_codes = false;
};

void add_scenario_options(CLI::App& command, std::vector<std::string>& set,
                          std::vector<std::filesystem::path>& profiles) {
    command.add_option("--set", set, "Replace a value of the scenario: KEY=VALUE, repeatable")
        ->take_all()
        ->expected(1);
    command.add_option("--profiles", profiles, "Folder to look for timing profiles in, repeatable")
        ->take_all()
        ->expected(1);
}

CLI::App* add_run(CLI::App& program, RunArguments& run) {
    CLI::App* command = program.add_subcommand("run", "Run a scenario and report");
    command->add_option("scenario", run.scenario, "Scenario file")->required();
    add_scenario_options(*command, run.set, run.profiles);
    command->add_option("--trace", run.trace, "Write every event to this file");
    command
        ->add_option("--trace-level", run.trace_level,
                     "event, or walk: TLB fills and IOTLB misses too")
        ->check(CLI::IsMember({"event", "walk"}));
    command
        ->add_option("--trace-full", run.trace_full,
                     "When the trace can no longer be written: continue without it, or stop")
        ->check(CLI::IsMember({"continue", "stop"}));
    command->add_option("--json", run.json, "Write the report as JSON to this file (- = output)");
    command->add_flag("--quiet", run.quiet, "Do not print consoles");
    command->add_flag("--no-report", run.no_report, "Do not print the report");
    command->add_option("--wall-limit", run.wall_limit, "Stop after this many seconds of wall time")
        ->check(CLI::Range(0.001, 1e9));
    command->add_flag("--interactive", run.interactive,
                      "Connect the first console to the keyboard (Ctrl-A x ends the run)");
    CLI::Option* record =
        command->add_option("--record", run.record, "Write the keys typed to this file");
    CLI::Option* replay =
        command->add_option("--replay", run.replay, "Type the keys of a recording, at their times");
    CLI::Option* golden = command->add_option(
        "--golden", run.golden, "Hold the run against this golden: exit code 1 if it differs");
    command
        ->add_flag("--update-golden", run.update_golden,
                   "Write the golden anew instead, when the run meets its expectations")
        ->needs(golden);
    golden->excludes("--interactive");
    command->add_option("--junit", run.junit,
                        "Write JUnit XML to this file: a test case for each expectation");
    command
        ->add_option("--state-at", run.state_at,
                     "Stop at this event, counted from 1, and print the processors as JSON")
        ->check(CLI::PositiveNumber)
        ->excludes(golden)
        ->excludes("--interactive");
    CLI::Option* vmcs = command->add_option(
        "--vmcs", run.vmcs, "Dump VMCS or VMCB by field names to this file (hvsim vmcs prints it)");
    command
        ->add_option(
            "--dump-vmcs", run.dump_vmcs,
            "When: failed (an entry, the default), the number of an exit, an exit reason "
            "(cpuid, cpuid:3) or a virtual time; @lp0, @p2 or @p2vp0 says whose; repeatable")
        ->take_all()
        ->expected(1)
        ->needs(vmcs);
    record->excludes(replay);
    record->needs("--interactive");
    replay->excludes("--interactive");
    return command;
}

CLI::App* add_scenario(CLI::App& program, ScenarioArguments& scenario) {
    CLI::App* command = program.add_subcommand("scenario", "Explain scenario files, or check one");
    CLI::Option* explain = command->add_option(
        "--explain", scenario.explain, "Explain everything, or one section or key (host.ram)");
    explain->expected(0, 1);
    CLI::Option* check =
        command->add_option("--check", scenario.check, "Read a scenario without running it");
    CLI::Option* markdown =
        command->add_flag("--markdown", scenario.markdown, "Print docs/scenario.md");
    add_scenario_options(*command, scenario.set, scenario.profiles);
    explain->excludes(check)->excludes(markdown);
    check->excludes(markdown);
    command->callback([&scenario, explain, check, markdown] {
        scenario.explain_given = explain->count() > 0;
        if (!scenario.explain_given && check->count() == 0 && markdown->count() == 0)
            throw CLI::RequiredError("one of --explain, --check or --markdown");
    });
    return command;
}

CLI::App* add_diff(CLI::App& program, DiffArguments& diff) {
    CLI::App* command = program.add_subcommand(
        "diff", "Compare two runs: traces, reports (run --json) or goldens, in any mixture");
    command->add_option("A", diff.a, "Trace, report or golden")->required();
    command->add_option("B", diff.b, "Trace, report or golden")->required();
    command->add_option("--json", diff.json, "Write the outcome as JSON to this file (- = output)");
    command->add_flag("--anyway", diff.anyway,
                      "Compare although inputs, settings or versions are not the same");
    command->add_flag("--all-statistics", diff.all_statistics,
                      "Print every statistic that differs, not the first thirty");
    CLI::Option* no_rerun = command->add_flag(
        "--no-rerun", diff.no_rerun, "Do not run the scenario again to show the processors");
    for (const auto& [name, path] :
         {std::pair{"--program-a", &diff.program_a}, std::pair{"--program-b", &diff.program_b}})
        command->add_option(name, *path, "The hvsim that made this side's trace")
            ->check(CLI::ExistingFile)
            ->excludes(no_rerun);
    return command;
}

CLI::App* add_trace(CLI::App& program, TraceArguments& trace) {
    CLI::App* command = program.add_subcommand("trace", "Print a trace file as text");
    command->add_option("file", trace.file, "Trace file")->required();
    command->add_option("--from", trace.from, "First virtual time (\"1.5 s\")");
    command->add_option("--to", trace.to, "Last virtual time");
    const CLI::Range number(0, 0xfffe);
    command->add_option("--partition", trace.partition, "Only this partition")->check(number);
    command->add_option("--vp", trace.vp, "Only this virtual processor")->check(number);
    command->add_option("--lp", trace.lp, "Only this logical processor")->check(number);
    command->add_option("--kind", trace.kinds, "Only events of this kind (vm_exit), repeatable")
        ->take_all()
        ->expected(1);
    command->add_option("--limit", trace.limit, "Print at most this many events");
    command->add_flag("--summary", trace.summary, "Print how many events of each kind instead");
    return command;
}

CLI::App* add_vmcs(CLI::App& program, VmcsArguments& vmcs) {
    CLI::App* command =
        program.add_subcommand("vmcs", "Print control blocks that a run has dumped");
    command->add_option("file", vmcs.file, "File of hvsim run --vmcs")->required();
    command->add_option("--dump", vmcs.dump, "Only the dump of this number")
        ->check(CLI::PositiveNumber);
    command->add_flag("--diff", vmcs.differences,
                      "Only what differs from the dump before of the same control block");
    command->add_option("--field", vmcs.field, "Only fields whose name contains this");
    return command;
}

CLI::App* add_report(CLI::App& program, ReportArguments& report) {
    CLI::App* command =
        program.add_subcommand("report", "Make a page with charts and tables of a run's trace");
    command->add_option("trace", report.trace, "Trace file of the run")->required();
    command->add_option("-o,--output", report.output, "The page, an HTML file")->required();
    return command;
}

CLI::App* add_export(CLI::App& program, analysis::ExportRequest& request) {
    CLI::App* command = program.add_subcommand("export", "Write a trace file in other formats");
    command->add_option("run", request.trace, "Trace file, of hvsim run --trace")->required();
    command->add_option("--perfetto", request.perfetto, "A trace for Perfetto's viewer");
    command->add_option("--chrome-json", request.chrome_json, "The same as JSON trace events");
    command->add_option("--csv", request.csv, "A folder with a file of values for each table");
    command->add_option("--sqlite", request.sqlite, "The tables as a database of SQLite");
    command->callback([&request] {
        if (request.perfetto.empty() && request.chrome_json.empty() && request.csv.empty() &&
            request.sqlite.empty())
            throw CLI::RequiredError("one of --perfetto, --chrome-json, --csv or --sqlite");
    });
    return command;
}

CLI::App* add_sweep(CLI::App& program, SweepArguments& sweep) {
    CLI::App* command =
        program.add_subcommand("sweep", "Run a scenario with many values and keep all results");
    command->add_option("scenario", sweep.scenario, "Scenario file")->required();
    command
        ->add_option(
            "--set", sweep.set,
            "A parameter and its values: KEY=VALUE,VALUE,..., repeatable; all combinations "
            "are run")
        ->take_all()
        ->expected(1)
        ->required();
    command
        ->add_option("--profiles", sweep.profiles,
                     "Folder to look for timing profiles in, repeatable")
        ->take_all()
        ->expected(1);
    command
        ->add_option("--results", sweep.results,
                     "SQLite file of the results; points that it has are not run again")
        ->required();
    command->add_option("--jobs", sweep.jobs, "Runs at a time; default: one for each processor")
        ->check(CLI::Range(1, 1024));
    command
        ->add_option("--engine", sweep.engine,
                     "local: processes of this machine; slurm: a job array of a Slurm cluster")
        ->check(CLI::IsMember({"local", "slurm"}));
    command->add_flag("--repeat-check", sweep.repeat_check,
                      "Run each point twice and compare the digests");
    command->add_flag("--retry", sweep.retry, "Run points again that were not met");
    command->add_option("--wall-limit", sweep.wall_limit, "Stop a run after this many seconds")
        ->check(CLI::Range(0.001, 1e9));
    command->add_option("--show", sweep.show, "A metric to show in the table, repeatable")
        ->take_all()
        ->expected(1);
    return command;
}

CLI::App* add_plot(CLI::App& program, PlotArguments& plot) {
    CLI::App* command = program.add_subcommand("plot", "Plot a metric of a sweep over a parameter");
    command->add_option("results", plot.results, "Results of hvsim sweep")->required();
    CLI::Option* list =
        command->add_flag("--list", plot.list, "Print the names of parameters and metrics instead");
    command->add_option("--x", plot.x, "The parameter along the x axis");
    command->add_option("--y", plot.y, "A metric, repeatable")->take_all()->expected(1);
    command->add_option("--group", plot.group, "A parameter: each of its values gets a line");
    command->add_option("--where", plot.where, "Only points with this value: KEY=VALUE, repeatable")
        ->take_all()
        ->expected(1);
    command->add_option("--title", plot.title, "A title");
    command->add_flag("--log-x", plot.logarithmic, "A logarithmic x axis");
    command->add_option("-o,--output", plot.output, "The picture, .svg or .png");
    command->callback([&plot, list] {
        if (list->count() == 0 && (plot.x.empty() || plot.y.empty() || plot.output.empty()))
            throw CLI::RequiredError("--x, --y and --output (or --list)");
    });
    return command;
}

/// What a person would type, below the help of each command.
struct Examples {
    std::string_view command;
    std::string_view lines;
};
constexpr std::array kExamples{
    Examples{"run",
             "  hvsim run scenarios/linux-disk.toml\n"
             "  hvsim run scenarios/linux-disk.toml --set host.vendor=amd --trace disk.trace\n"
             "  hvsim run scenarios/linux-shell.toml --interactive"},
    Examples{"scenario",
             "  hvsim scenario --explain host.iommu\n"
             "  hvsim scenario --check my.toml"},
    Examples{"trace",
             "  hvsim trace disk.trace --summary\n"
             "  hvsim trace disk.trace --from \"2.5 s\" --kind scsi_request --limit 10"},
    Examples{"vmcs", "  hvsim vmcs exits.blocks --diff"},
    Examples{"report", "  hvsim report disk.trace -o disk.html"},
    Examples{"diff",
             "  hvsim diff before.trace after.trace\n"
             "  hvsim diff kernel.golden after.json"},
    Examples{"export",
             "  hvsim export disk.trace --perfetto disk.pftrace\n"
             "  hvsim export disk.trace --sqlite disk.sqlite"},
    Examples{"sweep",
             "  hvsim sweep scenarios/linux-disk.toml --set host.iommu.iotlb_entries=16,64,256 \\\n"
             "      --results iotlb.sqlite --show statistics.iommu.iotlb_misses"},
    Examples{"plot",
             "  hvsim plot iotlb.sqlite --list\n"
             "  hvsim plot iotlb.sqlite --x host.iommu.iotlb_entries \\\n"
             "      --y statistics.iommu.iotlb_misses -o iotlb.svg"},
};

void add_examples(CLI::App& program) {
    for (const Examples& examples : kExamples)
        program.get_subcommand(std::string(examples.command))
            ->footer(fmt::format("Examples:\n{}", examples.lines));
}

int scenario_command(const ScenarioArguments& arguments, std::ostream& out) {
    if (arguments.markdown) {
        out << scenario_document();
    } else if (arguments.explain_given) {
        out << explain(arguments.explain);
    } else {
        read_scenario(arguments.check, {arguments.set, arguments.profiles, true});
        out << arguments.check.string() << ": no errors\n";
    }
    return kExitMet;
}

int print_version(const Surroundings& surroundings) {
    surroundings.out << "hvsim " << kVersion << '\n';
    for (const analysis::NamedText& library : surroundings.machine.versions())
        surroundings.out << library.name << ' ' << library.value << '\n';
    return kExitMet;
}

int dispatch(const std::vector<std::string>& words, const Surroundings& surroundings) {
    Arguments arguments;
    CLI::App program("hvsim simulates a whole x86-64 server that runs a hypervisor and its guests.",
                     "hvsim");
    program.add_flag("--version", arguments.version,
                     "Print the version and those of the libraries");
    program.add_flag("--exit-codes", arguments.exit_codes, "Print what the exit codes mean");
    program.require_subcommand(0, 1);
    const CLI::App* run = add_run(program, arguments.run);
    const CLI::App* scenario = add_scenario(program, arguments.scenario);
    const CLI::App* trace = add_trace(program, arguments.trace);
    const CLI::App* vmcs = add_vmcs(program, arguments.vmcs);
    const CLI::App* report = add_report(program, arguments.report);
    const CLI::App* diff = add_diff(program, arguments.diff);
    const CLI::App* exported = add_export(program, arguments.exported);
    const CLI::App* sweep = add_sweep(program, arguments.sweep);
    const CLI::App* plot = add_plot(program, arguments.plot);
    const CLI::App* completion =
        program.add_subcommand("completion", "Print a script that completes words in bash");
    CLI::App* manual = program.add_subcommand("manual", "Print a manual page (man -l shows it)");
    manual->add_option("command", arguments.manual_of, "A command; default: the whole program");
    add_examples(program);
    try {
        std::vector<std::string> reversed(words.rbegin(), words.rend());
        program.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        const int code = program.exit(error, surroundings.out, surroundings.err);
        return code == 0 ? kExitMet : kExitConfig;
    }
    if (arguments.version) return print_version(surroundings);
    if (arguments.exit_codes) {
        surroundings.out << exit_code_table();
        return kExitMet;
    }
    if (run->parsed()) return run_command(arguments.run, surroundings);
    if (scenario->parsed()) return scenario_command(arguments.scenario, surroundings.out);
    if (report->parsed()) return report_command(arguments.report, surroundings);
    if (sweep->parsed()) return sweep_command(arguments.sweep, surroundings);
    if (plot->parsed()) return plot_command(arguments.plot, surroundings);
    if (completion->parsed()) {
        surroundings.out << bash_completion(program);
        return kExitMet;
    }
    if (manual->parsed()) {
        surroundings.out << manual_page(program, arguments.manual_of);
        return kExitMet;
    }
    if (trace->parsed()) return trace_command(arguments.trace, surroundings);
    if (diff->parsed()) return diff_command(arguments.diff, surroundings);
    if (exported->parsed()) return export_command(arguments.exported, surroundings);
    if (vmcs->parsed()) return vmcs_command(arguments.vmcs, surroundings);
    surroundings.err << program.help();
    return kExitConfig;
}

}  // namespace

int run_program(const std::vector<std::string>& words, const Surroundings& surroundings) {
    try {
        return dispatch(words, surroundings);
    } catch (const sim::ConfigError& error) {
        surroundings.err << "hvsim: " << error.what() << '\n';
        if (!error.hint().empty()) surroundings.err << "  hint: " << error.hint() << '\n';
        return kExitConfig;
    } catch (const std::bad_alloc&) {
        surroundings.err << "hvsim: the host is out of memory\n";
        return kExitConfig;
    } catch (const std::exception& error) {
        surroundings.err << "hvsim: internal error: " << error.what() << '\n';
        return kExitInternal;
    }
}

}  // namespace hvsim::app
