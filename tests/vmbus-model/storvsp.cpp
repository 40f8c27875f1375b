#include "vmbus-model/storvsp/storvsp.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "sim/error.h"
#include "tests/vmbus-model/fake_disk.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;
using Operation = storvsp::spec::Operation;
using storvsp::DiskOutcome;
using storvsp::ScsiAddress;

namespace {

storvsp::StorVspConfig small_config() {
    storvsp::StorVspConfig config;
    config.instance.bytes[0] = 1;
    return config;
}

struct Bench {
    explicit Bench(storvsp::StorVspConfig config = small_config())
        : provider(0, platform.environment, server, std::move(config)) {
        disk.shape.discard = true;
        REQUIRE(guest.connect(spec::Version::v5_3));
        REQUIRE(guest.request_offers());
    }
    /// With the disk at LUN 0, the channel open and set up.
    FakeStorageDriver& ready() {
        provider.add_lun(0, {0, 0, 0}, disk, {});
        open();
        REQUIRE(driver->initialize());
        return *driver;
    }
    void open() {
        driver.emplace(platform, guest, 1, 16, 50);
        REQUIRE(driver->opened);
        guest.run_to_rest();
    }
    FakePlatform platform;
    VmbusServer server{platform.environment, {}};
    FakeGuest guest{platform, server};
    storvsp::StorVsp provider;
    FakeDisk disk{platform.memory, 2048};
    std::optional<FakeStorageDriver> driver;
};

const Bytes kTestUnitReady{0, 0, 0, 0, 0, 0};

Bytes read10(std::uint32_t lba, std::uint16_t blocks) {
    return {0x28,
            0,
            static_cast<std::uint8_t>(lba >> 24),
            static_cast<std::uint8_t>(lba >> 16),
            static_cast<std::uint8_t>(lba >> 8),
            static_cast<std::uint8_t>(lba),
            0,
            static_cast<std::uint8_t>(blocks >> 8),
            static_cast<std::uint8_t>(blocks),
            0};
}

Bytes write10(std::uint32_t lba, std::uint16_t blocks) {
    Bytes cdb = read10(lba, blocks);
    cdb[0] = 0x2a;
    return cdb;
}

}  // namespace

TEST_CASE("the start sequence, and its answers byte by byte") {
    storvsp::StorVspConfig config = small_config();
    config.max_subchannels = 3;
    Bench bench(config);
    CHECK(bench.guest.offers.at(1).message.flags == spec::kOfferEnumerateInterface);
    bench.open();
    auto& driver = *bench.driver;
    CHECK(driver.status(Operation::begin_initialization) == 0u);
    // Refused versions leave room for the next attempt.
    for (const Bytes& wrong : {Bytes{3, 6}, Bytes{0, 0}, Bytes{2, 4}})
        CHECK(driver.status(Operation::query_protocol_version, wrong) ==
              storvsp::spec::kRevisionMismatch);
    CHECK(driver.status(Operation::query_protocol_version, {0x02, 0x06, 0, 0}) == 0u);
    driver.send(Operation::query_properties, 77);
    const auto properties = driver.receive(77);
    REQUIRE(properties);
    Bytes bytes(64);
    std::memcpy(bytes.data(), &*properties, 64);
    Bytes expected = hex("01000000 00000000 00000000 00000000 0300 0000 01000000 00000400");
    expected.resize(64);
    CHECK(bytes == expected);
    CHECK(driver.status(Operation::end_initialization) == 0u);
    CHECK(driver.status(Operation::end_initialization) == storvsp::spec::kInvalidDeviceState);
}

TEST_CASE("every version of the protocol that is configured, and no other") {
    for (const Bytes& version : {Bytes{2, 6, 0, 0}, Bytes{0, 6, 0, 0}, Bytes{1, 5, 0, 0}}) {
        Bench bench;
        bench.open();
        CHECK(bench.driver->initialize(version));
    }
    storvsp::StorVspConfig config = small_config();
    config.versions = {storvsp::spec::kVersion5_1};
    Bench bench(config);
    bench.open();
    CHECK_FALSE(bench.driver->initialize({2, 6, 0, 0}));
    CHECK(bench.driver->status(Operation::query_protocol_version, {1, 5, 0, 0}) == 0u);
}

TEST_CASE("set-up messages out of order, requests before the end, unknown operations") {
    Bench bench;
    bench.open();
    auto& driver = *bench.driver;
    CHECK(driver.status(Operation::query_properties) == storvsp::spec::kInvalidDeviceState);
    CHECK(driver.status(Operation::query_protocol_version, {2, 6}) ==
          storvsp::spec::kInvalidDeviceState);
    CHECK(driver.status(Operation::execute_srb) == storvsp::spec::kInvalidDeviceState);
    CHECK(driver.status(Operation::reset_bus) == storvsp::spec::kInvalidDeviceState);
    CHECK(driver.status(Operation::fchba_data) == storvsp::spec::kInvalidDeviceRequest);
    CHECK(driver.status(static_cast<Operation>(0xffffffff)) ==
          storvsp::spec::kInvalidDeviceRequest);
    CHECK(driver.initialize());
    CHECK(driver.status(Operation::begin_initialization) == storvsp::spec::kInvalidDeviceState);
    // Multi-channel was not announced.
    CHECK(driver.status(Operation::create_sub_channels, {1, 0}) ==
          storvsp::spec::kInvalidParameter);
    CHECK(driver.status(Operation::create_sub_channels, {0, 0}) == 0u);
    CHECK(bench.provider.statistics().refused_packets == 8);
}

TEST_CASE("every truncation of a packet is refused and the channel lives on") {
    Bench bench;
    auto& driver = bench.ready();
    for (std::size_t size = 0; size < 64; size += 8) {
        driver.write(GuestRing::packet(spec::PacketType::inband, 9, true, {}, Bytes(size)));
        const auto reply = driver.receive(9);
        REQUIRE(reply);
        CHECK(reply->header.status == storvsp::spec::kInvalidParameter);
    }
    // No completion asked for, none sent; other packet types are dropped.
    driver.write(GuestRing::packet(spec::PacketType::inband, 9, false, {}, Bytes(8)));
    driver.write(GuestRing::packet(spec::PacketType::completion, 9, true, {}, Bytes(64)));
    CHECK_FALSE(driver.ring.read());
    CHECK(driver.scsi_now(kTestUnitReady)->srb_status == 1);
}

TEST_CASE("data goes from the disk to the guest's pages and back") {
    Bench bench;
    auto& driver = bench.ready();
    for (std::size_t i = 0; i < bench.disk.content.size(); ++i)
        bench.disk.content[i] = static_cast<std::uint8_t>(i / 512 + i);
    const auto read = driver.scsi_now(read10(3, 24), 24 * 512, 0x200);
    REQUIRE(read);
    CHECK(read->srb_status == 1);
    CHECK(read->scsi_status == 0);
    CHECK(read->data_transfer_length == 24 * 512);
    CHECK(driver.nt_status == 0);
    CHECK(driver.data(24 * 512, 0x200) ==
          Bytes(bench.disk.content.begin() + 3 * 512, bench.disk.content.begin() + 27 * 512));
    CHECK(bench.disk.requests.back().segments ==
          std::vector<GpaSegment>{
              {0x100200, 0xe00}, {0x101000, 0x1000}, {0x102000, 0x1000}, {0x103000, 0x200}});

    bench.platform.memory.put_bytes(FakeStorageDriver::kDataPage * 4096, Bytes(1024, 0xa5));
    Bytes fua = write10(2046, 2);
    fua[1] = 0x08;
    CHECK(driver.scsi_now(fua, 1024)->srb_status == 1);
    CHECK(bench.disk.requests.back().force_unit_access);
    CHECK(Bytes(bench.disk.content.end() - 1024, bench.disk.content.end()) == Bytes(1024, 0xa5));

    // Less than the buffer: only what the command asks for moves.
    CHECK(driver.scsi_now(read10(0, 1), 4096)->data_transfer_length == 512);
    const auto& statistics = bench.provider.statistics();
    CHECK(statistics.reads == 2);
    CHECK(statistics.writes == 1);
    CHECK(statistics.bytes_read == 25 * 512);
    CHECK(statistics.bytes_written == 1024);
}

TEST_CASE("failures of the backend have their sense data") {
    Bench bench;
    auto& driver = bench.ready();
    struct Row {
        DiskOutcome outcome;
        std::uint8_t srb, scsi, key, code;
    };
    const Row rows[] = {{DiskOutcome::medium_error, 0x84, 2, 3, 0x11},
                        {DiskOutcome::not_ready, 0x84, 2, 2, 0x04},
                        {DiskOutcome::dma_fault, 0x84, 2, 4, 0x44},
                        {DiskOutcome::aborted, 0x02, 0, 0, 0}};
    for (const Row& row : rows) {
        bench.disk.outcome = row.outcome;
        const auto srb = driver.scsi_now(read10(0, 1), 512);
        REQUIRE(srb);
        CHECK(srb->srb_status == row.srb);
        CHECK(srb->scsi_status == row.scsi);
        CHECK(srb->data_transfer_length == 0);
        CHECK(srb->cdb[2] == row.key);
        CHECK(srb->cdb[12] == row.code);
        CHECK(srb->sense_length == (row.key != 0 ? 18 : 0));
        CHECK(driver.nt_status != 0);
    }
    bench.disk.outcome = DiskOutcome::medium_error;
    CHECK(driver.scsi_now(write10(0, 1), 512)->cdb[12] == 0x0c);
    CHECK(bench.provider.statistics().backend_errors == 5);
    bench.disk.outcome = DiskOutcome::ok;
    bench.platform.memory.unmap(FakeStorageDriver::kDataPage);
    CHECK(driver.scsi_now(read10(0, 1), 512)->cdb[2] == 4);
    // Small answers into unmapped pages.
    CHECK(driver.scsi_now({0x12, 0, 0, 0, 36, 0}, 36)->srb_status == 6);
    CHECK(driver.scsi_now({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}, 24)->srb_status == 6);
}

TEST_CASE("sense data fits the room that the guest gave") {
    Bench bench;
    auto& driver = bench.ready();
    for (const std::uint8_t room : {0, 1, 13, 18, 20, 255}) {
        auto srb = driver.request({0xff, 0, 0, 0, 0, 0}, 0);
        srb.sense_length = room;
        Bytes packet(64, 0);
        packet[0] = 3;
        std::memcpy(packet.data() + 12, &srb, sizeof(srb));
        driver.write(GuestRing::packet(spec::PacketType::inband, 5, true, {}, packet));
        const auto answer = driver.answer(5);
        REQUIRE(answer);
        CHECK(answer->srb_status == (room == 0 ? 0x04 : 0x84));
        CHECK(answer->sense_length == std::min<int>(room, 18));
        CHECK(answer->cdb[0] == (room == 0 ? 0 : 0x70));
        CHECK(answer->cdb[12] == (room >= 13 ? 0x20 : 0));
    }
}

TEST_CASE("disks that are not there: INQUIRY says so, REPORT LUNS lists, the rest is refused") {
    Bench bench;
    FakeDisk second(bench.platform.memory, 16);
    bench.provider.add_lun(0, {0, 0, 7}, second, {});
    auto& driver = bench.ready();
    const auto luns = driver.scsi_now({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
    REQUIRE(luns);
    CHECK(luns->data_transfer_length == 24);
    CHECK(driver.data(24) == hex("00000010 00000000 0000000000000000 0007000000000000"));

    driver.address = {0, 1, 0};
    CHECK(driver.scsi_now({0x12, 0, 0, 0, 36, 0}, 36)->srb_status == 1);
    CHECK(driver.data(5) == hex("7f 00 05 02 5b"));
    CHECK(driver.scsi_now(kTestUnitReady)->srb_status == 0x20);
    CHECK(driver.scsi_now({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)->data_transfer_length == 8);
    driver.address = {200, 255, 255};
    CHECK(driver.scsi_now(kTestUnitReady)->srb_status == 0x20);
    // A page of a disk that is not there: refused, but with a clean buffer.
    bench.platform.memory.put_bytes(FakeStorageDriver::kDataPage * 4096, Bytes(64, 0xee));
    CHECK(driver.scsi_now({0x12, 1, 0x83, 0, 64, 0}, 64)->srb_status == 0x84);
    CHECK(driver.data(64) == Bytes(64, 0));
    CHECK(bench.provider.statistics().invalid_luns == 2);
}

TEST_CASE("a disk that is taken away while requests are under way") {
    Bench bench;
    auto& driver = bench.ready();
    bench.disk.hold = true;
    driver.scsi(1, read10(0, 1), 512);
    driver.scsi(2, write10(0, 1), 512);
    CHECK(bench.provider.outstanding() == 2);
    bench.provider.remove_lun(9, {0, 0, 0});
    const auto note = driver.receive(0);
    REQUIRE(note);
    CHECK(note->header.operation == 2);
    CHECK(driver.scsi_now(kTestUnitReady)->srb_status == 0x20);
    CHECK(bench.provider.uses(bench.disk));

    // Another disk takes the place at once.
    FakeDisk other(bench.platform.memory, 64);
    bench.provider.add_lun(10, {0, 0, 0}, other, {});
    CHECK(driver.receive(0)->header.operation == 11);
    CHECK(driver.scsi_now(read10(0, 1), 512)->srb_status == 1);

    bench.disk.complete(11);
    bench.disk.complete(12);
    for (const std::uint64_t id : {1, 2}) {
        const auto srb = driver.answer(id);
        REQUIRE(srb);
        CHECK(srb->srb_status == 0x20);
        CHECK(srb->data_transfer_length == 0);
        CHECK(driver.nt_status == storvsp::spec::kDeviceDoesNotExist);
    }
    CHECK_FALSE(bench.provider.uses(bench.disk));
}

TEST_CASE("the guest is told of disks only once it has set the controller up") {
    Bench bench;
    bench.open();
    bench.provider.add_lun(0, {0, 0, 0}, bench.disk, {});
    CHECK_FALSE(bench.driver->ring.read());
    CHECK(bench.driver->initialize());
    FakeDisk other(bench.platform.memory, 64);
    bench.provider.add_lun(10, {7, 1, 255}, other, {});
    const auto note = bench.driver->ring.read();
    REQUIRE(note);
    CHECK(note->type == 6);
    CHECK(note->transaction_id == 0);
    CHECK(note->payload.at(0) == 11);
    CHECK(bench.driver->status(Operation::reset_bus) == 0u);
}

TEST_CASE("a reset is answered after all that began before it, and holds up what comes after") {
    Bench bench;
    auto& driver = bench.ready();
    bench.disk.hold = true;
    driver.scsi(1, read10(0, 1), 512);
    driver.scsi(2, read10(1, 1), 512);
    driver.send(Operation::reset_bus, ~std::uint64_t{3});
    driver.scsi(3, kTestUnitReady);
    CHECK_FALSE(driver.ring.read());
    bench.disk.complete(20);
    CHECK(driver.answer(1));
    CHECK_FALSE(driver.ring.read());
    bench.disk.complete(21);
    CHECK(driver.answer(2));
    CHECK(driver.receive(~std::uint64_t{3})->header.status == 0);
    CHECK_FALSE(driver.ring.read());
    REQUIRE(bench.server.work_pending());
    bench.guest.run_to_rest();
    CHECK(driver.answer(3)->srb_status == 1);
}

TEST_CASE("no more requests are taken than the limit; the rest stays in the ring") {
    storvsp::StorVspConfig config = small_config();
    config.max_outstanding = 3;
    Bench bench(config);
    auto& driver = bench.ready();
    bench.disk.hold = true;
    for (std::uint64_t id = 1; id <= 10; ++id) driver.scsi(id, read10(0, 1), 512);
    CHECK(bench.provider.outstanding() == 3);
    for (std::uint64_t id = 1; id <= 10; ++id) {
        bench.disk.complete(100 + id);
        bench.guest.run_to_rest();
        CHECK(driver.answer(id)->srb_status == 1);
        CHECK(bench.provider.outstanding() == std::min<std::uint64_t>(3, 10 - id));
    }
    CHECK(bench.provider.statistics().most_outstanding == 3);
}

TEST_CASE("replies wait for space in the guest's ring and keep their order") {
    storvsp::StorVspConfig config = small_config();
    config.max_outstanding = 400;
    Bench bench(config);
    auto& driver = bench.ready();
    // 7 pages of replies hold 325 of 88 bytes.
    std::uint64_t read = 0;
    std::uint64_t sent = 0;
    for (; sent < 360; ++sent) driver.scsi(sent + 1, kTestUnitReady);
    CHECK(bench.server.channel(1)->statistics().ring_full >= 1);
    bool waited = false;
    while (read < sent) {
        const auto srb = driver.answer(read + 1);
        REQUIRE(srb);
        ++read;
        if (driver.ring.space_wanted) {
            waited = true;
            driver.ring.space_wanted = false;
            bench.guest.signal(1);
        }
    }
    CHECK(waited);
    CHECK_FALSE(driver.ring.read());
}

TEST_CASE("closing and unloading wait for the disk") {
    Bench bench;
    auto& driver = bench.ready();
    bench.disk.hold = true;
    driver.scsi(1, read10(0, 1), 512);

    SUBCASE("close, then a new life") {
        bench.guest.post(spec::CloseChannel{{}, 1});
        bench.guest.post(spec::GpadlTeardown{{}, 1, 50});
        CHECK(bench.guest.quiet());
        bench.disk.complete(50);
        CHECK(bench.guest.expect<spec::GpadlTorndown>());
        bench.disk.hold = false;
        bench.driver.emplace(bench.platform, bench.guest, 1, 16, 51);
        REQUIRE(bench.driver->opened);
        CHECK(bench.driver->initialize());
        CHECK(bench.driver->scsi_now(read10(0, 1), 512)->srb_status == 1);
    }
    SUBCASE("unload") {
        bench.guest.post(spec::Unload{});
        CHECK(bench.guest.quiet());
        bench.disk.complete(50);
        bench.guest.run_to_rest();
        CHECK(bench.guest.expect<spec::UnloadResponse>());
    }
    SUBCASE("hot removal of the controller") {
        bench.provider.remove(40);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>());
        bench.guest.post(spec::CloseChannel{{}, 1});
        bench.guest.post(spec::RelIdReleased{{}, 1});
        CHECK_FALSE(bench.provider.removed());
        bench.disk.complete(50);
        bench.guest.run_to_rest();
        CHECK(bench.provider.removed());
    }
    SUBCASE("a reset that nobody waits for any more") {
        driver.send(Operation::reset_bus, 7);
        bench.guest.post(spec::CloseChannel{{}, 1});
        bench.disk.complete(50);
        bench.driver.emplace(bench.platform, bench.guest, 1, 16, 51);
        REQUIRE(bench.driver->opened);
        bench.disk.hold = false;
        CHECK(bench.driver->initialize());
    }
    SUBCASE("a ring that the guest breaks") {
        driver.ring.put(driver.ring.in(), spec::RingField::read_index, 3);
        bench.disk.complete(50);
        CHECK(bench.server.channel(1)->fault() == RingFault::read_index);
        bench.guest.post(spec::CloseChannel{{}, 1});
        CHECK(bench.server.channel(1)->state() == ChannelState::offered);
    }
}

TEST_CASE("sub-channels carry requests of their own") {
    storvsp::StorVspConfig config = small_config();
    config.max_subchannels = 2;
    Bench bench(config);
    auto& driver = bench.ready();
    CHECK(driver.status(Operation::create_sub_channels, {3, 0}) ==
          storvsp::spec::kInvalidParameter);
    CHECK(driver.status(Operation::create_sub_channels, {2, 0}) == 0u);
    CHECK(bench.guest.expect<spec::OfferChannel>()->subchannel_index == 1);
    const auto second = bench.guest.expect<spec::OfferChannel>();
    REQUIRE(second);
    CHECK(second->subchannel_index == 2);
    CHECK(driver.status(Operation::create_sub_channels, {1, 0}) ==
          storvsp::spec::kInvalidDeviceState);

    bench.guest.offers[2].message.connection_id = 0x2002;
    FakeStorageDriver sub(bench.platform, bench.guest, 2, 64, 60);
    REQUIRE(sub.opened);
    bench.guest.run_to_rest();
    CHECK(sub.status(Operation::begin_initialization) == storvsp::spec::kInvalidDeviceState);
    CHECK(sub.scsi_now(read10(0, 1), 512)->srb_status == 1);
    CHECK(bench.server.channel(2)->statistics().packets_from_guest == 2);

    // The primary goes: the sub-channels are rescinded; a second life asks for them anew.
    bench.guest.post(spec::CloseChannel{{}, 1});
    CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 2);
    CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 3);
    bench.guest.post(spec::RelIdReleased{{}, 2});
    bench.guest.post(spec::RelIdReleased{{}, 3});
    bench.guest.post(spec::GpadlTeardown{{}, 1, 50});
    CHECK(bench.guest.expect<spec::GpadlTorndown>());
    bench.driver.emplace(bench.platform, bench.guest, 1, 16, 51);
    REQUIRE(bench.driver->opened);
    CHECK(bench.driver->initialize());
    CHECK(bench.driver->status(Operation::create_sub_channels, {1, 0}) == 0u);
    CHECK(bench.guest.expect<spec::OfferChannel>()->subchannel_index == 1);
}

TEST_CASE("impossible disks and controllers are the user's mistakes") {
    Bench bench;
    FakeDisk disk(bench.platform.memory, 16);
    using hvsim::sim::ConfigError;
    CHECK_THROWS_AS(bench.provider.add_lun(0, {8, 0, 0}, disk, {}), ConfigError);
    CHECK_THROWS_AS(bench.provider.add_lun(0, {0, 2, 0}, disk, {}), ConfigError);
    bench.provider.add_lun(0, {7, 1, 0}, disk, {});
    CHECK_THROWS_AS(bench.provider.add_lun(0, {7, 1, 0}, disk, {}), ConfigError);
    disk.shape.blocks = 0;
    CHECK_THROWS_AS(bench.provider.add_lun(0, {0, 0, 0}, disk, {}), ConfigError);
    disk.shape = {520, 16, false, true, false};
    CHECK_THROWS_AS(bench.provider.add_lun(0, {0, 0, 0}, disk, {}), ConfigError);
    storvsp::StorVspConfig config = small_config();
    config.max_transfer_bytes = 1000;
    CHECK_THROWS_AS(storvsp::StorVsp(0, bench.platform.environment, bench.server, config),
                    ConfigError);
}

TEST_CASE("events, costs and latencies of requests") {
    Bench bench;
    auto& driver = bench.ready();
    bench.disk.hold = true;
    const auto cost = bench.platform.costs.total;
    driver.scsi(42, read10(8, 16), 8192);
    const hvsim::sim::Time started = bench.guest.now;
    CHECK(bench.platform.costs.total - cost == 10 + 1000 + 2 * 5);
    bench.disk.complete(started + 1'000'000);
    using hvsim::sim::EventKind;
    const auto events = bench.platform.recorder.last_events();
    const auto find = [&](EventKind kind) {
        for (auto it = events.rbegin(); it != events.rend(); ++it)
            if (it->kind == kind) return *it;
        return hvsim::sim::Event{};
    };
    CHECK(find(EventKind::kScsiRequest).arguments ==
          std::array<std::uint64_t, 4>{42, 0x28, 8, 8192});
    CHECK(find(EventKind::kScsiComplete).arguments == std::array<std::uint64_t, 4>{42, 1, 0, 8192});
    CHECK(find(EventKind::kScsiComplete).time == started + 1'000'000);

    struct Sink : hvsim::sim::StatisticsSink {
        std::map<std::string, std::uint64_t> values;
        void add(std::string_view name, std::uint64_t value, std::string_view,
                 std::string_view) override {
            CHECK(values.emplace(name, value).second);
        }
    } sink;
    bench.provider.collect(sink);
    bench.server.collect(sink);
    CHECK(sink.values.at("storvsp.scsi0.reads") == 1);
    CHECK(sink.values.at("storvsp.scsi0.latency.read.max") == 1'000'000);
    CHECK(sink.values.at("storvsp.scsi0.latency.read.p99") == 1'000'000);
    CHECK(sink.values.at("vmbus.channel.1.packets_from_guest") == 5);
    CHECK(sink.values.at("vmbus.received.OpenChannel") == 1);
}

TEST_CASE("percentiles are upper bounds, at most a sixteenth too high") {
    LatencyHistogram histogram;
    CHECK(histogram.percentile(500) == 0);
    for (std::uint64_t i = 1; i <= 1000; ++i) histogram.add(i * 1000);
    for (const std::uint32_t permille : {1u, 10u, 500u, 900u, 990u, 999u}) {
        const std::uint64_t exact = permille * 1000;
        CHECK(histogram.percentile(permille) >= exact);
        CHECK(histogram.percentile(permille) <= exact + exact / 16);
    }
    CHECK(histogram.percentile(1000) == 1'000'000);
    histogram.add(~std::uint64_t{0});
    CHECK(histogram.percentile(1000) == ~std::uint64_t{0});
    LatencyHistogram small;
    for (std::uint64_t i = 0; i < 16; ++i) small.add(i);
    CHECK(small.percentile(500) == 7);
}
