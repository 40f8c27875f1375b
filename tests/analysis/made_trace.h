#pragma once
// A trace made by hand for the tests of exports: one guest, its root partition, one processor.
#include <filesystem>
#include <string>
#include <string_view>

#include "sim/trace_writer.h"

namespace hvsim::analysis::made {

inline constexpr sim::Subject kRoot{0, 1, 0}, kGuest{0, 2, 0};
inline constexpr sim::Subject kChannel{sim::kNoUnit, 2, 0};
inline constexpr sim::Subject kStorage{sim::kNoUnit, 2, sim::kNoUnit};

inline std::filesystem::path scratch(const std::string& name) {
    return std::filesystem::path(HVSIM_BINARY_DIR) / name;
}

inline sim::TraceInfo info() {
    using sim::EventKind;
    sim::TraceInfo info;
    info.scenario = "made.toml";
    info.program_version = "0.0";
    info.names.add(EventKind::kVmExit, 0, 18, "vmcall");
    info.names.add(EventKind::kVmExit, 0, 12, "hlt");
    info.names.add(EventKind::kVmExit, 0, 30, "io_instruction");
    info.names.add(EventKind::kHypercall, 0, 0x5d, "HvCallSignalEvent");
    info.names.add(EventKind::kIoIntercept, 0, 0x3f8, "COM1.data");
    info.names.add(EventKind::kScsiRequest, 1, 0x28, "READ(10)");
    info.names.add(EventKind::kDiskRequest, 1, 2, "Read");
    info.names.add(EventKind::kInterruptAccepted, 1, 6, "SynIC");
    info.names.add(EventKind::kPowerState, 1, 0, "linux");
    return info;
}

class Maker {
  public:
    explicit Maker(const std::filesystem::path& path) : writer_(path, info()) {}

    void event(sim::Time time, sim::EventKind kind, sim::Subject subject, std::uint64_t a = 0,
               std::uint64_t b = 0, std::uint64_t c = 0, std::uint64_t d = 0) {
        writer_.on_event({time, kind, subject, {a, b, c, d}});
        ++events_;
    }
    void line(sim::Time time, std::string_view text) {
        for (const char c : text)
            event(time++, sim::EventKind::kConsole, kStorage, static_cast<std::uint8_t>(c));
        event(time, sim::EventKind::kConsole, kStorage, '\n');
    }
    void signal(sim::Time time, sim::Subject caller, sim::Subject receiver) {
        using sim::EventKind;
        event(time, EventKind::kVmExit, caller, 18, 0, 0xffffffff81000000);
        event(time + 20 * sim::kNanosecond, EventKind::kSynicEvent, receiver, 3, 0, 0x2001);
        event(time + 20 * sim::kNanosecond, EventKind::kHypercall, caller, 0x5d);
    }
    /// A whole disk request of the guest; takes 9,500 ns.
    void request(sim::Time time, std::uint64_t transaction) {
        using sim::EventKind;
        const std::uint64_t command = 65536 + transaction % 4;
        signal(time, kGuest, kRoot);
        event(time + 1000 * sim::kNanosecond, EventKind::kVpRun, kGuest, 0, 7, 500);
        event(time + 1100 * sim::kNanosecond, EventKind::kVpRun, kRoot, 1, 0, 0);
        event(time + 1500 * sim::kNanosecond, EventKind::kVmEntry, kRoot);
        event(time + 2000 * sim::kNanosecond, EventKind::kVmbusSignal, kChannel, 1, 0);
        event(time + 2200 * sim::kNanosecond, EventKind::kVmbusPacket, kChannel, 1, transaction,
              616, 0);
        event(time + 2200 * sim::kNanosecond, EventKind::kScsiRequest, kStorage, transaction, 0x28,
              64, 4096);
        event(time + 2300 * sim::kNanosecond, EventKind::kDiskIssue, kStorage, transaction,
              command);
        event(time + 2400 * sim::kNanosecond, EventKind::kDiskRequest, {}, command, 2, 64, 8);
        event(time + 5000 * sim::kNanosecond, EventKind::kDiskTransfer, {}, command, 4096, 1000);
        event(time + 6000 * sim::kNanosecond, EventKind::kDiskComplete, {}, command, 0, 3600);
        event(time + 6500 * sim::kNanosecond, EventKind::kInterrupt, {}, 0x50, 0x20);
        event(time + 7000 * sim::kNanosecond, EventKind::kScsiComplete, kStorage, transaction, 1, 0,
              4096);
        event(time + 7500 * sim::kNanosecond, EventKind::kVmbusPacket, kChannel, 1, transaction, 88,
              1);
        signal(time + 7600 * sim::kNanosecond, kRoot, kGuest);
        event(time + 7800 * sim::kNanosecond, EventKind::kVmbusSignal, kChannel, 1, 1);
        event(time + 8000 * sim::kNanosecond, EventKind::kVmEntry, kRoot);
        event(time + 8200 * sim::kNanosecond, EventKind::kVmExit, kRoot, 12);
        event(time + 8400 * sim::kNanosecond, EventKind::kVpRun, kRoot, 0, 2, 7300);
        event(time + 8500 * sim::kNanosecond, EventKind::kVpRun, kGuest, 1, 1,
              7500 * sim::kNanosecond);
        event(time + 9000 * sim::kNanosecond, EventKind::kInterruptAccepted, kGuest, 0xf3, 6);
        event(time + 9500 * sim::kNanosecond, EventKind::kVmEntry, kGuest, 0x800000f3);
    }
    void samples(sim::Time time, std::uint64_t instructions, std::uint64_t walks) {
        event(time, sim::EventKind::kProcessorSample, kGuest, instructions, 4 * instructions, walks,
              4 * walks);
        event(time, sim::EventKind::kIommuSample, {}, walks, walks / 2, walks, walks * 2);
    }
    void finish() {
        writer_.set_result(R"({"statistics": [{"name": "disk.reads", "value": 3,
            "unit": "count", "description": "read commands"}, "no row"]})");
        writer_.finish();
    }
    std::uint64_t events() const { return events_; }

  private:
    sim::TraceWriter writer_;
    std::uint64_t events_ = 0;
};

/// Two requests that overlap nothing, console lines, samples.
inline std::filesystem::path small(const std::string& name) {
    using sim::EventKind;
    const std::filesystem::path path = scratch(name);
    Maker made(path);
    made.samples(500, 0, 0);
    made.event(1000, EventKind::kVmEntry, kGuest);
    made.event(2001, EventKind::kVmExit, kGuest, 30, 0, 0x1000);
    made.event(2500, EventKind::kIoIntercept, kGuest, 0x3f8, 'x', 1, 1);
    made.event(3001, EventKind::kVmEntry, kGuest);
    made.line(4000, "Linux \"says\" <\xff>, hello");
    made.request(10 * sim::kMicrosecond, 0xa1);
    made.request(30 * sim::kMicrosecond, 0xa2);
    made.samples(50 * sim::kMicrosecond + 500, 1'000'000, 1000);
    made.finish();
    return path;
}

}  // namespace hvsim::analysis::made
