#include "analysis/timeline/timeline.h"

#include <doctest/doctest.h>

#include "analysis/timeline/argument.h"

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;
using sim::kNever;

namespace {

constexpr std::uint64_t kSignalEvent = 0x5d;
constexpr sim::Subject kRoot{0, 1, 0};
constexpr sim::Subject kGuest{0, 2, 0};
constexpr sim::Subject kChannel{sim::kNoUnit, 2, 0};

/// Keeps what a timeline finds.
struct Found : TimelineListener {
    void on_event(const sim::Event&) override { ++events; }
    void on_processor(const ProcessorSpan& span) override { processors.push_back(span); }
    void on_exit(const ExitSpan& span) override { exits.push_back(span); }
    void on_command(const DiskCommand& command) override { commands.push_back(command); }
    void on_request(const ChannelRequest& request) override { requests.push_back(request); }
    void on_console_line(const ConsoleLine& line) override { lines.push_back(line); }
    void on_depth(const QueueDepth& depth) override { depths.push_back(depth); }

    unsigned events = 0;
    std::vector<ProcessorSpan> processors;
    std::vector<ExitSpan> exits;
    std::vector<DiskCommand> commands;
    std::vector<ChannelRequest> requests;
    std::vector<ConsoleLine> lines;
    std::vector<QueueDepth> depths;
};

struct Bench {
    Found found;
    Timeline timeline{found};

    void event(sim::Time time, EventKind kind, sim::Subject subject, std::uint64_t a = 0,
               std::uint64_t b = 0, std::uint64_t c = 0, std::uint64_t d = 0) {
        timeline.on_event({time, kind, subject, {a, b, c, d}});
    }
    void console(std::string_view text, sim::Time time, sim::Subject subject = kGuest) {
        for (const char c : text)
            event(time++, EventKind::kConsole, subject, static_cast<std::uint8_t>(c));
    }
    /// A signal by hypercall, from its exit on.
    void signal(sim::Time time, sim::Subject caller, sim::Subject receiver) {
        event(time, EventKind::kVmExit, caller, 18);
        event(time + 2, EventKind::kSynicEvent, receiver, 3, 0, 0x2001);
        event(time + 2, EventKind::kHypercall, caller, kSignalEvent);
    }
};

}  // namespace

TEST_CASE("arguments are found by their names") {
    static_assert(argument_index(EventKind::kVmExit, "reason") == 0);
    static_assert(argument_index(EventKind::kVmExit, "guest_physical") == 3);
    const sim::Event event{0, EventKind::kVmbusPacket, {}, {1, 2, 3, 4}};
    CHECK(argument<EventKind::kVmbusPacket, "transaction">(event) == 2);
    CHECK(argument<EventKind::kVmbusPacket, "to_guest">(event) == 4);
}

TEST_CASE("an exit ends with the entry; waiting for another virtual processor costs nothing") {
    Bench b;
    b.event(100, EventKind::kVmEntry, kGuest);
    b.event(200, EventKind::kVmExit, kGuest, 30, 1, 0xabc, 7);
    b.event(210, EventKind::kIoIntercept, kGuest, 0x3f8, 'A', 1, 1);
    b.event(220, EventKind::kVpRun, kGuest, 0, 4, 120);
    b.event(230, EventKind::kVpRun, kRoot, 1, 0, 10);
    b.event(235, EventKind::kVmEntry, kRoot);
    b.event(280, EventKind::kVmExit, kRoot, 12);
    b.event(285, EventKind::kVpRun, kRoot, 0, 2, 55);
    b.event(300, EventKind::kVpRun, kGuest, 1, 0, 15);
    b.event(310, EventKind::kVmEntry, kGuest);
    b.event(400, EventKind::kVmExit, kGuest, 10);
    b.timeline.finish();

    REQUIRE(b.found.exits.size() == 3);
    const ExitSpan& exit = b.found.exits[0];
    CHECK(exit.subject.partition == 2);
    CHECK(exit.reason == 30);
    CHECK(exit.rip == 0xabc);
    CHECK(exit.begin == 200);
    CHECK(exit.end == 310);
    CHECK(exit.cost == 20 + 10);
    CHECK(exit.intercept == EventKind::kIoIntercept);
    CHECK(exit.number == 0x3f8);
    // Open at the end of the trace: the root's halt and the guest's last exit.
    CHECK(b.found.exits[1].end == kNever);
    CHECK(b.found.exits[2].end == kNever);

    struct Expected {
        ProcessorMode mode;
        std::uint16_t partition;
        sim::Time begin, end;
    };
    const Expected expected[] = {
        {ProcessorMode::guest, 2, 100, 200},
        {ProcessorMode::hypervisor, 2, 200, 220},
        {ProcessorMode::switching, sim::kNoUnit, 220, 230},
        {ProcessorMode::switching, sim::kNoUnit, 230, 235},
        {ProcessorMode::guest, 1, 235, 280},
        {ProcessorMode::hypervisor, 1, 280, 285},
        {ProcessorMode::switching, sim::kNoUnit, 285, 300},
        {ProcessorMode::switching, sim::kNoUnit, 300, 310},
        {ProcessorMode::guest, 2, 310, 400},
    };
    REQUIRE(b.found.processors.size() == std::size(expected));
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        CAPTURE(i);
        const ProcessorSpan& span = b.found.processors[i];
        CHECK(span.lp == 0);
        CHECK(span.mode == expected[i].mode);
        CHECK(span.runs.partition == expected[i].partition);
        CHECK(span.begin == expected[i].begin);
        CHECK(span.end == expected[i].end);
    }
    CHECK(b.found.events == 11);
}

TEST_CASE("a processor is idle from a stop until somebody could run") {
    Bench b;
    b.event(100, EventKind::kVmEntry, kGuest);
    b.event(200, EventKind::kVmExit, kGuest, 12);
    b.event(210, EventKind::kVpRun, kGuest, 0, 2, 110);
    b.event(900, EventKind::kVpRun, kGuest, 1, 0, 30);
    b.event(940, EventKind::kVmEntry, kGuest);
    b.event(950, EventKind::kVmExit, kGuest, 12);
    b.timeline.finish();
    REQUIRE(b.found.processors.size() == 6);
    const ProcessorSpan& idle = b.found.processors[2];
    CHECK(idle.mode == ProcessorMode::idle);
    CHECK(idle.begin == 210);
    CHECK(idle.end == 870);
    const ProcessorSpan& switching = b.found.processors[3];
    CHECK(switching.mode == ProcessorMode::switching);
    CHECK(switching.begin == 870);
    CHECK(switching.end == 900);
}

TEST_CASE("spans of a processor do not overlap where another one's events step back") {
    Bench b;
    b.event(100, EventKind::kVmEntry, kGuest);
    b.event(90, EventKind::kVmExit, kGuest, 1);
    b.event(120, EventKind::kVmEntry, kGuest);
    b.timeline.finish();
    REQUIRE(b.found.processors.size() == 1);
    CHECK(b.found.processors[0].mode == ProcessorMode::hypervisor);
    CHECK(b.found.processors[0].begin == 100);
    CHECK(b.found.processors[0].end == 120);
}

TEST_CASE("a disk request from the guest's signal to its interrupt") {
    Bench b;
    b.signal(100, kGuest, kRoot);
    b.event(120, EventKind::kVmbusSignal, kChannel, 1, 0);
    b.event(130, EventKind::kVmbusPacket, kChannel, 1, 0xa1, 616, 0);
    b.event(130, EventKind::kScsiRequest, {sim::kNoUnit, 2, sim::kNoUnit}, 0xa1, 0x28, 64, 4096);
    b.event(135, EventKind::kDiskIssue, {sim::kNoUnit, 2, sim::kNoUnit}, 0xa1, 65536);
    b.event(140, EventKind::kDiskRequest, {}, 65536, 2, 64, 8);
    b.event(150, EventKind::kVmEntry, kGuest);
    b.event(290, EventKind::kDiskTransfer, {}, 65536, 4096, 10);
    b.event(300, EventKind::kDiskComplete, {}, 65536, 0, 160);
    b.event(310, EventKind::kInterrupt, {}, 0x50, 0x10);
    b.event(330, EventKind::kScsiComplete, {sim::kNoUnit, 2, sim::kNoUnit}, 0xa1, 1, 0, 4096);
    b.event(340, EventKind::kVmbusPacket, kChannel, 1, 0xa1, 88, 1);
    b.signal(340, kRoot, kGuest);
    b.event(345, EventKind::kVmbusSignal, kChannel, 1, 1);
    b.event(350, EventKind::kInterruptAccepted, {0, 2, 1}, 0xf3, 6);  // another processor
    b.event(351, EventKind::kInterruptAccepted, kGuest, 0xed, 7);     // another cause
    CHECK(b.found.requests.empty());
    b.event(360, EventKind::kInterruptAccepted, kGuest, 0xf3, 6);

    REQUIRE(b.found.requests.size() == 1);
    const ChannelRequest& request = b.found.requests[0];
    CHECK(request.complete());
    CHECK(request.partition == 2);
    CHECK(request.relid == 1);
    CHECK(request.transaction == 0xa1);
    CHECK(request.packet_bytes == 616);
    CHECK(request.answer_bytes == 88);
    CHECK(request.scsi);
    CHECK(request.operation == 0x28);
    CHECK(request.lba == 64);
    CHECK(request.transferred == 4096);
    CHECK(request.begin() == 100);
    CHECK(request.noticed == 120);
    CHECK(request.taken == 130);
    CHECK(request.provider_begin == 130);
    CHECK(request.provider_end == 330);
    CHECK(request.answered == 340);
    CHECK(request.answer_signalled == 345);
    CHECK(request.end() == 360);
    CHECK(request.commands == 1);
    CHECK(request.disk_taken == 140);
    CHECK(request.disk_transfer == 290);
    CHECK(request.disk_completed == 300);
    CHECK(request.disk_interrupt == 310);
    REQUIRE(b.found.exits.size() == 1);
    CHECK(b.found.exits[0].signal == request.signal);
    b.timeline.finish();
    CHECK(b.found.requests.size() == 1);
    REQUIRE(b.found.exits.size() == 2);
    CHECK(b.found.exits[1].signal == request.answer_signal);
    CHECK(request.answer_signal != request.signal);

    REQUIRE(b.found.commands.size() == 1);
    CHECK(b.found.commands[0].taken == 140);
    CHECK(b.found.commands[0].completed == 300);
    CHECK(b.found.commands[0].interrupt == 310);
    CHECK(b.found.commands[0].blocks == 8);
    CHECK(b.found.commands[0].issued == 135);
    CHECK(b.found.commands[0].transfer == 290);
    CHECK(b.found.commands[0].bytes == 4096);
    CHECK(b.found.commands[0].request == request.number);

    REQUIRE(b.found.depths.size() == 4);
    CHECK(b.found.depths[0].partition == 2);
    CHECK(b.found.depths[0].open == 1);
    CHECK(b.found.depths[1].partition == sim::kNoUnit);
    CHECK(b.found.depths[1].open == 1);
    CHECK(b.found.depths[2].open == 0);
    CHECK(b.found.depths[3].partition == 2);
    CHECK(b.found.depths[3].open == 0);
}

TEST_CASE("commands belong to the requests that they are for") {
    Bench b;
    constexpr sim::Subject kStorage{sim::kNoUnit, 2, sim::kNoUnit};
    b.event(10, EventKind::kDiskRequest, {}, 65535, 2, 0, 8);  // of nobody that the trace names
    b.event(20, EventKind::kVmbusPacket, kChannel, 1, 0xa1, 100, 0);
    b.event(20, EventKind::kScsiRequest, kStorage, 0xa1, 0x28, 0, 8192);
    b.event(30, EventKind::kDiskIssue, kStorage, 0xa1, 65536);
    b.event(31, EventKind::kDiskIssue, kStorage, 0xa1, 65537);
    b.event(32, EventKind::kDiskIssue, kStorage, 0xdead, 65538);  // such a request is not open
    b.event(40, EventKind::kDiskRequest, {}, 65536, 2, 0, 8);
    b.event(41, EventKind::kDiskRequest, {}, 65537, 2, 8, 8);
    b.event(42, EventKind::kDiskRequest, {}, 65538, 2, 8, 8);
    b.event(50, EventKind::kDiskComplete, {}, 65537, 0, 9);
    b.event(51, EventKind::kInterrupt, {}, 0x50, 0x10);
    b.event(60, EventKind::kDiskTransfer, {}, 65536, 4096, 10);
    b.event(70, EventKind::kDiskComplete, {}, 65536, 0, 30);
    b.event(75, EventKind::kScsiComplete, kStorage, 0xa1, 1, 0, 8192);  // before any interrupt
    b.event(80, EventKind::kVmbusPacket, kChannel, 1, 0xa1, 100, 1);
    b.timeline.finish();
    REQUIRE(b.found.requests.size() == 1);
    const ChannelRequest& request = b.found.requests[0];
    CHECK(request.commands == 2);
    CHECK(request.disk_taken == 40);
    CHECK(request.disk_transfer == 60);
    CHECK(request.disk_completed == 70);
    CHECK(request.disk_interrupt == kNever);
    REQUIRE(b.found.commands.size() == 4);
    for (const DiskCommand& command : b.found.commands)
        CHECK(command.request ==
              (command.command_id == 65536 || command.command_id == 65537 ? request.number : 0));
}

TEST_CASE("requests without signals, in another order, and one that is never answered") {
    Bench b;
    b.event(10, EventKind::kVmbusPacket, kChannel, 1, 1, 100, 0);
    b.event(20, EventKind::kVmbusPacket, kChannel, 1, 2, 100, 0);
    b.event(30, EventKind::kVmbusPacket, kChannel, 1, 3, 100, 0);
    b.event(40, EventKind::kVmbusPacket, kChannel, 1, 99, 100, 1);  // answers nothing
    b.event(50, EventKind::kVmbusPacket, kChannel, 1, 2, 100, 1);
    b.event(60, EventKind::kVmbusPacket, kChannel, 1, 1, 100, 1);
    b.timeline.finish();
    REQUIRE(b.found.requests.size() == 3);
    CHECK(b.found.requests[0].transaction == 2);
    CHECK(b.found.requests[0].begin() == 20);
    CHECK(b.found.requests[0].end() == 50);
    CHECK(b.found.requests[1].transaction == 1);
    CHECK(b.found.requests[2].transaction == 3);
    CHECK_FALSE(b.found.requests[2].complete());
    CHECK(b.found.requests[2].end() == 30);
}

TEST_CASE("a guest that is never answered does not fill memory") {
    Bench b;
    for (sim::Time i = 0; i < 5000; ++i)
        b.event(i, EventKind::kVmbusPacket, kChannel, 1, i, 100, 0);
    CHECK(b.found.requests.size() == 5000 - 4096);
    b.timeline.finish();
    CHECK(b.found.requests.size() == 5000);
}

TEST_CASE("console lines, without escape sequences") {
    Bench b;
    b.console("\x1b[2J\x1b[1;31mred\x1b[0m and\r\n", 100);
    b.console("other", 200, {sim::kNoUnit, 3, sim::kNoUnit});
    b.console("\nmore", 300);
    b.console(std::string(5000, 'x'), 1000, kRoot);
    b.timeline.finish();
    REQUIRE(b.found.lines.size() == 5);
    CHECK(b.found.lines[0].text == "red and");
    CHECK(b.found.lines[0].begin == 111);
    CHECK(b.found.lines[0].end == 121);
    CHECK(b.found.lines[0].subject.partition == 2);
    CHECK(b.found.lines[1].text.size() == 4096);
    CHECK(b.found.lines[2].text.size() == 5000 - 4096);
    CHECK(b.found.lines[3].text == "more");
    CHECK(b.found.lines[4].text == "other");
}
