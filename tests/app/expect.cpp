#include "app/expect.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

void print(ConsoleWatch& watch, std::string_view text, sim::Time time = sim::kSecond,
           std::size_t console = 0) {
    for (const char c : text) watch.on_byte(console, static_cast<std::uint8_t>(c), time);
}

Scenario two_vms() {
    Scenario scenario;
    scenario.vms.resize(2);
    scenario.vms[0].name = std::string("a");
    scenario.vms[1].name = std::string("b");
    scenario.expect.deadline = 60 * sim::kSecond;
    return scenario;
}

RunOutcome outcome_of(MachineEnd a, MachineEnd b, StopCause cause = StopCause::ended) {
    RunOutcome outcome;
    outcome.cause = cause;
    outcome.machines = {{a, sim::kSecond, ""}, {b, 2 * sim::kSecond, "RIP 0x10"}};
    outcome.virtual_time = 2 * sim::kSecond;
    return outcome;
}

}  // namespace

TEST_CASE("patterns: plain text at once, expressions at the line's end") {
    const Pattern plain("login:"), expression("re:^[a-z]+ login: $");
    CHECK(plain.completed_by("host login:", false));
    CHECK(!plain.completed_by("host login: ", false));
    CHECK(!plain.completed_by("host login:", true));  // it was seen with its last byte
    CHECK(expression.completed_by("host login: ", true));
    CHECK(!expression.completed_by("host login: ", false));
    CHECK(!expression.completed_by("Host login: ", true));
    CHECK_THROWS_AS(Pattern("re:("), sim::ConfigError);
    CHECK_THROWS_AS(Pattern(""), sim::ConfigError);
    CHECK_THROWS_AS(Pattern("a\nb"), sim::ConfigError);
}

TEST_CASE("a hostile line cannot exhaust the stack") {
    const Pattern expression("re:(a|b)*c");
    CHECK(!expression.completed_by(std::string(1'000'000, 'a'), true));
}

TEST_CASE("expected patterns in any order, and in order") {
    ExpectConfig expect;
    expect.console = {"one", "two"};
    ConsoleWatch any(expect, 1);
    print(any, "two\r\non");
    CHECK(any.missing() == std::vector<std::string>{"one"});
    print(any, "e");
    CHECK(any.all_seen());
    CHECK(!any.wants_stop());

    expect.ordered = true;
    expect.end = ExpectedEnd::console;
    ConsoleWatch ordered(expect, 1);
    print(ordered, "two one\n");
    CHECK(ordered.missing() == std::vector<std::string>{"two"});
    CHECK(!ordered.wants_stop());
    print(ordered, "two");
    CHECK(ordered.wants_stop());
}

TEST_CASE("a pattern is not put together from two consoles or two lines") {
    ExpectConfig expect;
    expect.console = {"one"};
    ConsoleWatch watch(expect, 2);
    print(watch, "on", 1, 0);
    print(watch, "e", 1, 1);
    print(watch, "\ne", 1, 0);
    CHECK(!watch.all_seen());
}

TEST_CASE("unwanted patterns, panics, and the last lines") {
    ExpectConfig expect;
    expect.absent = {"Call Trace"};
    ConsoleWatch watch(expect, 1);
    for (int i = 0; i < 30; ++i) print(watch, fmt::format("line {}\n", i));
    print(watch, "Call Trace: x\n", 7);
    print(watch, "Call Trace again\n", 8);
    REQUIRE(watch.unwanted().size() == 1);
    CHECK(watch.unwanted()[0].time == 7);
    CHECK(watch.unwanted()[0].line == "Call Trace");
    print(watch, "[1.0] Kernel panic - not syncing: Attempted to kill init!\n", 9);
    CHECK(!watch.wants_stop());
    print(watch, "---[ end Kernel panic - not syncing ]---\n", 10);
    CHECK(watch.wants_stop());
    REQUIRE(watch.panic());
    CHECK(watch.panic()->line == "[1.0] Kernel panic - not syncing: Attempted to kill init!");
    print(watch, "\x1b[0munfinished");
    const auto lines = watch.last_lines(0);
    CHECK(lines.size() == 17);
    CHECK(lines.back() == "?[0munfinished");
}

TEST_CASE("a line without end is broken, not kept for ever") {
    ConsoleWatch watch(ExpectConfig{}, 1);
    print(watch, std::string(100'000, 'x'));
    for (const std::string& line : watch.last_lines(0)) CHECK(line.size() <= 4096);
}

TEST_CASE("exit codes are compared, and only those of machines that ended by one") {
    Scenario scenario = two_vms();
    scenario.expect.end = ExpectedEnd::exit;
    scenario.expect.exit_code = 0;
    const ConsoleWatch watch(scenario.expect, 2);
    RunOutcome outcome = outcome_of(MachineEnd::exit, MachineEnd::exit);
    outcome.machines[0].exit_code = 0;
    outcome.machines[1].exit_code = 0;
    CHECK(judge(scenario, outcome, watch, StopReason::none).met);
    CHECK(judge(scenario, outcome, watch, StopReason::none).end == "exit");
    outcome.machines[1].exit_code = 63;
    CHECK(judge(scenario, outcome, watch, StopReason::none).unmet ==
          std::vector<std::string>{"VM \"b\" ended with exit code 63; expected: 0"});
    scenario.expect.exit_code.reset();
    CHECK(judge(scenario, outcome, watch, StopReason::none).met);
    scenario.expect.end = ExpectedEnd::poweroff;
    const Verdict verdict = judge(scenario, outcome, watch, StopReason::none);
    REQUIRE(verdict.unmet.size() == 2);
    CHECK(verdict.unmet[0].find("ended the run by a test device") != std::string::npos);
}

TEST_CASE("verdicts have their own words for each way to fail") {
    const Scenario scenario = two_vms();
    const ConsoleWatch watch(scenario.expect, 2);
    const auto verdict = [&](const RunOutcome& outcome, StopReason reason = StopReason::none) {
        return judge(scenario, outcome, watch, reason);
    };
    const Verdict good = verdict(outcome_of(MachineEnd::poweroff, MachineEnd::poweroff));
    CHECK(good.met);
    CHECK(good.end == "poweroff");

    const Verdict triple = verdict(outcome_of(MachineEnd::poweroff, MachineEnd::triple_fault));
    CHECK(!triple.met);
    CHECK(triple.end == "triple_fault");
    CHECK(triple.unmet == std::vector<std::string>{
                              "VM \"b\" ended with a triple fault at 2.000000000000 s (RIP 0x10); "
                              "expected: poweroff"});

    const Verdict halt = verdict(outcome_of(MachineEnd::halt, MachineEnd::poweroff));
    CHECK(halt.unmet == std::vector<std::string>{
                            "VM \"a\" stopped: all its processors wait with interrupts off at "
                            "1.000000000000 s; expected: poweroff"});

    const Verdict late =
        verdict(outcome_of(MachineEnd::poweroff, MachineEnd::running, StopCause::deadline));
    CHECK(late.end == "deadline");
    CHECK(late.unmet == std::vector<std::string>{"VM \"b\" was still running at the deadline of 60 "
                                                 "s (virtual time)"});

    const RunOutcome stopped =
        outcome_of(MachineEnd::running, MachineEnd::running, StopCause::stopped);
    CHECK(verdict(stopped, StopReason::wall_limit).end == "wall_limit");
    CHECK(verdict(stopped, StopReason::interrupted).unmet ==
          std::vector<std::string>{"the run was interrupted at 2.000000000000 s"});
}

TEST_CASE("a panic is named, and is no fault where a crash is expected") {
    Scenario scenario = two_vms();
    ConsoleWatch watch(scenario.expect, 2);
    print(watch, "Kernel panic - not syncing: x\n---[ end Kernel panic\n", 5, 1);
    const RunOutcome stopped =
        outcome_of(MachineEnd::poweroff, MachineEnd::running, StopCause::stopped);
    const Verdict panic = judge(scenario, stopped, watch, StopReason::watch);
    CHECK(panic.end == "panic");
    CHECK(panic.unmet == std::vector<std::string>{
                             "the kernel of VM \"b\" panicked at 0.000000000005 s: Kernel panic - "
                             "not syncing: x"});
    scenario.expect.end = ExpectedEnd::crash;
    CHECK(judge(scenario, outcome_of(MachineEnd::crash, MachineEnd::crash), watch, StopReason::none)
              .met);
    CHECK(!judge(scenario, stopped, watch, StopReason::watch).met);
}

TEST_CASE("waiting for the console") {
    Scenario scenario = two_vms();
    scenario.expect.end = ExpectedEnd::console;
    scenario.expect.console = {"ready"};
    ConsoleWatch watch(scenario.expect, 2);
    const RunOutcome late =
        outcome_of(MachineEnd::running, MachineEnd::running, StopCause::deadline);
    CHECK(judge(scenario, late, watch, StopReason::none).unmet.size() == 3);
    print(watch, "ready");
    const RunOutcome stopped =
        outcome_of(MachineEnd::running, MachineEnd::poweroff, StopCause::stopped);
    const Verdict verdict = judge(scenario, stopped, watch, StopReason::watch);
    CHECK(verdict.met);
    CHECK(verdict.end == "console");
    CHECK(!judge(scenario, outcome_of(MachineEnd::triple_fault, MachineEnd::running), watch,
                 StopReason::none)
               .met);
}

TEST_CASE("statistics are judged with all the rest") {
    Scenario scenario = two_vms();
    scenario.expect.statistics = {"disk.reads >= 3", "disk.reads < 3", "disk.raeds > 0"};
    RunOutcome outcome = outcome_of(MachineEnd::poweroff, MachineEnd::poweroff);
    outcome.statistics.push_back({"disk.reads", 3, "count", ""});
    const ConsoleWatch watch(scenario.expect, 2);
    const Verdict verdict = judge(scenario, outcome, watch, StopReason::none);
    CHECK(!verdict.met);
    CHECK(verdict.unmet ==
          std::vector<std::string>{"expected of the statistics: disk.reads < 3; found: 3",
                                   "the run has no statistic \"disk.raeds\""});
    CHECK(verdict.unknown_statistics == std::vector<std::size_t>{2});
}
