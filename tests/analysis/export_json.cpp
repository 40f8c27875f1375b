#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/export/export.h"
#include "made_trace.h"

using namespace hvsim;
using namespace hvsim::analysis;

TEST_CASE("trace events as JSON: processes, threads, slices, flows, counters") {
    using Json = nlohmann::json;
    const auto out = made::scratch("small.json");
    export_trace({.trace = made::small("json.trace"), .chrome_json = out});
    std::ifstream file(out);
    const Json whole = Json::parse(file);
    CHECK(whole.at("otherData").at("scenario") == "made.toml");
    const Json& events = whole.at("traceEvents");
    REQUIRE(events.size() > 100);

    std::map<std::string, std::string> names;  // of processes "p" and threads "p.t"
    std::map<std::string, int> open;
    std::map<int, std::map<double, std::string>> flows;      // steps by time
    std::map<std::string, std::vector<std::string>> slices;  // by thread
    bool counted = false, console = false;
    for (const Json& event : events) {
        const std::string process = std::to_string(event.at("pid").get<int>());
        const std::string thread = process + '.' + std::to_string(event.at("tid").get<int>());
        const std::string phase = event.at("ph");
        if (phase == "M") {
            const std::string what = event.at("name");
            if (what == "process_name") names[process] = event.at("args").at("name");
            if (what == "thread_name") names[thread] = event.at("args").at("name");
            continue;
        }
        const double ps = event.at("ts").get<double>() * 1e6;
        CHECK(std::abs(ps - std::round(ps)) < 1e-3);
        REQUIRE(names.contains(process));
        if (phase == "B") ++open[thread];
        if (phase == "E") CHECK(--open[thread] >= 0);
        if (phase == "X")
            slices[names.at(process) + '/' + names.at(thread)].push_back(
                std::to_string(std::llround(ps)) + ' ' + event.at("name").get<std::string>());
        if (phase == "s" || phase == "t" || phase == "f") flows[event.at("id")][ps] += phase;
        if (phase == "C" && event.at("name") == "VP 0 TLB hit rate") {
            CHECK(event.at("args").at("%").get<double>() == doctest::Approx(99.9));
            counted = true;
        }
        if (phase == "i" && names.at(thread) == "Console") {
            CHECK(event.at("name") == "Linux \"says\" <\xef\xbf\xbd>, hello");
            console = true;
        }
    }
    for (const auto& [thread, count] : open) CHECK(count == 0);
    const auto steps = [&flows](int id) {
        std::string text;
        for (const auto& [time, phases] : flows.at(id)) text += phases;
        return text;
    };
    CHECK(steps(2) == "sttttf");
    CHECK(steps(4) == "stf");
    CHECK(counted);
    CHECK(console);
    // Exact to the picosecond.
    const auto& exits = slices.at("Partition 2: linux/VP 0");
    REQUIRE(exits.size() == 3);
    CHECK(exits[0] == "2001 io_instruction: COM1.data");
    CHECK(exits[1] == "10000000 vmcall: HvCallSignalEvent");
}
