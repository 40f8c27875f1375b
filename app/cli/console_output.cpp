#include "app/cli/console_output.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <ostream>

namespace hvsim::app {
namespace {

constexpr std::string_view kFileSink = "file:";

}  // namespace

ConsoleOutput::ConsoleOutput(const Scenario& scenario, std::ostream& out, bool quiet,
                             bool flush_bytes)
    : out_(out), flush_bytes_(flush_bytes) {
    if (scenario.boot) add(scenario.boot->console, "host", quiet, scenario.where("boot.console"));
    for (std::size_t i = 0; i < scenario.vms.size(); ++i)
        add(scenario.vms[i].boot.console, scenario.vms[i].name, quiet,
            scenario.where(fmt::format("vm[{}].console", i)));
}

void ConsoleOutput::add(const std::string& sink, const std::string& name, bool quiet,
                        const sim::SourceLocation& where) {
    Sink& added = sinks_.emplace_back();
    added.name = name;
    added.output = sink == "stdout" && !quiet;
    if (added.output) ++on_output_;
    if (!sink.starts_with(kFileSink)) return;
    const std::string path = sink.substr(kFileSink.size());
    added.file = std::make_unique<std::ofstream>(path, std::ios::binary | std::ios::trunc);
    if (!*added.file)
        throw sim::ConfigError(where,
                               fmt::format("cannot create {}: {}", path, std::strerror(errno)));
}

void ConsoleOutput::on_byte(std::size_t console, std::uint8_t byte) {
    Sink& sink = sinks_.at(console);
    const char c = static_cast<char>(byte);
    if (sink.file) {
        sink.file->put(c);
        if (c == '\n') sink.file->flush();
    }
    if (!sink.output) return;
    if (on_output_ == 1) {
        out_.put(c);
        line_open_ = c != '\n';
        if (c == '\n' || flush_bytes_) out_.flush();
        return;
    }
    if (c != '\n') {
        if (c != '\r') sink.line += c;
        return;
    }
    out_ << sink.name << "| " << sink.line << '\n' << std::flush;
    sink.line.clear();
}

void ConsoleOutput::finish() {
    if (line_open_) out_ << '\n';
    line_open_ = false;
    for (Sink& sink : sinks_) {
        if (sink.output && !sink.line.empty()) out_ << sink.name << "| " << sink.line << '\n';
        sink.line.clear();
    }
    out_.flush();
}

}  // namespace hvsim::app
