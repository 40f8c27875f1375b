#include "analysis/compare/trace_side.h"

#include <fmt/format.h>

#include "analysis/compare/report_reader.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\t' ? ' ' : '?';
    return text;
}

}  // namespace

TraceSide::TraceSide(const std::filesystem::path& file)
    : file_(file.string()), source_(file), tally_(source_.names()), consoles_(*this) {}

const std::optional<sim::Event>& TraceSide::next() {
    do {
        current_ = source_.next();
    } while (current_ && sim::describe(current_->kind).level != sim::EventLevel::event);
    return current_;
}

void TraceSide::keep() {
    const sim::Event& event = *current_;
    intervals_.before(event.time, digest_);
    digest_.add(event);
    tally_.on_event(event);
    if (event.kind == sim::EventKind::kConsole && !consoles_over_) consoles_.on_event(event);
    ++kept_;
}

void TraceSide::on_console_line(const ConsoleLine& line) {
    const std::string name = line.subject.partition == sim::kNoUnit
                                 ? std::string("host")
                                 : fmt::format("partition {}", line.subject.partition);
    std::deque<std::string>& lines = lines_[name];
    lines.push_back(printable(line.text));
    if (lines.size() > kConsoleLines) lines.pop_front();
}

std::map<std::string, std::deque<std::string>> TraceSide::console_lines() {
    consoles_.finish();
    consoles_over_ = true;
    return lines_;
}

sim::TraceInfo TraceSide::info() const {
    sim::TraceInfo info;
    info.scenario = source_.info().scenario;
    info.program_version = source_.info().program_version;
    info.start_date = source_.info().start_date;
    info.names = source_.names();
    info.inputs = source_.info().inputs;
    info.events = sim::describe_events();
    return info;
}

RunRecord TraceSide::record() const {
    RunRecord record;
    if (source_.result().empty()) {
        RunResult result;
        tally_.add_to(result);
        record.numbers.numbers = numbers_of(result);
        record.numbers.events_only = true;
    } else {
        record = parse_report(source_.result(), file_);
    }
    record.file = file_;
    record.scenario = source_.info().scenario;
    record.program_version = source_.info().program_version;
    if (!source_.info().inputs.files.empty()) record.inputs = source_.info().inputs;
    record.has_intervals = true;
    record.intervals = intervals_.up_to_now(digest_);
    return record;
}

RunRecord read_trace_record(const std::filesystem::path& file) {
    TraceSide side(file);
    while (side.next()) side.keep();
    if (const std::string end = side.source().end_text(); !end.empty())
        throw sim::ConfigError(fmt::format("{}: {}", file.string(), end),
                               "only whole traces can be held against reports and goldens");
    return side.record();
}

}  // namespace hvsim::analysis
