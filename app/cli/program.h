#pragma once
// The command line: what it prints goes to the given streams, what it runs is given as functions.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "analysis/export/export.h"
#include "app/exit_codes.h"
#include "app/run.h"

namespace hvsim::app {

/// The program's surroundings.
struct Surroundings {
    std::ostream& out;
    std::ostream& err;
    MachineFunctions machine;
    std::function<std::uint64_t()> wall_clock_ns;
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    /// Set by a signal; may be null.
    const std::atomic<bool>* interrupted = nullptr;
    /// This program's file, to run it again; empty: unknown.
    std::filesystem::path program = {};
};

/// Runs the program with the arguments after its name; returns its exit code.
int run_program(const std::vector<std::string>& arguments, const Surroundings& surroundings);

struct RunArguments {
    std::filesystem::path scenario;
    std::vector<std::string> set;
    std::vector<std::filesystem::path> profiles;
    std::filesystem::path trace;
    std::string trace_level = "event";
    std::string trace_full = "continue";
    std::string json;
    bool quiet = false;
    bool no_report = false;
    double wall_limit = 0;  ///< seconds; 0 = none
    bool interactive = false;
    std::filesystem::path record;
    std::filesystem::path replay;
    std::filesystem::path golden;
    bool update_golden = false;
    std::filesystem::path junit;
    std::uint64_t state_at = 0;          ///< number of an event; 0 = none
    std::filesystem::path vmcs;          ///< where control blocks are dumped to
    std::vector<std::string> dump_vmcs;  ///< when; none: at the first failed entry
};
int run_command(const RunArguments& arguments, const Surroundings& surroundings);

struct ReportArguments {
    std::filesystem::path trace;
    std::filesystem::path output;
};
int report_command(const ReportArguments& arguments, const Surroundings& surroundings);

struct DiffArguments {
    std::filesystem::path a, b;
    std::string json;
    bool anyway = false;
    bool all_statistics = false;
    bool no_rerun = false;
    std::filesystem::path program_a, program_b;  ///< empty: this program
};
int diff_command(const DiffArguments& arguments, const Surroundings& surroundings);
struct SweepArguments {
    std::filesystem::path scenario;
    std::vector<std::string> set;
    std::vector<std::filesystem::path> profiles;
    std::filesystem::path results;
    std::string engine = "local";
    unsigned jobs = 0;  ///< 0 = as many as processors
    bool repeat_check = false;
    bool retry = false;
    double wall_limit = 0;  ///< seconds for each run; 0 = none
    std::vector<std::string> show;
};
int sweep_command(const SweepArguments& arguments, const Surroundings& surroundings);

struct PlotArguments {
    std::filesystem::path results;
    std::string x;
    std::vector<std::string> y;
    std::string group;
    std::vector<std::string> where;
    std::string title;
    std::filesystem::path output;
    bool logarithmic = false;
    bool list = false;
};
int plot_command(const PlotArguments& arguments, const Surroundings& surroundings);

struct TraceArguments {
    std::filesystem::path file;
    std::string from;
    std::string to;
    int partition = -1;
    int vp = -1;
    int lp = -1;
    std::vector<std::string> kinds;
    std::uint64_t limit = 0;  ///< 0 = none
    bool summary = false;
};
struct VmcsArguments {
    std::filesystem::path file;
    std::uint64_t dump = 0;  ///< 0 = all
    bool differences = false;
    std::string field;
};
int vmcs_command(const VmcsArguments& arguments, const Surroundings& surroundings);

int trace_command(const TraceArguments& arguments, const Surroundings& surroundings);
int export_command(const analysis::ExportRequest& request, const Surroundings& surroundings);

}  // namespace hvsim::app
