#include "analysis/timeline/trace_source.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace hvsim::analysis {
namespace {

const char* hint_for(sim::TraceProblem problem) {
    switch (problem) {
        case sim::TraceProblem::foreign:
            return "hvsim run --trace FILE writes such a file";
        case sim::TraceProblem::other_version:
            return "use the hvsim that wrote it, or record it again";
        case sim::TraceProblem::truncated_header:
        case sim::TraceProblem::damaged_header:
            return "nothing of it can be read; record it again";
        case sim::TraceProblem::cannot_open:
            break;
    }
    return "";
}

sim::TraceReader open(const std::filesystem::path& file) {
    auto opened = sim::TraceReader::open(file);
    if (const auto* problem = std::get_if<sim::TraceProblem>(&opened))
        throw sim::ConfigError(fmt::format("{} {}", file.string(), sim::to_string(*problem)),
                               hint_for(*problem));
    return std::move(std::get<sim::TraceReader>(opened));
}

}  // namespace

TraceSource::TraceSource(const std::filesystem::path& file) : reader_(open(file)) {
    map_kinds();
}

void TraceSource::map_kinds() {
    for (const sim::TraceEventDescription& row : info().events) {
        Place& place = places_.emplace_back();
        for (std::size_t kind = 0; kind < sim::kEventTable.size(); ++kind)
            if (sim::kEventTable[kind].name == row.name)
                place.kind = static_cast<std::uint8_t>(kind);
        if (place.kind == kNone) continue;
        known_[place.kind] = true;
        const auto& own = sim::kEventTable[place.kind].arguments;
        for (std::uint8_t i = 0; i < 4; ++i) {
            for (std::uint8_t j = 0; j < 4; ++j)
                if (!own[j].empty() && own[j] == row.arguments[i]) place.arguments[i] = j;
            place.same = place.same && own[i] == row.arguments[i];
        }
    }
    for (const auto& [argument, values] : info().names.tables()) {
        if (argument.kind >= places_.size() || argument.index >= 4) continue;
        const Place& place = places_[argument.kind];
        if (place.kind == kNone || place.arguments[argument.index] == kNone) continue;
        for (const auto& [value, name] : values)
            names_.add({place.kind, place.arguments[argument.index]}, value, name);
    }
}

std::optional<sim::Event> TraceSource::next() {
    for (;;) {
        std::optional<sim::Event> event = reader_.next();
        if (!event) return event;
        const Place& place = places_[static_cast<std::size_t>(event->kind)];
        if (place.kind == kNone) {
            ++unknown_;
            continue;
        }
        ++events_;
        event->kind = static_cast<sim::EventKind>(place.kind);
        if (!place.same) {
            const auto arguments = event->arguments;
            event->arguments = {};
            for (std::size_t i = 0; i < 4; ++i)
                if (place.arguments[i] != kNone)
                    event->arguments[place.arguments[i]] = arguments[i];
        }
        return event;
    }
}

std::string TraceSource::name_of(sim::EventKind kind, unsigned index, std::uint64_t value) const {
    const std::string_view name = names_.find(kind, index, value);
    return name.empty() ? fmt::format("{:#x}", value) : std::string(name);
}

std::string TraceSource::end_text() const {
    switch (status()) {
        case sim::TraceStatus::truncated:
            return fmt::format("the trace ends early, after {} events", events_);
        case sim::TraceStatus::damaged:
            return fmt::format("the trace is damaged behind its first {} events", events_);
        default:
            return {};
    }
}

}  // namespace hvsim::analysis
