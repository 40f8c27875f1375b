#include "app/cli/program.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include <nlohmann/json.hpp>

#include "app/scenario/explain.h"
#include "app/version.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

/// A folder with a kernel and a scenario, gone at the end.
class TemporaryFolder {
  public:
    TemporaryFolder()
        : path_(std::filesystem::temp_directory_path() / fmt::format("hvsim-test-{}", ::getpid())) {
        std::filesystem::create_directories(path_);
        write("kernel", "x");
        write("test.toml", scenario("poweroff"));
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }

    static std::string scenario(const std::string& end) {
        return "[host]\nvendor = \"intel\"\n[hypervisor]\n[[vm]]\nname = \"a\"\nkernel = "
               "\"kernel\"\n[[console.input]]\nafter = \"login:\"\ntext = "
               "\"hi\"\n[expect]\nconsole "
               "= [\"you typed hi\"]\nend = \"" +
               end + "\"\n";
    }
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
    }
    std::string read(const std::string& name) const {
        std::ifstream in(path_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

  private:
    std::filesystem::path path_;
};

/// A machine that prints a prompt, repeats what is typed, exits once and ends.
RunOutcome echo_machine(const Scenario& scenario, RunOptions& options) {
    const auto print = [&](std::string_view text, sim::Time time) {
        for (const char c : text) options.console(0, static_cast<std::uint8_t>(c), time);
    };
    sim::Recorder recorder;
    recorder.set_sink(options.sink, options.level);
    recorder.record(sim::EventKind::kVmExit, sim::kMillisecond, {0, 2, 0}, 10);
    recorder.record(sim::EventKind::kTlbFill, sim::kMillisecond, {0, 2, 0}, 5);
    RunOutcome outcome;
    outcome.digest = recorder.digest().hex();
    outcome.machines.resize(1);
    options.progress({});
    print("login:", sim::kMillisecond);
    std::string typed;
    sim::Time time = sim::kMillisecond;
    for (; time < 20 * sim::kMillisecond; time += sim::kMicrosecond) {
        while (const auto byte = options.input->next(0, time)) typed += static_cast<char>(*byte);
        if (typed.size() == 2) break;
    }
    options.progress({time, 3'000'000});
    print("\nyou typed " + typed + "\n", time);
    options.progress({time, 3'000'000});
    outcome.virtual_time = time;
    if (options.stop->load()) {
        outcome.cause = StopCause::stopped;
        return outcome;
    }
    if (scenario.expect.deadline < sim::kMillisecond)
        throw sim::ModelError("model invariant broken: x (y.cpp:1)");
    outcome.machines[0] = {MachineEnd::poweroff, time, ""};
    outcome.statistics.push_back({"disk.reads", 3, "count", "read commands"});
    return outcome;
}

sim::TraceNames echo_names(const Scenario&) {
    sim::TraceNames names;
    names.add(sim::EventKind::kVmExit, 0, 10, "CPUID");
    return names;
}

std::vector<analysis::NamedText> echo_versions() {
    return {{"libecho", "1.2"}};
}

struct Result {
    int code;
    std::string out;
    std::string err;
};

/// Of the program's output and its messages, which are terminals.
struct Terminals {
    bool out = false, err = false;
};

Result run(const std::vector<std::string>& arguments, std::uint64_t clock_step_ns = 1000,
           Terminals terminals = {}) {
    std::ostringstream out, err;
    std::uint64_t now = 0;
    const Surroundings surroundings{out,
                                    err,
                                    {echo_machine, echo_names, echo_versions, nullptr},
                                    [&] { return now += clock_step_ns; },
                                    terminals.out,
                                    terminals.err,
                                    nullptr};
    const int code = run_program(arguments, surroundings);
    return {code, out.str(), err.str()};
}

std::string profiles() {
    return std::string(HVSIM_SOURCE_DIR) + "/scenarios/profiles";
}

Result run_scenario(const TemporaryFolder& folder, std::vector<std::string> more = {},
                    std::uint64_t clock_step_ns = 1000, Terminals terminals = {}) {
    std::vector<std::string> arguments{"run", folder.file("test.toml"), "--profiles", profiles()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, clock_step_ns, terminals);
}

}  // namespace

TEST_CASE("a run that is met") {
    const TemporaryFolder folder;
    const Result result =
        run_scenario(folder, {"--trace", folder.file("t"), "--json", folder.file("j")});
    CAPTURE(result.err);
    CHECK(result.code == kExitMet);
    CHECK(result.out.starts_with("login:\nyou typed hi\n\nhvsim "));
    CHECK(result.out.find("  expectations    met\n") != std::string::npos);
    CHECK(result.out.find("  virtual time     0.003000000000 s\n") != std::string::npos);
    CHECK(result.err.empty());
    const auto json = nlohmann::json::parse(folder.read("j"));
    CHECK(json["result"]["end"] == "poweroff");
    CHECK(json["tables"]["vm_exits"][0]["name"] == "CPUID");
    CHECK(json["statistics"][0]["value"] == 3);

    const Result trace = run({"trace", folder.file("t")});
    CHECK(trace.code == kExitMet);
    const std::size_t exit = trace.out.find(" vm_exit ");
    REQUIRE(exit != std::string::npos);
    CHECK(trace.out.find("reason=CPUID", exit) != std::string::npos);
    CHECK(trace.out.find("tlb_fill") == std::string::npos);
    const std::string summary = run({"trace", folder.file("t"), "--summary"}).out;
    CHECK(summary.starts_with("vm_exit "));
    CHECK(summary.ends_with(" 1\n"));
    CHECK(run({"trace", folder.file("t"), "--kind", "vm_exti"}).err ==
          "hvsim: the trace has no event kind \"vm_exti\"\n  hint: did you mean \"vm_exit\"?\n");
    CHECK(run({"trace", folder.file("t"), "--from", "2 ms"}).out.find("reason=") ==
          std::string::npos);
    CHECK(run({"trace", folder.file("t"), "--from", "soon"}).code == kExitConfig);
    CHECK(run({"trace", folder.file("j")}).err ==
          "hvsim: " + folder.file("j") + " is not a trace file\n");
}

TEST_CASE("options of a run") {
    const TemporaryFolder folder;
    CHECK(run_scenario(folder, {"--quiet", "--no-report"}).out.empty());
    const Result json = run_scenario(folder, {"--quiet", "--json", "-"});
    CHECK(nlohmann::json::parse(json.out)["format"] == "hvsim-run");
    run_scenario(folder, {"--trace", folder.file("t"), "--trace-level", "walk"});
    CHECK(run({"trace", folder.file("t")}).out.find("tlb_fill") != std::string::npos);
    CHECK(
        run_scenario(folder, {"--set", "vm[0].console=\"file:c.txt\""}).out.starts_with("\nhvsim"));
    CHECK(folder.read("c.txt") == "login:\nyou typed hi\n");
    folder.write("keys", "hvsim console input 1\n1000000000 0 68\n1000000000 0 6f\n");
    const Result replayed = run_scenario(folder, {"--replay", folder.file("keys")});
    CHECK(replayed.code == kExitUnmet);
    CHECK(replayed.out.find("you typed ho") != std::string::npos);
}

TEST_CASE("a run that is not met says what is missing and how the console ended") {
    const TemporaryFolder folder;
    const Result result =
        run_scenario(folder, {"--set", "expect.console=[\"bye\"]", "--set", "expect.end=reboot"});
    CHECK(result.code == kExitUnmet);
    CHECK(result.err ==
          "hvsim: VM \"a\" switched itself off at 0.003000000000 s; expected: reboot\n"
          "hvsim: the console never showed \"bye\"\n"
          "the console of a ends with:\n  | login:\n  | you typed hi\n");
}

TEST_CASE("a run that waits for the console is stopped once it was seen") {
    const TemporaryFolder folder;
    folder.write("test.toml", TemporaryFolder::scenario("console"));
    const Result result = run_scenario(folder);
    CHECK(result.code == kExitMet);
    CHECK(result.out.find("end             console") != std::string::npos);
}

TEST_CASE("a progress line on a terminal, between the console's lines") {
    const TemporaryFolder folder;
    // The clock goes on by 1 s at each look: at the start, and once for each report of progress.
    const auto err_of = [&](std::vector<std::string> options, Terminals terminals) {
        return run_scenario(folder, std::move(options), 1'000'000'000, terminals).err;
    };
    const std::string first = "\r        0.000 s virtual, 1 s wall, 0.0 MB code/s ";
    const std::string second = "\r        0.003 s virtual, 2 s wall, 1.5 MB code/s ";
    const std::string third = "\r        0.003 s virtual, 3 s wall, 1.0 MB code/s ";
    const std::string gone = "\r\033[K";
    CHECK(err_of({}, {}).empty());
    CHECK(err_of({}, {true, false}).empty());
    CHECK(err_of({"--quiet"}, {true, true}) == first + second + third + gone);
    CHECK(err_of({}, {false, true}) == first + second + third + gone);
    // The prompt takes the first one's place and is an unfinished line at the second report.
    CHECK(err_of({}, {true, true}) == first + gone + third + gone);
    CHECK(err_of({"--set", "expect.console=[\"bye\"]"}, {true, true})
              .starts_with(first + gone + third + gone + "hvsim: the console never showed"));
}

TEST_CASE("the wall limit") {
    const TemporaryFolder folder;
    const Result result = run_scenario(folder, {"--wall-limit", "2"}, 3'000'000'000);
    CHECK(result.code == kExitStopped);
    CHECK(result.err.starts_with("hvsim: the limit of wall time stopped the run at "));
}

TEST_CASE("errors of the command line, of files, and of models") {
    const TemporaryFolder folder;
    CHECK(run({}).code == kExitConfig);
    CHECK(run({"rnu"}).code == kExitConfig);
    CHECK(run({"run"}).code == kExitConfig);
    CHECK(run({"--help"}).code == kExitMet);
    CHECK(run({"run", "--help"}).out.find("--wall-limit") != std::string::npos);
    CHECK(run({"run", "/no/such.toml"}).code == kExitConfig);
    CHECK(run_scenario(folder, {"--trace-level", "all"}).code == kExitConfig);
    CHECK(run_scenario(folder, {"--record", "x"}).code == kExitConfig);
    CHECK(run_scenario(folder, {"--trace", "/no/such/folder/t"}).code == kExitConfig);
    const Result model = run_scenario(folder, {"--set", "expect.deadline=1us"});
    CHECK(model.code == kExitInternal);
    CHECK(model.err.find("hvsim: internal error: model invariant broken: x") != std::string::npos);
    folder.write("test.toml", "[host]\nvendor = 3\n");
    CHECK(run({"scenario", "--check", folder.file("test.toml")}).err ==
          "hvsim: " + folder.file("test.toml") +
              ":2:10: host.vendor: expected \"intel\" or \"amd\", found integer 3\n");
}

TEST_CASE("scenario and version") {
    const TemporaryFolder folder;
    CHECK(run({"scenario", "--check", folder.file("test.toml"), "--profiles", profiles()}).out ==
          folder.file("test.toml") + ": no errors\n");
    CHECK(run({"scenario", "--explain", "host.ram"}).out == explain("host.ram"));
    CHECK(run({"scenario", "--explain"}).out == explain(""));
    CHECK(run({"scenario", "--markdown"}).out == scenario_document());
    CHECK(run({"scenario"}).code == kExitConfig);
    CHECK(run({"--version"}).out == fmt::format("hvsim {}\nlibecho 1.2\n", kVersion));
    std::ifstream in(std::string(HVSIM_SOURCE_DIR) + "/CMakeLists.txt");
    const std::string lists(std::istreambuf_iterator<char>(in), {});
    CHECK(lists.find(fmt::format("project(hvsim VERSION {} ", kVersion)) != std::string::npos);
}

TEST_CASE("expected statistics: met, missed, unknown, no comparison") {
    const TemporaryFolder folder;
    const auto expecting = [&](const std::string& demand) {
        return run_scenario(folder, {"--quiet", "--no-report", "--set",
                                     "expect.statistics=[\"disk.reads < 9\", \"" + demand + "\"]"});
    };
    CHECK(expecting("disk.* == 3").code == kExitMet);
    const Result missed = expecting("disk.reads > 3");
    CHECK(missed.code == kExitUnmet);
    CHECK(missed.err.starts_with("hvsim: expected of the statistics: disk.reads > 3; found: 3\n"));
    const Result unknown = expecting("disk.reasd > 3");
    CHECK(unknown.code == kExitConfig);
    CHECK(unknown.err.find("expect.statistics[1]: the run has no statistic \"disk.reasd\"\n"
                           "  hint: did you mean \"disk.reads\"?\n") != std::string::npos);
    const Result malformed = expecting("disk.reads = 3");
    CHECK(malformed.code == kExitConfig);
    CHECK(malformed.err.find("expected ==, !=, <, <=, > or >=\n  hint: write") !=
          std::string::npos);
}

TEST_CASE("a wrong comparison is shown where it stands in the file") {
    const TemporaryFolder folder;
    folder.write("test.toml",
                 TemporaryFolder::scenario("poweroff") +
                     "statistics = [\n    \"disk.reads > 0\",\n    \"disk.reads\",\n]\n");
    const Result result = run_scenario(folder);
    CHECK(result.code == kExitConfig);
    CHECK(result.err.starts_with("hvsim: " + folder.file("test.toml") +
                                 ":15:5: expect.statistics[1]: \"disk.reads\": expected a "
                                 "comparison\n  hint: write "));
}

TEST_CASE("every command has help with examples, a manual page, completion and exit codes") {
    const Result overview = run({"--help"});
    CHECK(overview.code == kExitMet);
    const Result completion = run({"completion"});
    CHECK(completion.out.find("complete -o default -F _hvsim hvsim") != std::string::npos);
    for (const ExitCodeRow& row : kExitCodes) {
        const std::string command(row.command);
        CAPTURE(command);
        CHECK(overview.out.find("  " + command) != std::string::npos);
        CHECK(completion.out.find("        " + command + ") options='-h --help") !=
              std::string::npos);
        const Result help = run({command, "--help"});
        CHECK(help.code == kExitMet);
        const bool describes = command == "completion" || command == "manual";
        CHECK((help.out.find("Examples:\n  hvsim " + command) != std::string::npos) != describes);
        const Result page = run({"manual", command});
        CHECK(page.code == kExitMet);
        CHECK(page.out.starts_with(".TH HVSIM\\-"));
        CHECK(page.out.find(".SH EXIT STATUS\n") != std::string::npos);
        CHECK(page.out.find("\n'") == std::string::npos);
    }
    CHECK(run({"manual"}).out.starts_with(".TH HVSIM 1"));
    const Result unknown = run({"manual", "rum"});
    CHECK(unknown.code == kExitConfig);
    CHECK(unknown.err.find("run") != std::string::npos);
}
