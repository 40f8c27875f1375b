#include "app/expect.h"

#include <fmt/format.h>

#include "analysis/quantity_text.h"
#include "app/scenario/quantity.h"
#include "app/statistic_demand.h"

namespace hvsim::app {
namespace {

constexpr std::size_t kLineLength = 4096;  // longer lines are broken: guests write them
constexpr std::size_t kLinesKept = 16;
constexpr std::string_view kPanic = "Kernel panic - not syncing";
constexpr std::string_view kPanicEnd = "---[ end Kernel panic";

/// Guests print what they like; control characters must not reach the user's terminal twice.
std::string printable(std::string_view line) {
    std::string text(line);
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\t' ? ' ' : '?';
    return text;
}

std::string at(sim::Time time) {
    return "at " + analysis::exact_seconds(time) + " s";
}

MachineEnd wanted(ExpectedEnd end) {
    switch (end) {
        case ExpectedEnd::poweroff:
            return MachineEnd::poweroff;
        case ExpectedEnd::reboot:
            return MachineEnd::reboot;
        case ExpectedEnd::crash:
            return MachineEnd::crash;
        case ExpectedEnd::halt:
            return MachineEnd::halt;
        case ExpectedEnd::exit:
            return MachineEnd::exit;
        case ExpectedEnd::console:
            break;
    }
    return MachineEnd::running;
}

/// "switched itself off", the words for an end in a sentence.
std::string_view sentence(MachineEnd end) {
    switch (end) {
        case MachineEnd::running:
            return "was still running";
        case MachineEnd::poweroff:
            return "switched itself off";
        case MachineEnd::reboot:
            return "asked for a reset";
        case MachineEnd::crash:
            return "reported a crash";
        case MachineEnd::triple_fault:
            return "ended with a triple fault";
        case MachineEnd::halt:
            return "stopped: all its processors wait with interrupts off";
        case MachineEnd::exit:
            return "ended the run by a test device";
    }
    return "ended";
}

}  // namespace

std::string_view to_string(MachineEnd end) {
    switch (end) {
        case MachineEnd::running:
            return "running";
        case MachineEnd::poweroff:
            return "poweroff";
        case MachineEnd::reboot:
            return "reboot";
        case MachineEnd::crash:
            return "crash";
        case MachineEnd::triple_fault:
            return "triple_fault";
        case MachineEnd::halt:
            return "halt";
        case MachineEnd::exit:
            return "exit";
    }
    return "unknown";
}

ConsoleWatch::ConsoleWatch(const ExpectConfig& expect, std::size_t consoles)
    : expected_(expect.console.begin(), expect.console.end()),
      seen_(expected_.size()),
      absent_(expect.absent.begin(), expect.absent.end()),
      absent_seen_(absent_.size()),
      ordered_(expect.ordered),
      end_(expect.end),
      consoles_(consoles) {}

void ConsoleWatch::on_byte(std::size_t console, std::uint8_t byte, sim::Time time) {
    if (byte == '\r' || byte == 0) return;
    Console& state = consoles_.at(console);
    const bool finished = byte == '\n' || state.line.size() == kLineLength;
    if (!finished) state.line += static_cast<char>(byte);
    check_expected(state.line, finished);
    check_unwanted(console, state.line, finished, time);
    if (!finished) return;
    check_panic(console, state.line, time);
    state.lines.push_back(std::move(state.line));
    if (state.lines.size() > kLinesKept) state.lines.pop_front();
    state.line.clear();
    if (byte != '\n') state.line += static_cast<char>(byte);
}

void ConsoleWatch::check_expected(std::string_view line, bool finished) {
    for (std::size_t i = ordered_ ? seen_count_ : 0; i < expected_.size(); ++i) {
        if (!seen_[i] && expected_[i].completed_by(line, finished)) {
            seen_[i] = true;
            ++seen_count_;
        } else if (ordered_) {
            return;
        }
    }
}

void ConsoleWatch::check_unwanted(std::size_t console, std::string_view line, bool finished,
                                  sim::Time time) {
    for (std::size_t i = 0; i < absent_.size(); ++i) {
        if (absent_seen_[i] || !absent_[i].completed_by(line, finished)) continue;
        absent_seen_[i] = true;
        unwanted_.push_back({console, time, absent_[i].text(), printable(line)});
    }
}

void ConsoleWatch::check_panic(std::size_t console, std::string_view line, sim::Time time) {
    if (line.find(kPanicEnd) != std::string_view::npos)
        panic_over_ = panic_.has_value();
    else if (!panic_ && line.find(kPanic) != std::string_view::npos)
        panic_ = Sighting{console, time, "", printable(line)};
}

bool ConsoleWatch::wants_stop() const noexcept {
    if (panic_over_) return true;
    return end_ == ExpectedEnd::console && all_seen();
}

std::vector<std::string> ConsoleWatch::missing() const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < expected_.size(); ++i)
        if (!seen_[i]) texts.push_back(expected_[i].text());
    return texts;
}

std::vector<std::string> ConsoleWatch::last_lines(std::size_t console) const {
    const Console& state = consoles_.at(console);
    std::vector<std::string> lines;
    for (const std::string& line : state.lines) lines.push_back(printable(line));
    if (!state.line.empty()) lines.push_back(printable(state.line));
    return lines;
}

namespace {

class Judge {
  public:
    Judge(const Scenario& scenario, const RunOutcome& outcome, const ConsoleWatch& watch,
          StopReason reason)
        : scenario_(scenario), outcome_(outcome), watch_(watch), reason_(reason) {}

    Verdict verdict() {
        name_end();
        expect("no kernel panic");
        judge_panic();
        const MachineEnd end = wanted(scenario_.expect.end);
        expect(end == MachineEnd::running ? "runs until everything was seen"
                                          : fmt::format("ends with {}", to_string(end)));
        judge_ends();
        judge_console();
        judge_exit_codes();
        judge_statistics();
        verdict_.met = verdict_.unmet.empty();
        return std::move(verdict_);
    }

  private:
    /// What is added from now on are failures of this.
    void expect(std::string what) { verdict_.expectations.push_back({std::move(what), {}}); }
    void add(std::string sentence) {
        verdict_.expectations.back().failures.push_back(sentence);
        verdict_.unmet.push_back(std::move(sentence));
    }
    std::string name(std::size_t console) const {
        if (scenario_.vms.empty()) return "the machine";
        return fmt::format("VM \"{}\"", scenario_.console_name(console));
    }
    bool panic_is_fault() const {
        const ExpectedEnd end = scenario_.expect.end;
        return watch_.panic() && end != ExpectedEnd::crash && end != ExpectedEnd::reboot;
    }

    /// One word for the whole run: the first machine that did not end as expected, or how all did.
    void name_end() {
        if (reason_ == StopReason::interrupted)
            verdict_.end = "interrupted";
        else if (reason_ == StopReason::wall_limit)
            verdict_.end = "wall_limit";
        else if (reason_ == StopReason::trace_full)
            verdict_.end = "trace_full";
        else if (panic_is_fault())
            verdict_.end = "panic";
        else if (outcome_.cause == StopCause::deadline)
            verdict_.end = "deadline";
        else if (reason_ == StopReason::watch)
            verdict_.end = watch_.panic() ? "panic" : "console";
        else {
            const MachineEnd expected = wanted(scenario_.expect.end);
            MachineEnd end = expected;
            for (const MachineOutcome& machine : outcome_.machines)
                if (end == expected) end = machine.end;
            verdict_.end = to_string(end);
        }
    }

    void judge_panic() {
        if (!panic_is_fault()) return;
        const ConsoleWatch::Sighting& panic = *watch_.panic();
        add(fmt::format("the kernel of {} panicked {}: {}", name(panic.console), at(panic.time),
                        panic.line));
    }

    void judge_ends() {
        if (reason_ == StopReason::interrupted)
            return add("the run was interrupted " + at(outcome_.virtual_time));
        if (reason_ == StopReason::wall_limit)
            return add("the limit of wall time stopped the run " + at(outcome_.virtual_time));
        if (reason_ == StopReason::trace_full)
            return add("the run stopped where its trace could not be written " +
                       at(outcome_.virtual_time));
        const MachineEnd expected = wanted(scenario_.expect.end);
        for (std::size_t i = 0; i < outcome_.machines.size(); ++i) {
            const MachineOutcome& machine = outcome_.machines[i];
            // Waiting for the console, a machine is meant to run on, but not into the deadline.
            const bool late = outcome_.cause == StopCause::deadline && !watch_.all_seen();
            if (machine.end == expected && !(late && machine.end == MachineEnd::running)) continue;
            if (machine.end == MachineEnd::running) {
                judge_running(i);
                continue;
            }
            // A run that waits for the console may end by itself once everything was seen.
            if (scenario_.expect.end == ExpectedEnd::console && watch_.all_seen() &&
                machine.end == MachineEnd::poweroff)
                continue;
            std::string text =
                fmt::format("{} {} {}", name(i), sentence(machine.end), at(machine.time));
            if (!machine.detail.empty()) text += fmt::format(" ({})", machine.detail);
            if (expected != MachineEnd::running)
                text += fmt::format("; expected: {}", to_string(expected));
            add(std::move(text));
        }
    }

    void judge_console() {
        for (std::size_t i = 0; i < watch_.expected().size(); ++i) {
            const std::string& text = watch_.expected()[i].text();
            expect(fmt::format("the console shows \"{}\"", text));
            if (!watch_.seen(i)) add(fmt::format("the console never showed \"{}\"", text));
        }
        for (const Pattern& pattern : watch_.absent()) {
            expect(fmt::format("the console never shows \"{}\"", pattern.text()));
            for (const ConsoleWatch::Sighting& sighting : watch_.unwanted())
                if (sighting.pattern == pattern.text())
                    add(fmt::format("{} showed \"{}\" {}: {}", name(sighting.console),
                                    sighting.pattern, at(sighting.time), sighting.line));
        }
    }

    void judge_exit_codes() {
        const auto expected = scenario_.expect.exit_code;
        if (!expected) return;
        expect(fmt::format("exit code {}", *expected));
        for (std::size_t i = 0; i < outcome_.machines.size(); ++i)
            if (const auto found = outcome_.machines[i].exit_code; found && *found != *expected)
                add(fmt::format("{} ended with exit code {}; expected: {}", name(i), *found,
                                *expected));
    }

    void judge_statistics() {
        for (std::size_t i = 0; i < scenario_.expect.statistics.size(); ++i) {
            const std::string& text = scenario_.expect.statistics[i];
            expect(fmt::format("statistics: {}", text));
            const StatisticDemand demand(text);
            const auto value = demand.found_in(outcome_.statistics);
            if (!value) {
                verdict_.unknown_statistics.push_back(i);
                add(fmt::format("the run has no statistic \"{}\"", demand.name()));
            } else if (!demand.holds(*value)) {
                add(fmt::format("expected of the statistics: {}; found: {}", text, *value));
            }
        }
    }

    void judge_running(std::size_t console) {
        if (outcome_.cause == StopCause::deadline)
            add(fmt::format("{} was still running at the deadline of {} (virtual time)",
                            name(console), format_duration(scenario_.expect.deadline)));
        else if (!panic_is_fault())
            add(fmt::format("{} was still running when the run was stopped {}", name(console),
                            at(outcome_.virtual_time)));
    }

    const Scenario& scenario_;
    const RunOutcome& outcome_;
    const ConsoleWatch& watch_;
    StopReason reason_;
    Verdict verdict_;
};

}  // namespace

Verdict judge(const Scenario& scenario, const RunOutcome& outcome, const ConsoleWatch& watch,
              StopReason reason) {
    return Judge(scenario, outcome, watch, reason).verdict();
}

}  // namespace hvsim::app
