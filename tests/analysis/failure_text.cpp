#include "analysis/failure_text.h"

#include <doctest/doctest.h>

#include <array>

using namespace hvsim;
using sim::EventKind;

TEST_CASE("a model's bug is told with its time and the events before it") {
    sim::TraceNames names;
    names.add(EventKind::kVmExit, 0, 10, "cpuid");
    CHECK(analysis::failure_text("model invariant broken: x (y.cpp:1)", 5, {}, names) ==
          "model invariant broken: x (y.cpp:1), at 0.000000000005 s of virtual time");

    const std::array<sim::Event, 2> events{
        {{sim::kSecond, EventKind::kVmExit, {0, 2, 1}, {10, 0, 0x1000, 0}},
         {sim::kSecond + sim::kMicrosecond, EventKind::kPartitionState, {0, 2}, {3, 0, 0, 0}}}};
    const std::string text = analysis::failure_text("broken", 2 * sim::kSecond, events, names);
    CHECK(text.starts_with("broken, at 2.000000000000 s of virtual time; the last events were:\n"));
    CHECK(text.find(" lp0   p2  vp1  vm_exit ") != std::string::npos);
    CHECK(text.find("reason=cpuid qualification=0x0 rip=0x1000") != std::string::npos);
    CHECK(text.ends_with("state=0x3"));
}
