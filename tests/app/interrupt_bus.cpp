// Interrupt messages under way: when they arrive, in which order, and who is told.
#include "app/machine/interrupt_bus.h"

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

using namespace hvsim;
using namespace hvsim::app;
using apic::InterruptSource;

namespace {

constexpr InterruptSource kDevice{InterruptSource::Kind::device, 0x20};
constexpr InterruptSource kIoApic{InterruptSource::Kind::io_apic, 0xf8};
constexpr InterruptSource kProcessor0{InterruptSource::Kind::processor, 0};

struct Bench final : sim::EventSink {
    Bench() {
        recorder.set_sink(this, sim::EventLevel::event);
        std::vector<apic::LocalApic*> pointers;
        for (std::uint32_t id = 0; id < 2; ++id) {
            apic::LocalApicConfig config;
            config.id = id;
            config.bootstrap_processor = id == 0;
            apics.push_back(std::make_unique<apic::LocalApic>(config, bus, bus));
            apics.back()->mmio_write(0xf0, 4, 0x1ff, 0);  // software-enabled
            pointers.push_back(apics.back().get());
        }
        bus.set_apics(pointers);
        bus.on_departure = [this] { ++departures; };
        bus.on_arrival = [this](std::size_t target, sim::Time at) {
            arrivals.emplace_back(target, at);
        };
    }
    void on_event(const sim::Event& event) override { events.push_back(event); }
    void send(std::uint8_t vector, std::uint32_t destination, InterruptSource source,
              sim::Time now) {
        apic::InterruptMessage message;
        message.vector = vector;
        message.destination = destination;
        bus.send(message, source, now);
    }
    bool pending(std::size_t processor, std::uint8_t vector) const {
        return apics[processor]->highest_requested() == vector;
    }

    sim::Recorder recorder;
    InterruptBus bus{recorder, {.ipi = 500, .msi = 300}};
    std::vector<std::unique_ptr<apic::LocalApic>> apics;
    std::vector<std::pair<std::size_t, sim::Time>> arrivals;
    std::vector<sim::Event> events;
    int departures = 0;
};

using Arrivals = std::vector<std::pair<std::size_t, sim::Time>>;

}  // namespace

TEST_CASE("no local APIC knows of a message before it arrives") {
    Bench b;
    CHECK(b.bus.next_deadline() == sim::kNever);
    b.send(0x41, 1, kDevice, 10'000);
    CHECK(b.departures == 1);
    CHECK(b.bus.next_deadline() == 10'300);
    CHECK(b.events.empty());
    b.bus.advance_to(10'299);
    CHECK(!b.apics[1]->highest_requested());
    CHECK(b.arrivals.empty());
    b.bus.advance_to(10'300);
    CHECK(b.pending(1, 0x41));
    CHECK(!b.apics[0]->highest_requested());
    CHECK(b.arrivals == Arrivals{{1, 10'300}});
    REQUIRE(b.events.size() == 1);
    CHECK(b.events[0].kind == sim::EventKind::kInterrupt);
    CHECK(b.events[0].time == 10'300);
    CHECK(b.events[0].arguments == std::array<std::uint64_t, 4>{0x41, 0x20, 0, 0});
    CHECK(b.bus.next_deadline() == sim::kNever);
}

TEST_CASE("messages arrive by their times, those of one time as they were sent") {
    Bench b;
    b.send(0x50, 0, kDevice, 20'000);      // arrives at 20300
    b.send(0x51, 1, kProcessor0, 19'000);  // 19500
    b.send(0x52, 1, kIoApic, 20'000);      // 20300
    b.send(0x53, 0, kDevice, 19'300);      // 19600
    CHECK(b.departures == 4);
    CHECK(b.bus.next_deadline() == 19'500);
    b.bus.advance_to(19'600);
    CHECK(b.arrivals == Arrivals{{1, 19'500}, {0, 19'600}});
    CHECK(b.bus.next_deadline() == 20'300);
    b.bus.advance_to(1'000'000);  // told late, it still knows when
    CHECK(b.arrivals == Arrivals{{1, 19'500}, {0, 19'600}, {0, 20'300}, {1, 20'300}});
    // An interrupt between processors is an event of its sender, others of their arrival.
    REQUIRE(b.events.size() == 4);
    CHECK(b.events[0].kind == sim::EventKind::kIpi);
    CHECK(b.events[0].time == 19'000);
    CHECK(b.events[1].time == 19'600);
    CHECK(b.events[2].time == 20'300);
    CHECK(b.events[3].arguments[1] == 0xf8);
}

TEST_CASE("who takes a message is decided when it arrives") {
    Bench b;
    b.send(0x61, 1, kDevice, 0);
    b.send(0x62, 0xff, kDevice, 0);                    // everybody
    b.apics[1]->mmio_write(0x20, 4, 0x07000000, 100);  // its id is 7 from now on
    b.bus.advance_to(300);
    CHECK(b.arrivals == Arrivals{{0, 300}, {1, 300}});
    CHECK(b.pending(1, 0x62));
    CHECK(b.pending(0, 0x62));
}

TEST_CASE("the I/O APIC's messages go where the route leads, and later by the lookup") {
    struct Sink final : apic::MsiSink {
        void write_msi(apic::MsiMessage, InterruptSource source, sim::Time now) override {
            seen.emplace_back(source.id, now);
        }
        std::vector<std::pair<std::uint32_t, sim::Time>> seen;
    } direct, remapper;
    MsiRoute route(direct);
    apic::IoApic io_apic({.id = 0, .entries = 24, .requester_id = 0xf8}, route);
    IoApicPin pin(io_apic, 4);
    io_apic.mmio_write(0, 4, 0x10 + 8, 0);
    io_apic.mmio_write(0x10, 4, 0x34, 0);  // edge, unmasked, vector 0x34
    pin.set(true, 1000);
    pin.set(false, 1100);
    route.set_sink(remapper, 60);
    pin.set(true, 2000);
    CHECK(direct.seen == decltype(direct.seen){{0xf8, 1000}});
    CHECK(remapper.seen == decltype(direct.seen){{0xf8, 2060}});
}
