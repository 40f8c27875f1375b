#include <doctest/doctest.h>

#include "tests/vmbus-model/fake_guest.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;
using spec::PacketType;
using spec::RingField;
using Wrote = GuestRing::Wrote;

namespace {

/// One open channel, relid 1, target VP 1; both rings have `data_pages` pages of data.
struct Bench {
    explicit Bench(std::uint32_t data_pages = 2, std::uint32_t out_offset = 0,
                   std::uint32_t in_offset = 0, ServerConfig config = {})
        : server(platform.environment, std::move(config)),
          ring(platform.memory, 16, 2 * (data_pages + 1), data_pages + 1) {
        ring.start_at(out_offset, in_offset);
        server.offer(0, scsi_offer(), provider);
        REQUIRE(guest.connect(spec::Version::v5_3));
        REQUIRE(guest.request_offers());
        REQUIRE(guest.create_gpadl(1, 50, 16, 2 * (data_pages + 1)) == 0u);
        REQUIRE(guest.open(1, 50, data_pages + 1, 1) == 0u);
        guest.run_to_rest();
    }
    const ChannelStatistics& statistics() { return server.channel(1)->statistics(); }
    RingFault fault() { return server.channel(1)->fault(); }
    SendResult send(std::uint64_t id, const Bytes& payload) {
        OutgoingPacket packet;
        packet.transaction_id = id;
        packet.payload = payload;
        return provider.opened.at(0)->send(packet);
    }
    FakePlatform platform;
    VmbusServer server;
    FakeGuest guest{platform, server};
    EchoProvider provider;
    GuestRing ring;
};

Bytes counting(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
    return bytes;
}

}  // namespace

TEST_CASE("a packet crosses the end of either ring at every offset") {
    const Bytes payload = counting(40);  // 16 + 40 + 8 = 64 ring bytes
    for (std::uint32_t before = 0; before <= 72; before += 8) {
        const std::uint32_t offset = (8192 - before) % 8192;
        Bench bench(2, offset, offset);
        CHECK(bench.ring.write_raw(GuestRing::packet(PacketType::inband, 9, true, {}, payload)) ==
              Wrote::signal);
        bench.guest.signal(1);
        REQUIRE(bench.provider.packets.size() == 1);
        CHECK(bench.provider.packets[0].payload == payload);
        CHECK(bench.ring.get(bench.ring.out(), RingField::read_index) == (offset + 64) % 8192);
        const auto echo = bench.ring.read();
        REQUIRE(echo);
        CHECK(echo->payload == payload);
        CHECK(bench.ring.trailers.at(0) == std::uint64_t{offset} << 32);
        CHECK(bench.ring.get(bench.ring.in(), RingField::write_index) == (offset + 64) % 8192);
    }
}

TEST_CASE("many packets of every size go round and round") {
    Bench bench(1);
    std::uint64_t id = 0;
    std::uint64_t bytes = 0;
    for (std::size_t size = 0; size < 600; ++size) {
        const Bytes payload = counting(size);
        REQUIRE(bench.ring.write_raw(GuestRing::packet(PacketType::inband, ++id, true, {},
                                                       payload)) == Wrote::signal);
        bytes += 24 + (size + 7) / 8 * 8;
        bench.guest.signal(1);
        const auto echo = bench.ring.read();
        REQUIRE(echo);
        CHECK(echo->transaction_id == id);
        CHECK(std::equal(payload.begin(), payload.end(), echo->payload.begin()));
        bench.provider.packets.clear();
    }
    CHECK(bench.statistics().packets_from_guest == 600);
    CHECK(bench.statistics().bytes_from_guest == bytes);
    CHECK(bench.statistics().bytes_to_guest == bytes);
    CHECK(bench.statistics().signals_to_guest == 600);
}

TEST_CASE("golden bytes of packets to the guest") {
    Bench bench(2, 0, 0x40);
    CHECK(bench.send(0, hex("02000000 01000000")) == SendResult::sent);
    CHECK(bench.platform.memory.bytes(bench.ring.in() + 4096 + 0x40, 32) ==
          hex("0600 0200 0300 0000 0000000000000000 0200000001000000 00000000 40000000"));
    CHECK(bench.ring.get(bench.ring.in(), RingField::write_index) == 0x40 + 32);

    OutgoingPacket completion;
    completion.type = PacketType::completion;
    completion.transaction_id = 0x1122334455667788;
    const Bytes reply = counting(64);
    completion.payload = reply;
    CHECK(bench.provider.opened[0]->send(completion) == SendResult::sent);
    Bytes expected = hex("0b00 0200 0a00 0000 8877665544332211");
    expected.insert(expected.end(), reply.begin(), reply.end());
    const Bytes trailer = hex("00000000 60000000");
    expected.insert(expected.end(), trailer.begin(), trailer.end());
    CHECK(bench.platform.memory.bytes(bench.ring.in() + 4096 + 0x60, 88) == expected);

    // Network receive: one range, 40 bytes of protocol message (header extension in the middle).
    OutgoingPacket receive;
    receive.type = PacketType::transfer_pages;
    receive.flags = spec::kCompletionRequested;
    receive.transaction_id = 3;
    const Bytes header = hex("feca 00 00 01000000 00060000 00100000");
    const Bytes message = counting(40);
    receive.header = header;
    receive.payload = message;
    CHECK(bench.provider.opened[0]->send(receive) == SendResult::sent);
    CHECK(bench.platform.memory.bytes(bench.ring.in() + 4096 + 0xb8, 32) ==
          hex("0700 0400 0900 0100 0300000000000000 feca0000 01000000 00060000 00100000"));
}

TEST_CASE("host to guest: when the guest is signalled") {
    Bench bench;
    auto& ring = bench.ring;
    const auto signals = [&] { return bench.platform.port.signals.size(); };

    CHECK(bench.send(1, {}) == SendResult::sent);  // empty, mask 0
    CHECK(signals() == 1);
    CHECK(bench.platform.port.signals[0] == Signalled{1, 1});
    CHECK(bench.send(2, {}) == SendResult::sent);  // not empty
    CHECK(signals() == 1);
    CHECK(bench.statistics().signals_suppressed_not_empty == 1);
    CHECK(ring.read());
    CHECK(bench.send(3, {}) == SendResult::sent);  // one is still unread
    CHECK(signals() == 1);
    while (ring.read()) {
    }
    ring.put(ring.in(), RingField::interrupt_mask, 1);
    CHECK(bench.send(4, {}) == SendResult::sent);  // empty, but masked
    CHECK(signals() == 1);
    CHECK(bench.statistics().signals_suppressed_by_mask == 1);
    while (ring.read()) {
    }
    ring.put(ring.in(), RingField::interrupt_mask, 0);
    CHECK(bench.send(5, {}) == SendResult::sent);
    CHECK(signals() == 2);
    CHECK(bench.statistics().signals_to_guest == 2);
}

TEST_CASE("a guest that wants no interrupts, or names no VP, gets none") {
    for (const std::uint32_t vp : {spec::kNoInterruptVp, 77u}) {
        FakePlatform platform;
        VmbusServer server(platform.environment, {});
        FakeGuest guest(platform, server);
        EchoProvider provider;
        server.offer(0, scsi_offer(), provider);
        REQUIRE(guest.connect(spec::Version::v5_3));
        REQUIRE(guest.request_offers());
        REQUIRE(guest.create_gpadl(1, 50, 16, 6) == 0u);
        GuestRing ring(platform.memory, 16, 6, 3);
        REQUIRE(guest.open(1, 50, 3, vp) == 0u);
        ring.write_raw(GuestRing::packet(PacketType::inband, 1, true, {}, {}));
        guest.signal(1);
        CHECK(ring.read());
        CHECK(platform.port.signals.empty());
        CHECK(server.channel(1)->statistics().signals_lost == 1);
    }
}

TEST_CASE("guest to host: the mask is set while draining and clear at rest") {
    ServerConfig config;
    config.packets_per_step = 3;
    Bench bench(2, 0, 0, config);
    const auto mask = [&] { return bench.ring.get(bench.ring.out(), RingField::interrupt_mask); };
    CHECK(mask() == 0);
    const Bytes packet = GuestRing::packet(PacketType::inband, 1, false, {}, {});
    CHECK(bench.ring.write_raw(packet) == Wrote::signal);
    for (int i = 0; i < 6; ++i) CHECK(bench.ring.write_raw(packet) == Wrote::quiet);
    bench.guest.signal(1);
    CHECK(bench.provider.packets.size() == 3);
    REQUIRE(bench.server.work_pending());
    CHECK(mask() == 1);  // the host reads on by itself
    CHECK(bench.ring.get(bench.ring.out(), RingField::read_index) == 3 * 24);
    CHECK(bench.ring.write_raw(packet) == Wrote::quiet);
    bench.server.run(50);
    CHECK(bench.provider.packets.size() == 6);
    bench.server.run(51);
    CHECK(bench.provider.packets.size() == 8);
    CHECK_FALSE(bench.server.work_pending());
    CHECK(mask() == 0);
    CHECK(bench.ring.write_raw(packet) == Wrote::signal);
}

TEST_CASE("packets written before the channel was open are found without a signal") {
    FakePlatform platform;
    VmbusServer server(platform.environment, {});
    FakeGuest guest(platform, server);
    EchoProvider provider;
    server.offer(0, scsi_offer(), provider);
    REQUIRE(guest.connect(spec::Version::v5_3));
    REQUIRE(guest.request_offers());
    REQUIRE(guest.create_gpadl(1, 50, 16, 6) == 0u);
    GuestRing ring(platform.memory, 16, 6, 3);
    ring.write_raw(GuestRing::packet(PacketType::inband, 1, false, {}, {}));
    REQUIRE(guest.open(1, 50, 3, 0) == 0u);
    REQUIRE(server.work_pending());
    guest.run_to_rest();
    CHECK(provider.packets.size() == 1);
}

TEST_CASE("a busy provider leaves the packet in the ring until it resumes") {
    Bench bench;
    const Bytes packet = GuestRing::packet(PacketType::inband, 1, false, {}, {});
    bench.provider.busy = true;
    bench.ring.write_raw(packet);
    bench.ring.write_raw(packet);
    bench.guest.signal(1);
    CHECK(bench.provider.packets.empty());
    CHECK_FALSE(bench.server.work_pending());
    CHECK(bench.ring.get(bench.ring.out(), RingField::read_index) == 0);
    CHECK(bench.ring.get(bench.ring.out(), RingField::interrupt_mask) == 1);
    bench.guest.signal(1);  // changes nothing
    CHECK(bench.provider.packets.empty());
    bench.provider.busy = false;
    bench.provider.opened[0]->resume();
    REQUIRE(bench.server.work_pending());
    bench.guest.run_to_rest();
    CHECK(bench.provider.packets.size() == 2);
    CHECK(bench.ring.get(bench.ring.out(), RingField::interrupt_mask) == 0);
    CHECK(bench.statistics().paused == 1);
}

TEST_CASE("a full ring: the host waits for exactly the space that it needs") {
    Bench bench(1);
    const Bytes payload = counting(104);  // 128 ring bytes
    int sent = 0;
    while (bench.send(1, payload) == SendResult::sent) ++sent;
    // The last unit stays free, or full would look like empty.
    CHECK(sent == 31);
    CHECK(bench.ring.get(bench.ring.in(), RingField::pending_send_size) == 128);
    CHECK(bench.statistics().ring_full == 1);
    bench.guest.signal(1);  // no space yet
    CHECK(bench.provider.ready == 1);
    bench.provider.backlog.push_back({5, payload});
    CHECK(bench.send(1, payload) == SendResult::full);
    CHECK_FALSE(bench.ring.space_wanted);
    bench.ring.read();
    CHECK(bench.ring.space_wanted);  // the guest's own rule says: signal
    bench.guest.signal(1);
    CHECK(bench.provider.ready == 2);
    CHECK(bench.provider.backlog.empty());
    CHECK(bench.ring.get(bench.ring.in(), RingField::pending_send_size) == 0);
}

TEST_CASE("a guest that waits for space is signalled when it is there") {
    // Guest wants `pending` bytes; free goes from `before` to the whole ring.
    struct Row {
        std::uint32_t feature, pending;
        bool signal;
    };
    // 31 packets of 128 bytes: 4096 - 3968 = 128 bytes are free before, 4096 after.
    const Row rows[] = {{1, 0, false},  {1, 8, false},   {1, 128, false},  {1, 136, true},
                        {1, 139, true}, {1, 4096, true}, {1, 4104, false}, {0, 136, false}};
    for (const Row& row : rows) {
        CAPTURE(row.feature);
        CAPTURE(row.pending);
        Bench bench(1);
        const Bytes packet = GuestRing::packet(PacketType::inband, 1, false, {}, counting(104));
        for (int i = 0; i < 31; ++i) REQUIRE(bench.ring.write_raw(packet) != Wrote::full);
        REQUIRE(bench.ring.write_raw(packet) == Wrote::full);
        bench.ring.put(bench.ring.out(), RingField::feature_bits, row.feature);
        bench.ring.put(bench.ring.out(), RingField::pending_send_size, row.pending);
        bench.guest.signal(1);
        CHECK(bench.provider.packets.size() == 31);
        CHECK(bench.statistics().space_signals_to_guest == (row.signal ? 1 : 0));
        CHECK(bench.platform.port.signals.size() == (row.signal ? 1 : 0));
    }
}

TEST_CASE("indices out of range fail the channel, both rings, each index") {
    for (const std::uint32_t bad : {8192u, 8200u, 4u, 0xfffffff8u, 0xffffffffu}) {
        CAPTURE(bad);
        {
            Bench bench;
            bench.ring.put(bench.ring.out(), RingField::write_index, bad);
            bench.guest.signal(1);
            CHECK(bench.fault() == RingFault::write_index);
            CHECK(bench.provider.failed == 1);
            CHECK(bench.statistics().faults == 1);
            CHECK(bench.send(1, {}) == SendResult::closed);
            bench.ring.put(bench.ring.out(), RingField::write_index, 0);
            bench.guest.signal(1);  // it does not come back by itself
            CHECK(bench.provider.failed == 1);
            // The guest can close, give back its memory and begin anew.
            bench.guest.post(spec::CloseChannel{{}, 1});
            bench.guest.post(spec::GpadlTeardown{{}, 1, 50});
            CHECK(bench.guest.expect<spec::GpadlTorndown>());
            CHECK(bench.guest.create_gpadl(1, 51, 16, 6) == 0u);
            GuestRing again(bench.platform.memory, 16, 6, 3);
            CHECK(bench.guest.open(1, 51, 3) == 0u);
            CHECK(bench.fault() == RingFault::none);
        }
        {
            Bench bench;
            bench.ring.put(bench.ring.in(), RingField::read_index, bad);
            CHECK(bench.send(1, {}) == SendResult::closed);
            CHECK(bench.fault() == RingFault::read_index);
            CHECK(bench.provider.failed == 1);
        }
    }
}

TEST_CASE("what the guest writes over the host's own indices is not looked at") {
    Bench bench;
    bench.ring.put(bench.ring.out(), RingField::read_index, 0xffffffff);
    bench.ring.put(bench.ring.in(), RingField::write_index, 0xffffffff);
    CHECK(bench.send(1, {}) == SendResult::sent);
    CHECK(bench.ring.get(bench.ring.in(), RingField::write_index) == 24);
    bench.ring.put(bench.ring.out(), RingField::read_index, 0);
    bench.ring.write_raw(GuestRing::packet(PacketType::inband, 1, false, {}, {}));
    bench.ring.put(bench.ring.out(), RingField::read_index, 4096);
    bench.guest.signal(1);
    CHECK(bench.provider.packets.size() == 1);
    CHECK(bench.ring.get(bench.ring.out(), RingField::read_index) == 24);
}

TEST_CASE("descriptors that lie about their lengths fail the channel") {
    struct Row {
        std::uint16_t header_units, total_units;
        RingFault fault;
    };
    const Row rows[] = {{0, 3, RingFault::packet_bounds},
                        {1, 3, RingFault::packet_bounds},
                        {4, 3, RingFault::packet_bounds},
                        {2, 1, RingFault::packet_bounds},
                        {2, 0, RingFault::packet_bounds},
                        {2, 4, RingFault::packet_bounds},
                        {2, 0xffff, RingFault::packet_bounds},
                        {0xffff, 0xffff, RingFault::packet_bounds},
                        {2, 3, RingFault::none},
                        {3, 3, RingFault::none},
                        {2, 2, RingFault::packet_bounds}};  // the rest is no whole packet
    for (const Row& row : rows) {
        CAPTURE(row.header_units);
        CAPTURE(row.total_units);
        Bench bench;
        Bytes packet = GuestRing::packet(PacketType::inband, 1, false, {}, Bytes(8));
        std::memcpy(packet.data() + 2, &row.header_units, 2);
        std::memcpy(packet.data() + 4, &row.total_units, 2);
        bench.ring.write_raw(packet);
        bench.guest.signal(1);
        CHECK(bench.fault() == row.fault);
    }
    // Fewer bytes than a descriptor and trailer.
    for (const std::uint32_t written : {8u, 16u}) {
        Bench bench;
        bench.ring.put(bench.ring.out(), RingField::write_index, written);
        bench.guest.signal(1);
        CHECK(bench.fault() == RingFault::packet_bounds);
    }
}

TEST_CASE("GPA-direct ranges become page segments") {
    Bench bench;
    bench.ring.write_raw(GuestRing::packet(PacketType::gpa_direct, 1, true,
                                           GuestRing::gpa_header(0x1800, 0xf00, {7, 9, 3}),
                                           Bytes(64)));
    bench.guest.signal(1);
    CHECK(bench.provider.segments ==
          std::vector<GpaSegment>{{0x7f00, 0x100}, {0x9000, 0x1000}, {0x3000, 0x700}});
    CHECK(bench.provider.packets.at(0).payload.size() == 64);

    // Two ranges, one of them empty.
    Bytes header = hex("00000000 02000000 00000000 00000000 10000000 f00f0000 0500000000000000");
    bench.ring.write_raw(GuestRing::packet(PacketType::gpa_direct, 2, false, header, Bytes(8)));
    bench.guest.signal(1);
    CHECK(bench.provider.segments == std::vector<GpaSegment>{{0x5ff0, 0x10}});
}

TEST_CASE("GPA-direct headers that contradict themselves fail the channel") {
    const std::string fixed = "00000000 01000000";
    const std::string page = "0500000000000000";
    const std::string bad[] = {
        "",                                            // no header at all
        "00000000 ffffffff 00100000 00000000" + page,  // more ranges than bytes
        "00000000 02000000 00100000 00000000" + page,  // second range is missing
        fixed + "00100000 00100000" + page,            // offset beyond the page
        fixed + "00200000 00000000" + page,            // two pages, one given
        fixed + "00100000 01000000" + page,            // likewise, by the offset
        fixed + "ffffffff ff0f0000" + page,            // a million pages
        fixed + "00100000 00000000 0000000000000100",  // beyond 52 bits
        fixed + "00100000",                            // cut in the range's header
    };
    for (const std::string& header : bad) {
        CAPTURE(header);
        Bench bench;
        Bytes bytes = hex(header);
        bytes.resize((bytes.size() + 7) / 8 * 8);
        bench.ring.write_raw(GuestRing::packet(PacketType::gpa_direct, 1, true, bytes, Bytes(8)));
        bench.guest.signal(1);
        CHECK(bench.fault() == RingFault::packet_header);
        CHECK(bench.provider.packets.empty());
    }
}

TEST_CASE("transfer pages are parsed and checked; unknown packet types reach the provider") {
    Bench bench;
    const Bytes good = hex("feca 01 00 02000000 10000000 20000000 30000000 40000000");
    bench.ring.write_raw(GuestRing::packet(PacketType::transfer_pages, 1, false, good, Bytes(8)));
    bench.ring.write_raw(
        GuestRing::packet(static_cast<PacketType>(0x4242), 2, false, Bytes(16), Bytes(8)));
    bench.guest.signal(1);
    REQUIRE(bench.provider.packets.size() == 2);
    CHECK(bench.provider.packets[1].type == 0x4242);
    const Bytes bad = hex("feca 01 00 03000000 10000000 20000000 30000000 40000000");
    bench.ring.write_raw(GuestRing::packet(PacketType::transfer_pages, 1, false, bad, Bytes(8)));
    bench.guest.signal(1);
    CHECK(bench.fault() == RingFault::packet_header);
}

TEST_CASE("a provider may give up on a guest; a ring page that goes away fails the channel") {
    Bench bench;
    bench.provider.invalid = true;
    bench.ring.write_raw(GuestRing::packet(PacketType::inband, 1, false, {}, {}));
    bench.guest.signal(1);
    CHECK(bench.fault() == RingFault::protocol);

    for (std::uint64_t page = 16; page < 22; ++page) {
        CAPTURE(page);
        Bench other(2, 8192 - 32, 8192 - 32);
        other.ring.write_raw(GuestRing::packet(PacketType::inband, 1, true, {}, counting(64)));
        other.platform.memory.unmap(page);
        other.guest.signal(1);
        CHECK(other.fault() == RingFault::memory);
        CHECK(other.provider.failed == 1);
    }
}

TEST_CASE("a ring that cannot be is refused at OpenChannel") {
    struct Row {
        std::uint32_t handle, downstream;
        bool good;
    };
    // GPADL 50: 6 pages of relid 1; 51: of relid 2; 52: not page aligned; 53: unfinished.
    const Row rows[] = {{50, 0, false}, {50, 1, false}, {50, 2, true},  {50, 3, true},
                        {50, 4, true},  {50, 5, false}, {50, 6, false}, {50, 0xffffffff, false},
                        {51, 3, false}, {52, 3, false}, {53, 3, false}, {54, 3, false}};
    for (const Row& row : rows) {
        CAPTURE(row.handle);
        CAPTURE(row.downstream);
        FakePlatform platform;
        VmbusServer server(platform.environment, {});
        FakeGuest guest(platform, server);
        EchoProvider provider;
        server.offer(0, scsi_offer(1), provider);
        server.offer(0, scsi_offer(2), provider);
        REQUIRE(guest.connect(spec::Version::v5_3));
        REQUIRE(guest.request_offers());
        REQUIRE(guest.create_gpadl(1, 50, 16, 6) == 0u);
        REQUIRE(guest.create_gpadl(2, 51, 32, 6) == 0u);
        guest.post(spec::GpadlHeader{{}, 1, 52, 7 * 8, 1},
                   hex("00500000 10000000 2800000000000000 2900000000000000 2a00000000000000"
                       "2b00000000000000 2c00000000000000 2d00000000000000"));
        REQUIRE(guest.expect<spec::GpadlCreated>()->status == 0);
        guest.post(spec::GpadlHeader{{}, 1, 53, 7 * 8, 1}, hex("00600000 00000000"));
        CHECK((guest.open(1, row.handle, row.downstream) == 0u) == row.good);
        CHECK(provider.opened.size() == (row.good ? 1 : 0));
    }
    // Indices that are out of range already, and a provider that says no.
    for (const auto field : {RingField::read_index, RingField::write_index}) {
        for (const bool inbound : {false, true}) {
            FakePlatform platform;
            VmbusServer server(platform.environment, {});
            FakeGuest guest(platform, server);
            EchoProvider provider;
            server.offer(0, scsi_offer(1), provider);
            REQUIRE(guest.connect(spec::Version::v5_3));
            REQUIRE(guest.request_offers());
            REQUIRE(guest.create_gpadl(1, 50, 16, 6) == 0u);
            GuestRing ring(platform.memory, 16, 6, 3);
            ring.put(inbound ? ring.in() : ring.out(), field, 8192);
            CHECK(guest.open(1, 50, 3) == spec::kStatusUnsuccessful);
            ring.put(inbound ? ring.in() : ring.out(), field, 0);
            provider.open_status = 0xc0000001;
            CHECK(guest.open(1, 50, 3) == 0xc0000001);
            CHECK(server.channel(1)->state() == ChannelState::offered);
            provider.open_status = 0;
            CHECK(guest.open(1, 50, 3) == 0u);
        }
    }
}

TEST_CASE("a packet larger than the guest's ring fails the channel instead of waiting for ever") {
    Bench bench(1);
    CHECK(bench.send(1, Bytes(4096 - 24 - 8)) == SendResult::sent);
    bench.ring.read();
    CHECK(bench.send(1, Bytes(4096 - 24 - 7)) == SendResult::closed);
    CHECK(bench.fault() == RingFault::too_small);
}

TEST_CASE("what a step records carries the time to which its work has come") {
    Bench bench;
    bench.ring.write_raw(GuestRing::packet(PacketType::inband, 42, true, {}, Bytes(8)));
    constexpr hvsim::sim::Time kBegin = 1'000'000;
    bench.platform.costs.time = kBegin + 5;  // the interrupt before the step took time
    const auto before = bench.platform.recorder.last_events().size();
    bench.guest.signal(1);
    const auto events = bench.platform.recorder.last_events();
    REQUIRE(events.size() >= before + 4);
    const auto* last = &events[events.size() - 4];
    CHECK(last[0].time == kBegin + 5);         // signal taken
    CHECK(last[1].time >= last[0].time);       // packet taken
    CHECK(last[2].time >= last[1].time + 10);  // answered, a packet paid
    CHECK(last[3].time >= last[2].time);       // and the guest signalled
    CHECK(last[3].time == bench.platform.costs.time);
}

TEST_CASE("packets and signals are recorded and paid for") {
    Bench bench;
    const auto before = bench.platform.costs.total;
    bench.ring.write_raw(GuestRing::packet(PacketType::inband, 42, true, {}, Bytes(8)));
    bench.guest.signal(1);
    CHECK(bench.platform.costs.total - before == 10 + 20);
    const auto events = bench.platform.recorder.last_events();
    using hvsim::sim::EventKind;
    REQUIRE(events.size() >= 4);
    const auto* last = &events[events.size() - 4];
    CHECK(last[0].kind == EventKind::kVmbusSignal);
    CHECK(last[0].arguments == std::array<std::uint64_t, 4>{1, 0, 0, 0});
    CHECK(last[1].kind == EventKind::kVmbusPacket);
    CHECK(last[1].arguments == std::array<std::uint64_t, 4>{1, 42, 32, 0});
    CHECK(last[2].kind == EventKind::kVmbusPacket);
    CHECK(last[2].arguments == std::array<std::uint64_t, 4>{1, 42, 32, 1});
    CHECK(last[3].kind == EventKind::kVmbusSignal);
    CHECK(last[3].arguments == std::array<std::uint64_t, 4>{1, 1, 0, 0});
    bench.server.on_signal(99, 0x2002);
    bench.server.on_signal(99, 0);
    bench.server.on_signal(99, 0xffffffff);
    bench.guest.signal(1);
    CHECK(bench.statistics().signals_from_guest == 2);
    CHECK(bench.statistics().idle_signals == 1);
}
