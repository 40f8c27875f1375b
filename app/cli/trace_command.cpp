#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "analysis/quantity_text.h"
#include "analysis/trace_text.h"
#include "app/cli/program.h"
#include "app/scenario/nearest.h"
#include "app/scenario/quantity.h"
#include "cpu/disassembly.h"
#include "sim/error.h"
#include "sim/trace_reader.h"

namespace hvsim::app {
namespace {

sim::Time time_option(const char* option, const std::string& text, sim::Time fallback) {
    if (text.empty()) return fallback;
    const auto time = parse_duration(text);
    if (!time)
        throw sim::ConfigError(fmt::format(
            "{}: expected a virtual time such as \"1.5 s\", found \"{}\"", option, text));
    return *time;
}

std::optional<std::uint16_t> number_option(int value) {
    if (value < 0) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

std::uint8_t kind_called(const std::string& name, const sim::TraceInfo& info) {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < info.events.size(); ++i) {
        if (info.events[i].name == name) return static_cast<std::uint8_t>(i);
        names.push_back(info.events[i].name);
    }
    const std::string_view near = nearest(name, names);
    throw sim::ConfigError(fmt::format("the trace has no event kind \"{}\"", name),
                           near.empty() ? fmt::format("it has {}", fmt::join(names, ", "))
                                        : fmt::format("did you mean \"{}\"?", near));
}

analysis::TraceFilter filter_of(const TraceArguments& arguments, const sim::TraceInfo& info) {
    analysis::TraceFilter filter;
    filter.from = time_option("--from", arguments.from, 0);
    filter.to = time_option("--to", arguments.to, sim::kNever);
    filter.partition = number_option(arguments.partition);
    filter.vp = number_option(arguments.vp);
    filter.lp = number_option(arguments.lp);
    for (const std::string& name : arguments.kinds) filter.kinds.insert(kind_called(name, info));
    return filter;
}

void print_summary(const sim::TraceInfo& info, const std::vector<std::uint64_t>& counts,
                   std::ostream& out) {
    std::size_t width = 0;
    for (const auto& row : info.events) width = std::max(width, row.name.size());
    for (std::size_t i = 0; i < counts.size(); ++i)
        if (counts[i] != 0)
            out << fmt::format("{:<{}} {:>15}\n", info.events[i].name, width,
                               analysis::grouped(counts[i]));
}

}  // namespace

int trace_command(const TraceArguments& arguments, const Surroundings& surroundings) {
    auto opened = sim::TraceReader::open(arguments.file);
    if (const auto* problem = std::get_if<sim::TraceProblem>(&opened))
        throw sim::ConfigError(
            fmt::format("{} {}", arguments.file.string(), sim::to_string(*problem)));
    sim::TraceReader& reader = std::get<sim::TraceReader>(opened);
    const analysis::TraceFilter filter = filter_of(arguments, reader.info());
    reader.limit_to(filter.from, filter.to);
    analysis::TraceText text(reader.info());
    text.set_disassembler(cpu::disassemble);
    std::vector<std::uint64_t> counts(reader.info().events.size());
    if (!arguments.summary) surroundings.out << text.heading();
    for (std::uint64_t printed = 0; arguments.limit == 0 || printed < arguments.limit;) {
        const auto event = reader.next();
        if (!event) break;
        if (!filter.wants(*event)) continue;
        ++printed;
        ++counts[static_cast<std::size_t>(event->kind)];
        if (!arguments.summary) surroundings.out << text.line(*event, reader.code());
        if (!surroundings.out) return kExitMet;  // nobody reads on
    }
    if (arguments.summary) print_summary(reader.info(), counts, surroundings.out);
    if (reader.status() == sim::TraceStatus::truncated)
        surroundings.err << "hvsim: the trace ends early; this is all there is of it\n";
    if (reader.status() == sim::TraceStatus::damaged) {
        surroundings.err << "hvsim: the trace is damaged behind this\n";
        return kExitConfig;
    }
    return kExitMet;
}

}  // namespace hvsim::app
