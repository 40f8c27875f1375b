#include "analysis/trace_text.h"

#include <doctest/doctest.h>

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;

namespace {

sim::TraceInfo test_info() {
    sim::TraceInfo info;
    info.scenario = "scenarios/test.toml";
    info.program_version = "0.1.0";
    info.names.add(EventKind::kVmExit, 0, 10, "CPUID");
    info.names.add(EventKind::kInterruptAccepted, 1, 1, "local timer");
    info.events = sim::describe_events();
    return info;
}

}  // namespace

TEST_CASE("lines of a trace are golden") {
    const sim::TraceInfo info = test_info();
    TraceText text(info);
    std::string lines = text.heading();
    lines += text.line({sim::kSecond + 5, EventKind::kVmExit, {0, 2, 1}, {10, 0, 0xffff'ffff, 7}});
    lines += text.line({sim::kSecond, EventKind::kDiskComplete, {}, {3, 0, 77'000'000, 0}});
    lines +=
        text.line({2 * sim::kSecond, EventKind::kConsole, {1, 2, sim::kNoUnit}, {'A', 0, 0, 0}});
    lines += text.line({2 * sim::kSecond, EventKind::kConsole, {}, {10, 0, 0, 0}});
    lines += text.line({2 * sim::kSecond,
                        EventKind::kInterruptAccepted,
                        {0, sim::kNoUnit, sim::kNoUnit},
                        {0xd1, 1, 0, 0}});
    CHECK(lines == R"(# scenarios/test.toml (hvsim 0.1.0)
#           time [s]       after [us]   lp part   vp  event                  arguments
      1.000000000005                   lp0   p2  vp1  vm_exit                reason=CPUID qualification=0x0 rip=0xffffffff guest_physical=0x7
      1.000000000000        -0.000005    -    -    -  disk_complete          command_id=3 status=0x0 latency=77.00us
      2.000000000000  +1000000.000000  lp1   p2    -  console                byte='A'
      2.000000000000        +0.000000    -    -    -  console                byte=0xa
      2.000000000000        +0.000000  lp0    -    -  interrupt_accepted     vector=0xd1 cause="local timer"
)");
}

TEST_CASE("a filter") {
    const sim::Event event{100, EventKind::kVmExit, {0, 2, 1}, {}};
    TraceFilter filter;
    CHECK(filter.wants(event));
    filter.from = 100;
    filter.to = 100;
    filter.lp = 0;
    filter.partition = 2;
    filter.vp = 1;
    filter.kinds = {static_cast<std::uint8_t>(EventKind::kVmExit)};
    CHECK(filter.wants(event));
    for (const auto change : {0, 1, 2, 3, 4}) {
        TraceFilter other = filter;
        if (change == 0) other.from = 101;
        if (change == 1) other.to = 99;
        if (change == 2) other.vp = 0;
        if (change == 3) other.partition = sim::kNoUnit;
        if (change == 4) other.kinds = {0};
        CHECK(!other.wants(event));
    }
}
