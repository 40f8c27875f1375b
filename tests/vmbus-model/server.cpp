#include "vmbus-model/server.h"

#include <doctest/doctest.h>

#include "sim/error.h"
#include "tests/vmbus-model/fake_guest.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;
using spec::MessageType;
using spec::Version;

namespace {

struct Bench {
    explicit Bench(ServerConfig config = {}) : server(platform.environment, std::move(config)) {}
    FakePlatform platform;
    VmbusServer server;
    FakeGuest guest{platform, server};
    EchoProvider provider;

    /// Connected at `version` with one offered device, whose relid is 1.
    OfferId offered(Version version = Version::v5_3) {
        const OfferId id = server.offer(0, scsi_offer(), provider);
        REQUIRE(guest.connect(version));
        REQUIRE(guest.request_offers());
        return id;
    }
    /// ... and open, with GPADL 0xE1E10 over pages 16..31, half and half.
    OfferId opened(Version version = Version::v5_3) {
        const OfferId id = offered(version);
        REQUIRE(guest.create_gpadl(1, 0xE1E10, 16, 16) == 0u);
        ring.emplace(platform.memory, 16, 16, 8);
        REQUIRE(guest.open(1, 0xE1E10, 8, 1) == 0u);
        return id;
    }
    std::optional<GuestRing> ring;
};

Bytes first_message(Bench& bench) {
    const auto message = bench.guest.next();
    return message ? message->bytes : Bytes{};
}

}  // namespace

TEST_CASE("the version response has its golden bytes") {
    Bench bench;
    bench.guest.post(FakeGuest::contact(Version::v5_3));
    CHECK(first_message(bench) == hex("0f000000 00000000 01 00 0000 04000000"));
    Bench old({Version::v4_1, {}, {}, 4096, 64});
    old.guest.post(FakeGuest::contact(Version::v5_3));
    CHECK(first_message(old) == hex("0f000000 00000000 00 00 0000 00000000"));
    old.guest.post(FakeGuest::contact(Version::v4_1));
    CHECK(first_message(old) == hex("0f000000 00000000 01 00 0000 01000400"));
}

TEST_CASE("a guest that asks from the newest version down gets the newest that is allowed") {
    for (const Version max : spec::kVersions) {
        for (const bool refuse : {false, true}) {
            ServerConfig config;
            config.max_version = max;
            if (refuse) config.refused_versions = {max};
            Bench bench(config);
            CHECK(bench.platform.ports.messages.contains(1));
            CHECK(bench.platform.ports.messages.contains(4) == (max >= Version::v5_0));
            std::optional<Version> got;
            for (auto it = spec::kVersions.rbegin(); it != spec::kVersions.rend() && !got; ++it)
                if (bench.guest.connect(*it)) got = *it;
            if (refuse && max == Version::v2_4) {
                CHECK_FALSE(got);
                CHECK(bench.server.state() == ConnectionState::disconnected);
            } else {
                REQUIRE(got);
                CHECK(bench.server.version() == *got);
                CHECK((refuse ? *got < max : *got == max));
            }
        }
    }
}

TEST_CASE("versions that do not exist are refused") {
    Bench bench;
    for (const std::uint32_t version :
         {0u, 0x0000000du, 0x00010001u, 0x00020005u, 0x00050004u, 0x00060000u, 0xffffffffu}) {
        auto contact = FakeGuest::contact(Version::v5_3);
        contact.version = version;
        bench.guest.post(contact);
        const auto response = bench.guest.expect<spec::VersionResponse>();
        REQUIRE(response);
        CHECK(response->version_supported == 0);
    }
}

TEST_CASE("a contact of 5.0 or later for another SINT or VTL is refused, on that SINT") {
    Bench bench;
    auto contact = FakeGuest::contact(Version::v5_0);
    contact.interrupt_info = 5;
    bench.guest.post(contact);
    auto message = bench.guest.next();
    REQUIRE(message);
    CHECK(message->target.sint == 5);
    CHECK(unwire<spec::VersionResponse>(message->bytes).version_supported == 0);
    contact.interrupt_info = 0x0102;  // VTL 1
    bench.guest.post(contact);
    message = bench.guest.next();
    REQUIRE(message);
    CHECK(message->target.sint == 2);
    CHECK(unwire<spec::VersionResponse>(message->bytes).version_supported == 0);
    // A SINT that does not exist gets no answer and breaks nothing.
    contact.interrupt_info = 0xff;
    bench.guest.post(contact);
    CHECK(bench.guest.quiet());
    CHECK(bench.guest.connect(Version::v5_0));
}

TEST_CASE("either both monitor pages or none") {
    for (const Version version : spec::kVersions) {
        Bench bench;
        auto contact = FakeGuest::contact(version);
        contact.monitor_page_to_host = 0;
        bench.guest.post(contact);
        auto response = bench.guest.expect<spec::VersionResponse>();
        REQUIRE(response);
        CHECK(response->version_supported == 0);
        CHECK(response->connection_state == spec::kConnectionFailed);
        contact.monitor_page_to_guest = 0;
        bench.guest.post(contact);
        response = bench.guest.expect<spec::VersionResponse>();
        REQUIRE(response);
        CHECK(response->version_supported == 1);
    }
}

TEST_CASE("messages go to the VP that the contact named, before 3.0 always to VP 0") {
    for (const Version version : spec::kVersions) {
        Bench bench;
        bench.guest.post(FakeGuest::contact(version, 3));
        bench.guest.post(spec::RequestOffers{});
        for (int i = 0; i < 2; ++i) {
            const auto message = bench.guest.next();
            REQUIRE(message);
            CHECK(message->target.vp == (version == Version::v2_4 ? 0 : 3));
            CHECK(message->target.sint == 2);
        }
    }
}

TEST_CASE("an offer says all that the guest needs") {
    Bench bench;
    Offer offer = scsi_offer(9);
    offer.flags = spec::kOfferEnumerateInterface;
    offer.mmio_megabytes = 8;
    offer.user_defined[119] = 0x5a;
    bench.server.offer(0, offer, bench.provider);
    REQUIRE(bench.guest.connect(Version::v5_3));
    CHECK(bench.guest.quiet());  // offers wait for the request
    REQUIRE(bench.guest.request_offers());
    REQUIRE(bench.guest.offers.size() == 1);
    const spec::OfferChannel& got = bench.guest.offers.at(1).message;
    CHECK(got.interface_type == spec::kScsiType);
    CHECK(got.interface_instance == offer.instance);
    CHECK(got.flags == 1);
    CHECK(got.mmio_megabytes == 8);
    CHECK(got.user_defined[119] == 0x5a);
    CHECK(got.subchannel_index == 0);
    CHECK(got.monitor_allocated == 0);
    CHECK(got.is_dedicated == 1);
    CHECK(got.connection_id == 0x2001);
    CHECK(bench.platform.ports.events.empty());  // no signals before it is open
    CHECK_THROWS_AS(bench.server.offer(0, offer, bench.provider), hvsim::sim::ConfigError);
}

TEST_CASE("a whole life at every version") {
    for (const Version version : spec::kVersions) {
        Bench bench;
        bench.opened(version);
        CHECK(bench.provider.opened.size() == 1);
        CHECK(bench.platform.ports.events == std::multiset<std::uint32_t>{0x2001});

        auto& ring = *bench.ring;
        const Bytes packet = GuestRing::packet(spec::PacketType::inband, 7, true, {}, {1, 2, 3});
        CHECK(ring.write_raw(packet) == GuestRing::Wrote::signal);
        bench.guest.signal(1);
        const auto echo = ring.read();
        REQUIRE(echo);
        CHECK(echo->type == 11);
        CHECK(echo->transaction_id == 7);
        CHECK(echo->payload == Bytes{1, 2, 3, 0, 0, 0, 0, 0});
        CHECK(bench.platform.port.signals == std::vector<Signalled>{{1, 1}});

        bench.guest.post(spec::CloseChannel{{}, 1});
        CHECK(bench.guest.quiet());
        CHECK(bench.platform.ports.events.empty());
        bench.guest.post(spec::GpadlTeardown{{}, 1, 0xE1E10});
        CHECK(bench.guest.expect<spec::GpadlTorndown>()->gpadl == 0xE1E10);
        CHECK(bench.server.gpadls().size() == 0);

        // The same relid opens again.
        CHECK(bench.guest.create_gpadl(1, 0xE1E11, 40, 16) == 0u);
        GuestRing again(bench.platform.memory, 40, 16, 8);
        CHECK(bench.guest.open(1, 0xE1E11, 8) == 0u);

        bench.guest.post(spec::Unload{});
        if (version >= Version::v3_0) {
            CHECK(bench.guest.expect<spec::UnloadResponse>());
            CHECK(bench.server.state() == ConnectionState::disconnected);
            CHECK(bench.server.gpadls().size() == 0);
            CHECK(bench.provider.closed.back() == CloseReason::disconnect);
        } else {
            CHECK(bench.guest.quiet());  // 2.4 has no such message
            CHECK(bench.server.unknown_messages() == 1);
        }
    }
}

TEST_CASE("open and GPADL answers have their golden bytes") {
    Bench bench;
    // Four devices before it give relid 5.
    for (std::uint8_t i = 1; i <= 5; ++i) bench.server.offer(0, scsi_offer(i), bench.provider);
    REQUIRE(bench.guest.connect(Version::v5_3));
    REQUIRE(bench.guest.request_offers());
    Bytes header =
        hex("08000000 00000000 05000000 101e0e00 2800 0100 00400000 00000000"
            "1000000000000000 1100000000000000 1200000000000000 1300000000000000");
    bench.server.on_message(1, header);
    CHECK(first_message(bench) == hex("0a000000 00000000 05000000 101e0e00 00000000"));
    GuestRing ring(bench.platform.memory, 16, 4, 2);
    Bytes open = hex("05000000 00000000 05000000 05000000 101e0e00 01000000 02000000");
    open.resize(148);
    bench.server.on_message(2, open);
    CHECK(first_message(bench) == hex("06000000 00000000 05000000 05000000 00000000"));
}

TEST_CASE("every truncation of every message is counted and changes nothing") {
    const std::vector<Bytes> messages{wire(FakeGuest::contact(Version::v5_3)),
                                      wire(spec::RequestOffers{}),
                                      wire(spec::OpenChannel{}),
                                      wire(spec::CloseChannel{}),
                                      wire(spec::GpadlHeader{}),
                                      wire(spec::GpadlBody{}),
                                      wire(spec::GpadlTeardown{}),
                                      wire(spec::RelIdReleased{}),
                                      wire(spec::Unload{}),
                                      wire(spec::TlConnectRequest{}),
                                      wire(spec::ModifyChannel{})};
    Bench bench;
    bench.opened();
    std::uint64_t truncated = 0;
    for (const Bytes& whole : messages)
        for (std::size_t size = 0; size < whole.size(); ++size) {
            bench.server.on_message(1, std::span(whole).first(size));
            CHECK(bench.server.truncated_messages() == ++truncated);
        }
    CHECK(bench.guest.quiet());
    CHECK(bench.server.state() == ConnectionState::offering);
    CHECK(bench.server.channel(1)->state() == ChannelState::open);
    Bytes too_long = wire(spec::Unload{});
    too_long.resize(241);
    bench.server.on_message(1, too_long);
    CHECK(bench.server.truncated_messages() == ++truncated);
    // Longer than it need be is no error.
    too_long.resize(240);
    bench.server.on_message(1, too_long);
    CHECK(bench.guest.expect<spec::UnloadResponse>());
}

TEST_CASE("unknown types, the host's own types and types of later versions are ignored") {
    Bench bench;
    bench.opened(Version::v4_0);
    std::uint64_t unknown = 0;
    for (const std::uint32_t type :
         {0u,  1u,  2u,  4u,  6u,  10u, 12u, 15u, 17u, 18u, 19u,
          20u, 22u, 23u, 24u, 25u, 26u, 27u, 28u, 29u, 30u, 0x80000000u}) {
        Bytes bytes(240, 0);
        std::memcpy(bytes.data(), &type, 4);
        bench.server.on_message(1, bytes);
        CHECK(bench.server.unknown_messages() == ++unknown);
    }
    CHECK(bench.guest.quiet());
}

TEST_CASE("ModifyChannel moves the channel's interrupts and answers from 5.3 on") {
    for (const Version version : {Version::v4_1, Version::v5_2, Version::v5_3}) {
        Bench bench;
        bench.opened(version);
        bench.guest.post(spec::ModifyChannel{{}, 1, 3});
        const bool answers = version == Version::v5_3;
        const auto status = [&] { return bench.guest.expect<spec::ModifyChannelResponse>(); };
        if (answers) CHECK(status()->status == 0);
        bench.guest.post(spec::ModifyChannel{{}, 1, spec::kNoInterruptVp});
        if (answers) CHECK(status()->status == spec::kStatusUnsuccessful);
        bench.guest.post(spec::ModifyChannel{{}, 99, 2});
        if (answers) CHECK(status()->status == spec::kStatusUnsuccessful);
        CHECK(bench.guest.quiet());
        bench.ring->write_raw(GuestRing::packet(spec::PacketType::inband, 1, true, {}, {}));
        bench.guest.signal(1);
        CHECK(bench.platform.port.signals == std::vector<Signalled>{{3, 1}});
    }
}

TEST_CASE("TlConnectRequest is refused, with an answer where the version has one") {
    for (const Version version : {Version::v3_0, Version::v4_0, Version::v4_1, Version::v5_3}) {
        Bench bench;
        bench.offered(version);
        spec::TlConnectRequest request;
        request.endpoint = spec::kMouseType;
        request.service = spec::kVideoType;
        bench.guest.post(request);
        if (version >= Version::v4_1) {
            const auto result = bench.guest.expect<spec::TlConnectResult>();
            REQUIRE(result);
            CHECK(result->endpoint == spec::kMouseType);
            CHECK(result->service == spec::kVideoType);
            CHECK(result->status == 0xc0000236);
        }
        CHECK(bench.guest.quiet());
    }
}

TEST_CASE("a rescinded channel keeps its relid until the guest gives it back") {
    Bench bench;
    const OfferId id = bench.opened();
    bench.server.rescind(5, id);
    CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 1);
    CHECK(bench.provider.closed == std::vector<CloseReason>{CloseReason::rescinded});
    CHECK(bench.server.exists(id));

    // The device comes back at once: its offer waits for the old relid.
    const OfferId again = bench.server.offer(6, scsi_offer(), bench.provider);
    CHECK(bench.guest.quiet());

    bench.guest.post(spec::CloseChannel{{}, 1});
    CHECK(bench.server.unexpected(MessageType::kCloseChannel) == 0);
    bench.guest.post(spec::GpadlTeardown{{}, 1, 0xE1E10});
    CHECK(bench.guest.expect<spec::GpadlTorndown>()->gpadl == 0xE1E10);
    bench.guest.post(spec::RelIdReleased{{}, 1});
    CHECK_FALSE(bench.server.exists(id));
    const auto offer = bench.guest.expect<spec::OfferChannel>();
    REQUIRE(offer);
    CHECK(offer->relid == 1);
    CHECK(bench.server.channel(again)->state() == ChannelState::offered);
}

TEST_CASE("a new device is offered at once while the guest is connected") {
    Bench bench;
    bench.offered();
    bench.server.offer(3, scsi_offer(2), bench.provider);
    const auto offer = bench.guest.expect<spec::OfferChannel>();
    REQUIRE(offer);
    CHECK(offer->relid == 2);
}

TEST_CASE("a relid released without need is not offered again on this connection") {
    Bench bench;
    bench.offered();
    bench.guest.post(spec::RelIdReleased{{}, 1});
    CHECK(bench.guest.quiet());
    bench.server.offer(3, scsi_offer(2), bench.provider);
    CHECK(bench.guest.expect<spec::OfferChannel>()->interface_instance.bytes[0] == 2);
    REQUIRE(bench.guest.connect(Version::v5_3));
    REQUIRE(bench.guest.request_offers());
    CHECK(bench.guest.offers.size() == 2);
}

TEST_CASE("answers that promise the guest its memory wait until the provider let go") {
    Bench bench;
    bench.opened();
    bench.provider.hold = true;
    bench.guest.post(spec::CloseChannel{{}, 1});
    bench.guest.post(spec::GpadlTeardown{{}, 1, 0xE1E10});
    CHECK(bench.guest.quiet());

    SUBCASE("GpadlTorndown") {
        bench.provider.held.at(0)->release();
        CHECK(bench.guest.expect<spec::GpadlTorndown>()->gpadl == 0xE1E10);
        CHECK(bench.server.channel(1)->state() == ChannelState::offered);
    }
    SUBCASE("UnloadResponse") {
        bench.guest.post(spec::Unload{});
        CHECK(bench.guest.quiet());
        CHECK(bench.server.state() == ConnectionState::disconnecting);
        bench.guest.post(spec::RequestOffers{});  // out of order: counted
        CHECK(bench.server.unexpected(MessageType::kRequestOffers) == 1);
        bench.provider.held.at(0)->release();
        CHECK(bench.guest.quiet());
        REQUIRE(bench.server.work_pending());
        bench.guest.run_to_rest();
        CHECK(bench.guest.expect<spec::UnloadResponse>());
    }
    SUBCASE("VersionResponse; a later contact replaces an earlier wish") {
        bench.guest.post(spec::Unload{});
        bench.guest.post(FakeGuest::contact(Version::v4_1));
        bench.guest.post(FakeGuest::contact(Version::v5_2, 2));
        CHECK(bench.guest.quiet());
        bench.provider.held.at(0)->release();
        bench.guest.run_to_rest();
        const auto message = bench.guest.next();
        REQUIRE(message);
        CHECK(message->type() == 15);
        CHECK(message->target.vp == 2);
        CHECK(bench.server.version() == Version::v5_2);
        CHECK(bench.guest.quiet());
    }
    SUBCASE("a second open") {
        CHECK(bench.guest.create_gpadl(1, 0xE1E11, 40, 16) == 0u);
        GuestRing again(bench.platform.memory, 40, 16, 8);
        CHECK_FALSE(bench.guest.open(1, 0xE1E11, 8));  // no answer yet
        CHECK(bench.server.channel(1)->state() == ChannelState::closing_reopen);
        bench.provider.held.at(0)->release();
        CHECK(bench.guest.expect<spec::GpadlTorndown>());
        CHECK(bench.guest.expect<spec::OpenChannelResult>()->status == 0);
        CHECK(bench.server.channel(1)->state() == ChannelState::open);
    }
    SUBCASE("a device that is gone meanwhile") {
        bench.server.rescind(9, 1);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>());
        bench.guest.post(spec::RelIdReleased{{}, 1});
        CHECK(bench.server.exists(1));
        bench.provider.held.at(0)->release();
        bench.guest.run_to_rest();
        CHECK_FALSE(bench.server.exists(1));
    }
}

TEST_CASE("the ring's own buffer is not given back while the channel is open") {
    Bench bench;
    bench.opened();
    CHECK(bench.guest.create_gpadl(1, 77, 60, 2) == 0u);
    bench.guest.post(spec::GpadlTeardown{{}, 1, 0xE1E10});
    CHECK(bench.guest.quiet());
    bench.guest.post(spec::GpadlTeardown{{}, 1, 77});
    CHECK(bench.guest.expect<spec::GpadlTorndown>()->gpadl == 77);
    bench.guest.post(spec::CloseChannel{{}, 1});
    CHECK(bench.guest.expect<spec::GpadlTorndown>()->gpadl == 0xE1E10);
}

TEST_CASE("a contact on a live connection takes the old one down first") {
    Bench bench;
    bench.opened();
    REQUIRE(bench.guest.connect(Version::v4_1, 1));
    CHECK(bench.provider.closed == std::vector<CloseReason>{CloseReason::disconnect});
    CHECK(bench.server.gpadls().size() == 0);
    CHECK(bench.platform.ports.events.empty());
    CHECK(bench.server.version() == Version::v4_1);
    REQUIRE(bench.guest.request_offers());
    CHECK(bench.guest.create_gpadl(1, 0xE1E10, 16, 16) == 0u);
}

TEST_CASE("messages keep their order when the port has no buffers") {
    Bench bench;
    for (std::uint8_t i = 1; i <= 10; ++i) bench.server.offer(0, scsi_offer(i), bench.provider);
    bench.platform.port.buffers = 3;
    bench.guest.post(FakeGuest::contact(Version::v5_3));
    bench.guest.post(spec::RequestOffers{});
    CHECK(bench.platform.port.messages.size() == 3);
    CHECK(bench.server.queued_messages() == 9);
    while (bench.server.queued_messages() != 0) {
        bench.platform.port.buffers = 2;
        bench.server.retry_messages(5);
    }
    CHECK(bench.guest.next()->type() == 15);
    for (std::uint32_t i = 1; i <= 10; ++i)
        CHECK(bench.guest.expect<spec::OfferChannel>()->relid == i);
    CHECK(bench.guest.expect<spec::AllOffersDelivered>());
}

TEST_CASE("a guest that never takes its messages is made to wait, not served without end") {
    ServerConfig config;
    config.max_queued_messages = 5;
    Bench bench(config);
    bench.platform.port.buffers = 0;
    int accepted = 0;
    for (int i = 0; i < 100; ++i)
        if (bench.guest.post(spec::Unload{}) == MessageResult::accepted) ++accepted;
    CHECK(accepted == 5);
    CHECK(bench.server.queued_messages() == 5);
    bench.platform.port.buffers = 100;
    CHECK(bench.guest.post(spec::Unload{}) == MessageResult::accepted);
    CHECK(bench.platform.port.messages.size() == 6);
}

TEST_CASE("a partition reset forgets everything and answers nobody") {
    Bench bench;
    bench.opened();
    bench.server.reset(9);
    CHECK(bench.guest.quiet());
    CHECK(bench.server.state() == ConnectionState::disconnected);
    CHECK(bench.provider.closed == std::vector<CloseReason>{CloseReason::disconnect});
    CHECK(bench.guest.connect(Version::v5_3));
}

TEST_CASE("sub-channels share type and instance, come with the primary and go with it") {
    Bench bench;
    bench.opened();
    bench.server.offer_subchannels(*bench.provider.opened[0], 2);
    for (std::uint16_t i = 1; i <= 2; ++i) {
        bench.guest.next();
        const auto& offer = bench.guest.offers.at(1u + i).message;
        CHECK(offer.subchannel_index == i);
        CHECK(offer.interface_type == spec::kScsiType);
        CHECK(offer.interface_instance.bytes[0] == 1);
    }
    CHECK(bench.guest.create_gpadl(2, 50, 40, 8) == 0u);
    GuestRing ring(bench.platform.memory, 40, 8, 4);
    CHECK(bench.guest.open(2, 50, 4, 2) == 0u);
    CHECK(bench.provider.opened.at(1)->subchannel_index() == 1);

    SUBCASE("the guest closes the primary") {
        bench.guest.post(spec::CloseChannel{{}, 1});
        CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 2);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 3);
        CHECK(bench.provider.closed ==
              std::vector<CloseReason>{CloseReason::closed, CloseReason::rescinded});
        bench.guest.post(spec::RelIdReleased{{}, 2});
        bench.guest.post(spec::RelIdReleased{{}, 3});
        CHECK_FALSE(bench.server.exists(2));
        CHECK_FALSE(bench.server.exists(3));
        CHECK(bench.guest.quiet());
    }
    SUBCASE("the device goes") {
        bench.server.rescind(9, 1);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 2);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 3);
        CHECK(bench.guest.expect<spec::RescindChannelOffer>()->relid == 1);
    }
    SUBCASE("the guest unloads") {
        bench.guest.post(spec::Unload{});
        CHECK(bench.guest.expect<spec::UnloadResponse>());
        CHECK_FALSE(bench.server.exists(2));
        bench.guest.offers.clear();
        REQUIRE(bench.guest.connect(Version::v5_3));
        REQUIRE(bench.guest.request_offers());
        CHECK(bench.guest.offers.size() == 1);
    }
}

TEST_CASE("relids run out at 2047 and come back") {
    Bench bench;
    std::vector<Offer> offers(2050, scsi_offer());
    std::uint16_t number = 0;
    for (Offer& offer : offers) {
        offer.instance.bytes[0] = static_cast<std::uint8_t>(number);
        offer.instance.bytes[1] = static_cast<std::uint8_t>(number >> 8);
        ++number;
        bench.server.offer(0, offer, bench.provider);
    }
    REQUIRE(bench.guest.connect(Version::v5_3));
    REQUIRE(bench.guest.request_offers());
    CHECK(bench.guest.offers.size() == 2047);
    CHECK(bench.guest.offers.rbegin()->first == 2047);
    bench.server.rescind(1, 100);
    bench.guest.next();
    bench.guest.post(spec::RelIdReleased{{}, 100});
    CHECK(bench.guest.expect<spec::OfferChannel>()->relid == 100);
}

TEST_CASE("time, partition and costs of messages are recorded") {
    Bench bench;
    bench.opened();
    CHECK(bench.server.received(MessageType::kInitiateContact) == 1);
    CHECK(bench.server.sent(MessageType::kOfferChannel) == 1);
    CHECK(bench.platform.costs.total >= 4 * 100);
    const auto events = bench.platform.recorder.last_events();
    REQUIRE_FALSE(events.empty());
    CHECK(events.back().kind == hvsim::sim::EventKind::kVmbusMessage);
    CHECK(events.back().arguments == std::array<std::uint64_t, 4>{6, 1, 1, 20});
    CHECK(events.back().subject.partition == 2);
    CHECK(events.back().time == bench.guest.now);
}

TEST_CASE("the connections end with the server") {
    FakePlatform platform;
    {
        VmbusServer server(platform.environment, {});
        FakeGuest guest(platform, server);
        EchoProvider provider;
        server.offer(0, scsi_offer(), provider);
        REQUIRE(guest.connect(Version::v5_3));
        REQUIRE(guest.request_offers());
        REQUIRE(guest.create_gpadl(1, 50, 16, 6) == 0u);
        GuestRing ring(platform.memory, 16, 6, 3);
        REQUIRE(guest.open(1, 50, 3) == 0u);
        CHECK(platform.ports.messages == std::multiset<std::uint32_t>{1, 4});
        CHECK(platform.ports.events.size() == 1);
    }
    CHECK(platform.ports.messages.empty());
    CHECK(platform.ports.events.empty());
}

TEST_CASE("the same story twice gives the same digest") {
    const auto story = [](std::uint32_t vp) {
        Bench bench;
        bench.opened();
        bench.guest.post(spec::ModifyChannel{{}, 1, vp});
        for (int i = 0; i < 20; ++i)
            bench.ring->write_raw(GuestRing::packet(spec::PacketType::inband, 7, true, {}, {1}));
        bench.guest.signal(1);
        bench.server.rescind(99, 1);
        return bench.platform.recorder.digest().hex();
    };
    CHECK(story(2) == story(2));
    CHECK(story(2) != story(3));
}
