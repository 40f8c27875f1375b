#include "analysis/report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "analysis/quantity_text.h"
#include "analysis/tally.h"

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;

namespace {

sim::TraceNames test_names() {
    sim::TraceNames names;
    names.add(EventKind::kVmExit, 0, 10, "CPUID");
    names.add(EventKind::kVmExit, 0, 12, "HLT");
    names.add(EventKind::kHypercall, 0, 0x5c, "HvCallPostMessage");
    names.add(EventKind::kVmbusMessage, 0, 1, "OfferChannel");
    names.add(EventKind::kVpRun, 1, 2, "halted");
    names.add(EventKind::kInterruptAccepted, 1, 6, "SynIC");
    names.add(EventKind::kException, 0, 14, "#PF");
    names.add(EventKind::kScsiRequest, 1, 0x28, "READ(10)");
    return names;
}

RunResult small_result() {
    Tally tally(test_names());
    sim::Recorder recorder;
    recorder.set_sink(&tally, sim::EventLevel::walk);
    const sim::Subject vp0{0, 2, 0}, vp1{1, 2, 1};
    recorder.record(EventKind::kVmExit, 1000, vp0, 10);
    recorder.record(EventKind::kVmExit, 1500, vp1, 12);
    recorder.record(EventKind::kVmEntry, 3000, vp0);
    recorder.record(EventKind::kVmExit, 5000, vp0, 10);
    recorder.record(EventKind::kVmEntry, 6000, vp0);
    // The hypervisor worked 250 ps until it took vp1 off the processor, and 500 ps to get it back.
    recorder.record(EventKind::kVpRun, 1750, vp1, 0, 2, 900);
    recorder.record(EventKind::kVpRun, 1'001'000, vp1, 1, 0, 40);
    recorder.record(EventKind::kVmEntry, 1'001'500, vp1);
    recorder.record(EventKind::kVmExit, 2'000'000, vp0, 48);  // still outside at the end
    recorder.record(EventKind::kHypercall, 5500, vp0, 0x5c, 0, 0, 0);
    recorder.record(EventKind::kHypercall, 5500, vp0, 0x5c, 0, 5, 0);
    recorder.record(EventKind::kInterrupt, 7000, vp0, 0xf3, 1);
    recorder.record(EventKind::kInterruptAccepted, 7000, vp0, 0xf3, 6);
    recorder.record(EventKind::kInterruptAccepted, 7000, {0, sim::kNoUnit, sim::kNoUnit}, 0x50, 5);
    recorder.record(EventKind::kIpi, 7000, vp0, 0xfb, 0, 1);
    recorder.record(EventKind::kException, 7000, vp0, 14, 2, 0xffff, 0x1000);
    recorder.record(EventKind::kVmbusMessage, 7000, vp0, 1, 0, 1, 196);
    recorder.record(EventKind::kVmbusPacket, 8000, vp0, 4, 77, 64, 0);
    recorder.record(EventKind::kVmbusPacket, 9000, vp0, 4, 77, 4096, 1);
    recorder.record(EventKind::kVmbusSignal, 9000, vp0, 4, 1);
    recorder.record(EventKind::kScsiRequest, 10'000, vp0, 77, 0x28, 0, 4096);
    recorder.record(EventKind::kScsiComplete, 90'000'000, vp0, 77, 1, 0, 4096);
    recorder.record(EventKind::kScsiComplete, 90'000'001, vp0, 78, 1, 0, 4096);  // no request
    recorder.record(EventKind::kTlbFill, 90'000'002, vp0);
    RunResult result;
    result.scenario = "scenarios/test.toml";
    result.program_version = "0.1.0";
    result.machine = {{"host", "1 processor"}};
    result.end = "deadline";
    result.unmet = {"the console never showed \"x\""};
    result.virtual_time = 12 * sim::kSecond + 5;
    result.wall_ns = 6'000'000'000;
    result.code_bytes = 30'000'000'000;
    result.instructions = 10'000'000'000;
    result.quantum = 10 * sim::kMicrosecond;
    result.greatest_overshoot = 1234;
    tally.add_to(result);
    StatisticsList statistics;
    statistics.add("disk.reads", 12345, "count", "read commands");
    statistics.add("disk.errors", 0, "count", "zero: in the JSON only");
    statistics.add("hv.slices", 7, "count", "time slices");
    statistics.add("disk.read_bytes", 3 << 20, "bytes", "bytes read");
    result.statistics = std::move(statistics.items);
    result.digest = "00112233445566778899aabbccddeeff";
    return result;
}

constexpr const char* kGolden = R"(hvsim 0.1.0: scenarios/test.toml
  host          1 processor
  end           deadline
  expectations  not met
                the console never showed "x"

Time and speed
  virtual time     12.000000000005 s
  wall time        6.000 s
  slowdown         0.499
  code bytes       30,000,000,000
  instructions     10,000,000,000
  speed            5000.00 MB code/s, 1666.66 MIPS
  quantum          10.00 us
  timer overshoot  at most 1.234 ns

VM exits
  reason  count  in hypervisor      mean  until re-entry
  all         4       3.750 ns    937 ps        1.003 us
  CPUID       2       3.000 ns  1.500 ns        3.000 ns
  HLT         1         750 ps    750 ps        1.000 us
  0x30        1              0         0               0

Virtual processors
  processor         runs     ran  waited  longest wait
  partition 2 vp 1     1  900 ps   40 ps         40 ps

Why virtual processors stopped
  reason              count
  partition 2 halted      1

Hypercalls
  call               count  failed  repetitions
  HvCallPostMessage      2       1            0

Interrupts sent by devices
  vector and source  count
  0xf3 0x1               1

Interrupts between processors
  vector and mode  count
  0xfb 0x0             1

Interrupts accepted
  by, vector and cause    count
  partition 2 0xf3 SynIC      1
  host 0x50 0x5               1

Exceptions
  in and vector    count
  partition 2 #PF      1

VMBus messages
  type                   count
  OfferChannel to guest      1

VMBus channels
  channel                packets in  packets out  bytes in  bytes out  signals in  signals out
  partition 2 channel 4           1            1      64 B  4.000 KiB           0            1

Translation
  event      count
  TLB fills      1

Latencies
  what                   count     least    median      90 %      99 %  greatest      mean
  SCSI request READ(10)      1  89.99 us  89.99 us  89.99 us  89.99 us  89.99 us  89.99 us

Statistics of disk
  reads          12,345  read commands
  read_bytes  3.000 MiB  bytes read

Statistics of hv
  slices  7  time slices

digest 00112233445566778899aabbccddeeff
)";

}  // namespace

TEST_CASE("the text report is golden") {
    CHECK(text_report(small_result()) == kGolden);
}

TEST_CASE("the JSON report has the same numbers, in a stable order") {
    const std::string text = json_report(small_result());
    CHECK(text.starts_with("{\n  \"format\": \"hvsim-run\",\n  \"format_version\": 2,\n"));
    CHECK(text.ends_with("}\n"));
    const auto json = nlohmann::json::parse(text);
    CHECK(json["result"]["end"] == "deadline");
    CHECK(json["result"]["met"] == false);
    CHECK(json["result"]["unmet"].size() == 1);
    CHECK(json["time"]["virtual_ps"] == 12'000'000'000'005);
    CHECK(json["instructions"] == small_result().instructions);
    CHECK(json["tables"]["vm_exits"][0]["name"] == "all");
    CHECK(json["tables"]["vm_exits"][1]["name"] == "CPUID");
    CHECK(json["tables"]["vm_exits"][1]["cost_ps"] == 3000);
    CHECK(json["tables"]["vm_exits"][2]["mean_cost_ps"] == 750);
    CHECK(json["tables"]["vm_exits"][2]["away_ps"] == 1'000'000);
    CHECK(json["tables"]["vmbus_channels"][0]["bytes_to_guest"] == 4096);
    CHECK(json["distributions"]["scsi.READ(10)"]["p50"] == 89'990'000);
    CHECK(json["statistics"][2]["name"] == "hv.slices");
    CHECK(json["host"]["wall_ns"] == 6'000'000'000);
    CHECK(json_report(small_result()) == text);
}

TEST_CASE("a report of nothing, and of bytes that are no text") {
    RunResult empty;
    CHECK(text_report(empty).find("virtual time     0.000000000000 s") != std::string::npos);
    empty.unmet = {"\xff\xfe"};
    CHECK_NOTHROW(json_report(empty));
}

TEST_CASE("a tally hands events on") {
    struct Sink : sim::EventSink {
        int events = 0;
        void on_event(const sim::Event&) override { ++events; }
    } sink;
    Tally tally({}, &sink);
    tally.on_event({5, EventKind::kConsole, {}, {'x', 0, 0, 0}});
    CHECK(sink.events == 1);
}

TEST_CASE("numbers as text") {
    CHECK(grouped(0) == "0");
    CHECK(grouped(999) == "999");
    CHECK(grouped(1000) == "1,000");
    CHECK(grouped(~std::uint64_t{0}) == "18,446,744,073,709,551,615");
    CHECK(duration_text(0) == "0");
    CHECK(duration_text(999) == "999 ps");
    CHECK(duration_text(1000) == "1.000 ns");
    CHECK(duration_text(12'345'678) == "12.35 us");
    CHECK(duration_text(1234 * sim::kSecond) == "1234 s");
    CHECK(size_text(1023) == "1023 B");
    CHECK(size_text(1024) == "1.000 KiB");
    CHECK(size_text(~std::uint64_t{0}) == "16777216 TiB");
    CHECK(exact_seconds(1'000'000'000'005) == "1.000000000005");
}

TEST_CASE("long tables that only count are cut in the text, not in the JSON") {
    Tally tally({});
    sim::Recorder recorder;
    recorder.set_sink(&tally, sim::EventLevel::event);
    for (unsigned msr = 0; msr < 25; ++msr)
        for (unsigned i = 0; i <= msr; ++i) recorder.record(EventKind::kMsrIntercept, 1, {}, msr);
    RunResult result;
    tally.add_to(result);
    const std::string text = text_report(result);
    CHECK(text.find("\n  0x6           7\n  6 others     21\n") != std::string::npos);
    CHECK(text.find("0x5 ") == std::string::npos);
    const auto json = nlohmann::json::parse(json_report(result));
    CHECK(json["tables"]["msr_intercepts"].size() == 25);
}
