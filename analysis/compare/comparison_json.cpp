#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "analysis/compare/comparison.h"

namespace hvsim::analysis {
namespace {

using Json = nlohmann::ordered_json;

Json run_json(const RunRecord& run) {
    Json object{
        {"file", run.file}, {"scenario", run.scenario}, {"program_version", run.program_version}};
    if (!run.end.empty()) object["end"] = run.end;
    if (!run.digest.empty()) object["digest"] = run.digest;
    return object;
}

Json event_json(const sim::Event& event) {
    const sim::EventDescription& row = sim::describe(event.kind);
    Json arguments = Json::object();
    for (std::size_t i = 0; i < 4; ++i)
        if (!row.arguments[i].empty())
            arguments[std::string(row.arguments[i])] = event.arguments[i];
    const auto unit = [](std::uint16_t number) {
        return number == sim::kNoUnit ? Json(nullptr) : Json(number);
    };
    return {{"time_ps", event.time},        {"event", row.name},
            {"lp", unit(event.subject.lp)}, {"partition", unit(event.subject.partition)},
            {"vp", unit(event.subject.vp)}, {"arguments", arguments}};
}

Json point_json(const TracePoint& point) {
    Json object = Json::object();
    object["event"] = point.event ? event_json(*point.event) : Json(nullptr);
    object["lines"] = point.events;
    return object;
}

Json state_json(const ReplayedState& state) {
    Json object{{"matches", state.matches}, {"problem", state.problem}};
    object["processors"] = Json::array();
    for (const ProcessorState& processor : state.processors) {
        Json registers = Json::object();
        for (const auto& [name, value] : processor.registers) registers[name] = value;
        object["processors"].push_back(
            {{"name", processor.name}, {"registers", registers}, {"code", processor.code}});
    }
    return object;
}

Json first_json(const Comparison& comparison) {
    const TraceDifference& traces = *comparison.traces;
    Json first{{"number", traces.common + 1}, {"time_ps", traces.time()},
               {"before", traces.before},     {"a", point_json(traces.a)},
               {"b", point_json(traces.b)},   {"consoles", traces.consoles}};
    first["states"] = Json::array();
    for (const ReplayedState& state : comparison.states)
        first["states"].push_back(state_json(state));
    return first;
}

}  // namespace

std::string comparison_json(const Comparison& comparison) {
    Json root{{"format", "hvsim-diff"},
              {"format_version", 1},
              {"result", to_string(comparison.result)},
              {"a", run_json(comparison.a)},
              {"b", run_json(comparison.b)},
              {"not_comparable", comparison.reasons}};
    if (comparison.difference.interval) root["millisecond"] = *comparison.difference.interval;
    if (comparison.traces && comparison.traces->parted)
        root["first_event"] = first_json(comparison);
    root["statistics"] = Json::array();
    for (const NumberDifference& number : comparison.difference.numbers)
        root["statistics"].push_back({{"name", number.name},
                                      {"unit", number.unit},
                                      {"a", number.a},
                                      {"b", number.b},
                                      {"absolute", absolute_text(number)},
                                      {"relative", relative_text(number)}});
    // Names may come from a guest: bytes that are not UTF-8 are replaced, never an exception.
    return root.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace hvsim::analysis
