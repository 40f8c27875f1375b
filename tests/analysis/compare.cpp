#include <doctest/doctest.h>

#include <fstream>

#include "analysis/compare/comparison.h"
#include "analysis/compare/golden.h"
#include "analysis/compare/intervals.h"
#include "analysis/compare/report_reader.h"
#include "analysis/report.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::analysis;

namespace {

const std::string kHash(64, 'a'), kOtherHash(64, 'b'), kDigest(32, '1'), kOtherDigest(32, '2');

RunResult a_run() {
    RunResult run;
    run.scenario = "folder/test.toml";
    run.program_version = "0.1.0";
    run.end = "poweroff";
    run.virtual_time = 1'500'000'000;
    run.code_bytes = 4000;
    run.tables.push_back({"vm_exits",
                          "VM exits",
                          "reason",
                          {{"count", "count", "count"}, {"cost_ps", "cost", "ps"}},
                          {{"external interrupt", {3, 700}}, {"CPUID", {1, 50}}}});
    run.tables.push_back({"translation", "", "", {{"count", "count", "count"}}, {{"x", {5}}}});
    run.distributions.push_back({"disk.Read", "", "ps", {2, 1, 2, 3, 4, 5, 6}});
    run.statistics = {{"lp0.guest", 77, "ps", ""}, {"disk.errors", 0, "count", ""}};
    run.digest = kDigest;
    run.intervals = {{0, 0x12345678}, {1, 0xabcdef01}, {25, 7}};
    run.inputs = sim::RunInputs{
        {{"scenario", "folder/test.toml", kHash}, {"vm[0].kernel", "folder/kernel", kHash}},
        {"host.vendor=\"amd\""}};
    return run;
}

std::string problem_of(const std::string& text,
                       RunRecord (*parse)(std::string_view, const std::string&)) {
    try {
        parse(text, "f");
    } catch (const sim::ConfigError& error) {
        return error.what();
    }
    return "none";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const std::size_t place = text.find(from);
    REQUIRE(place != std::string::npos);
    return text.replace(place, from.size(), to);
}

}  // namespace

TEST_CASE("milliseconds as lines") {
    const std::vector<sim::IntervalDigest> digests{{0, 1}, {3, 0xffffffff}, {19, 2}, {20, 3}};
    const std::vector<std::string> lines = interval_lines(digests);
    CHECK(lines == std::vector<std::string>{"0 00000001 . . ffffffff",
                                            "10 . . . . . . . . . 00000002", "20 00000003"});
    std::vector<sim::IntervalDigest> read;
    for (const std::string& line : lines) CHECK(parse_interval_line(line, read));
    CHECK(read == digests);
    for (const char* bad :
         {"", "30", "30 .", "31 00000001", "30 0000001", "30 000000001", "30 x0000000",
          "20 00000001", "x 00000001", "30 . . . . . . . . . . 00000001"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_interval_line(bad, read));
    }
    CHECK(read == digests);
}

TEST_CASE("the first interval that differs") {
    const std::vector<sim::IntervalDigest> run{{0, 1}, {2, 5}, {7, 9}};
    CHECK_FALSE(first_differing_interval(run, run).has_value());
    CHECK(first_differing_interval(run, {{0, 1}, {2, 6}, {7, 9}}) == 2u);
    CHECK(first_differing_interval(run, {{0, 1}, {1, 6}, {7, 9}}) == 1u);
    CHECK(first_differing_interval(run, {{0, 1}, {2, 5}}) == 7u);
    CHECK(first_differing_interval({}, run) == 0u);
}

TEST_CASE("a golden keeps key numbers, and reads back") {
    const RunRecord run = record_of(a_run(), "run");
    const std::string text = golden_text(run);
    CHECK(text ==
          "hvsim-golden 1\n"
          "# How a run came out; `hvsim run --golden` holds another one against it.\n"
          "program 0.1.0\n"
          "scenario test.toml\n"
          "set host.vendor=\"amd\"\n"
          "input scenario " +
              kHash +
              " test.toml\n"
              "input vm[0].kernel " +
              kHash +
              " kernel\n"
              "ended poweroff\n"
              "digest " +
              kDigest +
              "\n"
              "total 1500000000 ps virtual_time\n"
              "total 4000 bytes code_bytes\n"
              "total 0 ps greatest_overshoot\n"
              "table 3 count vm_exits.external interrupt.count\n"
              "table 1 count vm_exits.CPUID.count\n"
              "statistic 77 ps lp0.guest\n"
              "milliseconds 0 12345678 abcdef01\n"
              "milliseconds 20 . . . . . 00000007\n"
              "end\n");
    const RunRecord read = parse_golden(text, "g");
    CHECK(why_not_comparable(read, run).empty());
    CHECK(difference_of(read, run).same());
    CHECK(read.end == "poweroff");
    CHECK(read.intervals == a_run().intervals);
}

TEST_CASE("what is wrong with a golden is said with its line") {
    const std::string text = golden_text(record_of(a_run(), "run"));
    CHECK(problem_of("hello", parse_golden) == "f is not a golden");
    CHECK(problem_of("", parse_golden) == "f is not a golden");
    CHECK(problem_of("hvsim-golden 2\n", parse_golden) ==
          "f:1:1: golden of version 2; this program reads version 1");
    const auto with = [&](std::string_view from, std::string_view to) {
        return problem_of(replaced(text, from, to), parse_golden);
    };
    CHECK(with(kHash, "abc") == "f:6:1: expected \"input ROLE SHA256 FILE\"");
    CHECK(with("digest 1", "digest x") == "f:9:1: expected \"digest, then 32 hexadecimal digits\"");
    CHECK(with("total 4000 ", "total -1 ") == "f:11:1: expected \"total VALUE UNIT NAME\"");
    CHECK(with("total 4000 ", "sum 4000 ") == "f:11:1: unknown line \"sum\"");
    CHECK(with("abcdef01", "abc").starts_with("f:16:1: expected \"milliseconds FIRST"));
    CHECK(with("end\n", "end\nmore\n") == "f:18:1: nothing may follow the line \"end\"");
    CHECK(with("digest " + kDigest + "\n", "").find("no line \"digest\"") != std::string::npos);
    // Wherever it is cut off, it is not taken for a whole one.
    for (std::size_t size = 15; size < text.size(); ++size)
        CHECK(problem_of(text.substr(0, size), parse_golden) != "none");
}

TEST_CASE("a report reads back") {
    const std::string text = json_report(a_run());
    const RunRecord read = parse_report(text, "f");
    const RunRecord run = record_of(a_run(), "run");
    CHECK(why_not_comparable(read, run).empty());
    CHECK(difference_of(read, run).same());
    CHECK(read.numbers.numbers.size() == run.numbers.numbers.size());
    CHECK(problem_of("{", parse_report).starts_with("f is not JSON, or cut off"));
    CHECK(problem_of(text.substr(0, text.size() / 2), parse_report)
              .starts_with("f is not JSON, or cut off"));
    CHECK(problem_of("{}", parse_report) == "f is not a report of a run");
    CHECK(problem_of("[1]", parse_report) == "f is not a report of a run");
    CHECK(problem_of(replaced(text, "\"format_version\": ", "\"format_version\": 9"), parse_report)
              .starts_with("f is a report of version 9"));
    CHECK(problem_of(replaced(text, "\"digest\"", "\"digets\""), parse_report)
              .starts_with("f is not a whole report of a run"));
    CHECK(problem_of(replaced(text, "0 12345678", "1 12345678"), parse_report)
              .starts_with("f is not a whole report of a run"));
}

TEST_CASE("why runs are not comparable") {
    const RunRecord a = record_of(a_run(), "a");
    const auto reasons = [&](auto change) {
        RunResult other = a_run();
        change(other);
        return why_not_comparable(a, record_of(other, "b"));
    };
    using Reasons = std::vector<std::string>;
    CHECK(reasons([](RunResult& run) { run.scenario = "other/name.toml"; }).empty());
    CHECK(reasons([](RunResult& run) { run.program_version = "0.2.0"; }) ==
          Reasons{"a is of hvsim 0.1.0, b of hvsim 0.2.0"});
    CHECK(reasons([](RunResult& run) { run.inputs->files[1].sha256 = kOtherHash; }) ==
          Reasons{"vm[0].kernel: folder/kernel (aaaaaaaaaaaa...) in a, folder/kernel "
                  "(bbbbbbbbbbbb...) in b"});
    CHECK(reasons([](RunResult& run) { run.inputs->files.pop_back(); }) ==
          Reasons{"vm[0].kernel: only a has one"});
    CHECK(reasons([](RunResult& run) { run.inputs->settings = {"host.quantum=5us"}; }) ==
          Reasons{"--set host.vendor=\"amd\": only in a", "--set host.quantum=5us: only in b"});
    CHECK(reasons([](RunResult& run) { run.inputs.reset(); }) ==
          Reasons{"b does not say what the run was given: it is too old"});
}

TEST_CASE("numbers that differ: the greatest first, as far as both tell") {
    RunResult other = a_run();
    other.tables[0].rows[1].values[0] = 2;    // CPUID: 1 -> 2
    other.tables[0].rows[0].values[1] = 707;  // a cost, no key number
    other.tables[1].rows[0].values[0] = 9;    // caches do not count
    other.statistics[0].value = 0;
    other.statistics[1].value = 4;
    const RunRecord a = record_of(a_run(), "a"), b = record_of(other, "b");
    const auto names = [](const std::vector<NumberDifference>& numbers) {
        std::vector<std::string> list;
        for (const NumberDifference& number : numbers) list.push_back(number.name);
        return list;
    };
    const auto numbers = differing_numbers(a.numbers, b.numbers);
    CHECK(names(numbers) == std::vector<std::string>{"lp0.guest", "disk.errors",
                                                     "vm_exits.CPUID.count",
                                                     "vm_exits.external interrupt.cost_ps"});
    CHECK(relative_text(numbers[0]) == "gone");
    CHECK(absolute_text(numbers[0]) == "-77 ps");
    CHECK(relative_text(numbers[1]) == "new");
    CHECK(relative_text(numbers[2]) == "+100.00 %");
    CHECK(absolute_text(numbers[2]) == "+1");
    CHECK(relative_text(numbers[3]) == "+1.00 %");
    const RunRecord golden = parse_golden(golden_text(a), "g");
    CHECK(names(differing_numbers(golden.numbers, b.numbers)) ==
          std::vector<std::string>{"lp0.guest", "disk.errors", "vm_exits.CPUID.count"});
    CHECK(differing_numbers(golden.numbers, a.numbers).empty());
    NumberSet events = b.numbers;
    events.events_only = true;
    CHECK(names(differing_numbers(golden.numbers, events)) ==
          std::vector<std::string>{"vm_exits.CPUID.count"});
}
