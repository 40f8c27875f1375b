#include "app/console_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace hvsim::app {
namespace {

constexpr std::size_t kLineLength = 4096;

bool take_number(std::string_view& text, std::uint64_t& value, int base) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc{};
}

bool take_space(std::string_view& text) {
    if (!text.starts_with(' ')) return false;
    text.remove_prefix(1);
    return true;
}

std::size_t console_count(const Scenario& scenario) {
    return std::max<std::size_t>(scenario.vms.size(), 1);
}

}  // namespace

ScriptedInput::ScriptedInput(const Scenario& scenario) : scripts_(console_count(scenario)) {
    for (const ConsoleInputConfig& input : scenario.console.inputs) {
        std::size_t console = 0;
        for (std::size_t i = 0; i < scenario.vms.size(); ++i)
            if (scenario.vms[i].name == input.vm) console = i;
        scripts_[console].entries.push_back({Pattern(input.after), input.text, input.pace});
    }
}

void ScriptedInput::on_byte(std::size_t console, std::uint8_t byte, sim::Time time) {
    Script& script = scripts_.at(console);
    const bool waiting = script.current < script.entries.size() && script.due == sim::kNever;
    if (!waiting || byte == '\r' || byte == 0) return;
    const bool finished = byte == '\n' || script.line.size() == kLineLength;
    if (!finished) script.line += static_cast<char>(byte);
    const Entry& entry = script.entries[script.current];
    const bool seen = entry.after.completed_by(script.line, finished);
    if (seen && entry.text.empty())
        ++script.current;
    else if (seen)
        script.due = time + entry.pace;
    if (seen || finished) script.line.clear();
}

std::optional<std::uint8_t> ScriptedInput::next(std::size_t console, sim::Time now) {
    Script& script = scripts_.at(console);
    if (script.due == sim::kNever || script.due > now) return std::nullopt;
    const Entry& entry = script.entries[script.current];
    const auto byte = static_cast<std::uint8_t>(entry.text[script.typed++]);
    if (script.typed < entry.text.size()) {
        script.due += entry.pace;
        return byte;
    }
    ++script.current;
    script.typed = 0;
    script.due = sim::kNever;
    return byte;
}

sim::Time ScriptedInput::next_deadline(std::size_t console) const {
    return scripts_.at(console).due;
}

RecordingInput::RecordingInput(ConsoleInput& source, const std::filesystem::path& file)
    : source_(source), out_(file, std::ios::trunc) {
    if (!out_)
        throw sim::ConfigError(
            fmt::format("cannot create {}: {}", file.string(), std::strerror(errno)));
    out_ << kRecordingHead << '\n' << std::flush;
}

std::optional<std::uint8_t> RecordingInput::next(std::size_t console, sim::Time now) {
    const auto byte = source_.next(console, now);
    if (byte) out_ << fmt::format("{} {} {:02x}\n", now, console, *byte) << std::flush;
    return byte;
}

ReplayedInput::ReplayedInput(const std::filesystem::path& file, std::size_t consoles)
    : queues_(consoles) {
    std::ifstream in(file);
    if (!in)
        throw sim::ConfigError(
            fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
    std::string line;
    std::uint32_t number = 1;
    const auto fail = [&](const char* problem) {
        throw sim::ConfigError({file.string(), number, 1}, problem, "made by `hvsim run --record`");
    };
    if (!std::getline(in, line) || line != kRecordingHead) fail("this is no recorded input");
    while (std::getline(in, line)) {
        ++number;
        std::uint64_t time = 0, console = 0, byte = 0;
        std::string_view rest = line;
        const bool parsed = take_number(rest, time, 10) && take_space(rest) &&
                            take_number(rest, console, 10) && take_space(rest) &&
                            take_number(rest, byte, 16) && rest.empty();
        if (!parsed || byte > 0xff) fail("expected \"TIME CONSOLE BYTE\"");
        if (console >= consoles) fail("the scenario has no such console");
        if (time < end_) fail("times must not go back");
        end_ = time;
        queues_[console].keys.push_back({time, static_cast<std::uint8_t>(byte)});
    }
}

std::optional<std::uint8_t> ReplayedInput::next(std::size_t console, sim::Time now) {
    Queue& queue = queues_.at(console);
    if (queue.next == queue.keys.size() || queue.keys[queue.next].time > now) return std::nullopt;
    return queue.keys[queue.next++].byte;
}

sim::Time ReplayedInput::next_deadline(std::size_t console) const {
    const Queue& queue = queues_.at(console);
    return queue.next == queue.keys.size() ? sim::kNever : queue.keys[queue.next].time;
}

std::optional<std::uint8_t> PolledInput::next(std::size_t console, sim::Time now) {
    if (console == 0 && now >= due_) due_ = (now / kPeriod + 1) * kPeriod;
    return source_.next(console, now);
}

sim::Time PolledInput::next_deadline(std::size_t console) const {
    return console == 0 ? due_ : sim::kNever;
}

std::optional<std::uint8_t> CombinedInput::next(std::size_t console, sim::Time now) {
    for (ConsoleInput* source : sources_)
        if (const auto byte = source->next(console, now)) return byte;
    return std::nullopt;
}

sim::Time CombinedInput::next_deadline(std::size_t console) const {
    sim::Time earliest = sim::kNever;
    for (const ConsoleInput* source : sources_)
        earliest = std::min(earliest, source->next_deadline(console));
    return earliest;
}

}  // namespace hvsim::app
