#include "app/cli/state_probe.h"

#include <nlohmann/json.hpp>

namespace hvsim::app {

void StateProbe::on_event(const sim::Event& event) {
    next_.on_event(event);
    if (event_ || sim::describe(event.kind).level != sim::EventLevel::event) return;
    if (++events_ < number_) {
        digest_.add(event);
        return;
    }
    event_ = event;
    if (look_ != nullptr && *look_) processors_ = (*look_)();
    stop_();
}

std::string StateProbe::json() const {
    using Json = nlohmann::ordered_json;
    const sim::Event& event = *event_;
    Json root{{"format", "hvsim-state"},
              {"format_version", 1},
              {"event_number", events_},
              {"digest_before", digest_.hex()},
              {"event",
               {{"time_ps", event.time},
                {"event", sim::describe(event.kind).name},
                {"lp", event.subject.lp},
                {"partition", event.subject.partition},
                {"vp", event.subject.vp},
                {"arguments", event.arguments}}},
              {"processors", Json::array()}};
    for (const analysis::ProcessorState& processor : processors_) {
        Json registers = Json::object();
        for (const auto& [name, value] : processor.registers) registers[name] = value;
        root["processors"].push_back(
            {{"name", processor.name}, {"registers", registers}, {"code", processor.code}});
    }
    return root.dump(2) + '\n';
}

}  // namespace hvsim::app
