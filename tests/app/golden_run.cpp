#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "app/cli/program.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

/// What the machine does, as another build of the program would: which event is another one, and
/// what is added to a statistic.
std::uint64_t odd_event = 0, more_reads = 0;

/// A machine with an event every ten microseconds for five milliseconds.
RunOutcome ticking_machine(const Scenario&, RunOptions& options) {
    sim::Recorder recorder;
    recorder.set_sink(options.sink, options.level);
    sim::Time time = 0;
    options.processors = [&] {
        return std::vector<analysis::ProcessorState>{{"lp 0", {{"rip", time}}, {"0000  hlt"}}};
    };
    for (std::uint64_t i = 1; i <= 500; ++i) {
        time = i * 10 * sim::kMicrosecond;
        recorder.record(sim::EventKind::kVmExit, time, {0, 2, 0}, i == odd_event ? 11 : 10);
        if (options.stop->load()) break;
    }
    for (const char c : std::string_view("hello \xff<\n"))
        options.console(0, static_cast<std::uint8_t>(c), time);
    RunOutcome outcome;
    outcome.intervals = recorder.interval_digests();
    outcome.digest = recorder.digest().hex();
    outcome.machines.push_back({MachineEnd::poweroff, time, ""});
    outcome.virtual_time = time;
    outcome.statistics.push_back({"disk.reads", 3 + more_reads, "count", "read commands"});
    return outcome;
}

sim::TraceNames no_names(const Scenario&) {
    return {};
}
std::vector<analysis::NamedText> no_versions() {
    return {};
}
std::string a_processor(const Scenario&) {
    return "test-processor\nleaf 0\n";
}

struct Result {
    int code;
    std::string out;
    std::string err;
};

/// A folder with a kernel and a scenario; the machine is as it should be, before and after.
class Bench {
  public:
    Bench()
        : path_(std::filesystem::temp_directory_path() /
                fmt::format("hvsim-golden-{}", ::getpid())) {
        std::filesystem::create_directories(path_);
        write("kernel", "x");
        write("test.toml",
              "[host]\nvendor = \"intel\"\n[hypervisor]\n[[vm]]\nname = \"a\"\nkernel = "
              "\"kernel\"\n[expect]\nconsole = [\"hello\"]\n");
        odd_event = more_reads = 0;
    }
    ~Bench() {
        odd_event = more_reads = 0;
        std::filesystem::remove_all(path_);
    }

    std::string file(const std::string& name) const { return (path_ / name).string(); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name, std::ios::binary) << text;
    }
    std::string read(const std::string& name) const {
        std::ifstream in(path_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::size_t files() const {
        const std::filesystem::directory_iterator all(path_);
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    static Result call(const std::vector<std::string>& arguments) {
        std::ostringstream out, err;
        std::uint64_t now = 0;
        const Surroundings surroundings{
            out, err, {ticking_machine, no_names, no_versions, a_processor}, [&] {
                return now += 1000;
            }};
        const int code = run_program(arguments, surroundings);
        return {code, out.str(), err.str()};
    }
    Result run(std::vector<std::string> more) const {
        more.insert(more.begin(), {"run", file("test.toml"), "--profiles",
                                   std::string(HVSIM_SOURCE_DIR) + "/scenarios/profiles", "--quiet",
                                   "--no-report"});
        return call(more);
    }
    Result check(std::vector<std::string> more = {}) const {
        more.insert(more.end(), {"--golden", file("g")});
        return run(std::move(more));
    }
    Result update(std::vector<std::string> more = {}) const {
        more.push_back("--update-golden");
        return check(std::move(more));
    }

  private:
    std::filesystem::path path_;
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a golden is written, checked, and found to differ in a millisecond") {
    const Bench bench;
    const Result missing = bench.check();
    CHECK(missing.code == kExitConfig);
    CHECK(contains(missing.err, "--update-golden makes it"));
    const Result written = bench.update();
    CHECK(written.code == kExitMet);
    CHECK(contains(written.err, ": written\n"));
    CHECK(bench.check().code == kExitMet);
    odd_event = 350;
    const Result different = bench.check();
    CHECK(different.code == kExitUnmet);
    CHECK(contains(different.err, "first in millisecond 3 of virtual time (0.003 s to 0.004 s)"));
    CHECK(contains(different.err, "--quiet --no-report --trace golden.trace\n"));
    CHECK(contains(different.err, "hvsim diff golden.trace this.trace"));
    const Result renewed = bench.update();
    CHECK(renewed.code == kExitMet);
    CHECK(contains(renewed.err, "renewed, the run differs first in millisecond 3"));
    CHECK(bench.check().code == kExitMet);
    CHECK(bench.files() == 3);
}

TEST_CASE("statistics alone make a run differ from its golden") {
    const Bench bench;
    bench.update();
    more_reads = 3;
    const Result different = bench.check();
    CHECK(different.code == kExitUnmet);
    CHECK(contains(different.err, "the events are the same, statistics are not"));
    CHECK(contains(different.err, "disk.reads       3         6          +3  +100.00 %\n"));
}

TEST_CASE("a golden of other inputs is no failure, and the run does not begin") {
    const Bench bench;
    bench.update();
    bench.write("kernel", "y");
    const Result kernel = bench.check({"--junit", bench.file("j")});
    CHECK(kernel.code == kExitConfig);
    CHECK(contains(kernel.err, "  vm[0].kernel: kernel ("));
    CHECK(contains(bench.read("j"), "<error "));
    CHECK(contains(bench.read("j"), "errors=\"1\""));
    bench.write("kernel", "x");
    CHECK(contains(bench.check({"--set", "host.processors=2"}).err,
                   "  --set host.processors=2: only in this run\n"));
    // A setting that names a file counts by what is in the file.
    bench.write("same", "x");
    CHECK(bench.check({"--set", "vm[0].kernel=same"}).code == kExitMet);
    bench.write("g", "hvsim-golden 1\nprogram 0");
    const Result cut = bench.check();
    CHECK(cut.code == kExitConfig);
    CHECK(contains(cut.err, "g:2:1: the golden is cut off"));
    CHECK(bench.update().code == kExitMet);
    bench.write("g", "something of mine");
    CHECK(bench.update().code == kExitConfig);
    CHECK(bench.read("g") == "something of mine");
}

TEST_CASE("a golden is not renewed from a run that failed") {
    const Bench bench;
    const Result failed = bench.update({"--set", "expect.console=[\"never\"]"});
    CHECK(failed.code == kExitUnmet);
    CHECK(contains(failed.err, "stays as it is"));
    CHECK_FALSE(std::filesystem::exists(bench.file("g")));
    CHECK(bench.run({"--update-golden"}).code == kExitConfig);
    CHECK(bench.check({"--json", "/no/such/folder/j"}).code == kExitConfig);
}

TEST_CASE("reports, goldens and traces of a run are compared in any mixture") {
    const Bench bench;
    bench.update({"--trace", bench.file("a.trace"), "--json", bench.file("a.json")});
    odd_event = 120;
    bench.run({"--trace", bench.file("b.trace"), "--json", bench.file("b.json")});
    const auto diff = [&](const char* a, const char* b, std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"diff", bench.file(a), bench.file(b)});
        return Bench::call(more);
    };
    for (const char* a : {"a.trace", "a.json", "g"}) {
        for (const char* same : {"a.trace", "a.json", "g"}) {
            CAPTURE(a);
            CAPTURE(same);
            const Result result = diff(a, same);
            CHECK(result.code == kExitMet);
            CHECK(contains(result.out, "The runs are the same"));
        }
        for (const char* other : {"b.trace", "b.json"}) {
            const Result result = diff(a, other);
            CHECK(result.code == kExitUnmet);
            CHECK(contains(result.out, "illisecond 1"));
        }
    }
    const auto json = nlohmann::json::parse(diff("a.trace", "b.trace", {"--json", "-"}).out);
    CHECK(json["result"] == "different");
    CHECK(json["first_event"]["number"] == 120);
    CHECK(json["first_event"]["b"]["event"]["arguments"]["reason"] == 11);
    CHECK(json["first_event"]["before"].size() == 20);
    // Without the program's file there is nothing to run again.
    CHECK(contains(diff("a.trace", "b.trace").out, "No registers: "));
    CHECK_FALSE(contains(diff("a.trace", "b.trace", {"--no-rerun"}).out, "No registers"));
}

TEST_CASE("what cannot be compared") {
    const Bench bench;
    bench.run({"--json", bench.file("a")});
    bench.run({"--json", bench.file("b"), "--set", "host.processors=2"});
    const auto diff = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "diff");
        return Bench::call(words);
    };
    const Result refused = diff({bench.file("a"), bench.file("b")});
    CHECK(refused.code == kExitConfig);
    CHECK(
        contains(refused.out, "The runs cannot be compared:\n  --set host.processors=2: only in "));
    CHECK(diff({bench.file("a"), bench.file("b"), "--anyway"}).code == kExitMet);
    CHECK(contains(diff({bench.file("a"), bench.file("kernel")}).err,
                   "is neither a trace nor a report nor a golden"));
    CHECK(diff({bench.file("a"), bench.file("missing")}).code == kExitConfig);
    CHECK(diff({bench.file("a"), "/tmp"}).code == kExitConfig);
    CHECK(diff({bench.file("a")}).code == kExitConfig);
}

TEST_CASE("the processors at an event") {
    const Bench bench;
    const Result result = bench.run({"--state-at", "42"});
    CHECK(result.code == kExitMet);
    const auto json = nlohmann::json::parse(result.out);
    CHECK(json["event_number"] == 42);
    CHECK(json["event"]["time_ps"] == 420 * sim::kMicrosecond);
    CHECK(json["processors"][0]["registers"]["rip"] == 420 * sim::kMicrosecond);
    const Result beyond = bench.run({"--state-at", "501"});
    CHECK(beyond.code == kExitConfig);
    CHECK(contains(beyond.err, "the run ended after 500 events"));
}

TEST_CASE("JUnit: a test case for each expectation") {
    const Bench bench;
    bench.update();
    odd_event = 350;
    CHECK(bench.check({"--junit", bench.file("j"), "--set", "expect.console=[\"hello\"]"}).code ==
          kExitConfig);
    CHECK(bench.check({"--junit", bench.file("j")}).code == kExitUnmet);
    pugi::xml_document document;
    REQUIRE(document.load_file(bench.file("j").c_str()));
    const pugi::xml_node suite = document.child("testsuites").child("testsuite");
    CHECK(suite.attribute("tests").as_int() == 4);
    CHECK(suite.attribute("failures").as_int() == 1);
    CHECK(suite.attribute("errors").as_int() == 0);
    std::vector<std::string> names, failed;
    for (const pugi::xml_node node : suite.children("testcase")) {
        names.push_back(node.attribute("name").value());
        if (node.child("failure")) failed.push_back(names.back());
    }
    CHECK(names == std::vector<std::string>{"no kernel panic", "ends with poweroff",
                                            "the console shows \"hello\"",
                                            "the same as " + bench.file("g")});
    CHECK(failed == std::vector<std::string>{names.back()});
    // What is no text is replaced, markup is escaped.
    CHECK(contains(suite.child("system-out").text().get(), "  | hello \xef\xbf\xbd<\n"));
}
