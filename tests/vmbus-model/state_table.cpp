// Every message in every state of the connection and of a channel: what the tables say is what
// happens, and nothing else.
#include <doctest/doctest.h>

#include "tests/vmbus-model/fake_guest.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;
using spec::MessageType;
using spec::Version;

namespace {

struct Bench {
    FakePlatform platform;
    VmbusServer server{platform.environment, {}};
    FakeGuest guest{platform, server};
    EchoProvider provider;
    static constexpr std::uint32_t kRelid = 1;

    Bench() {
        server.offer(0, scsi_offer(1), provider);
        server.offer(0, scsi_offer(2), provider);
    }
    void reach(ConnectionState state) {
        if (state == ConnectionState::disconnected) return;
        REQUIRE(guest.connect(Version::v5_3));
        if (state == ConnectionState::connected) return;
        REQUIRE(guest.request_offers());
        if (state == ConnectionState::offering) return;
        reach_channel(ChannelState::closing);
        guest.post(spec::Unload{});
        REQUIRE(guest.quiet());
    }
    /// From `offering`; GPADL 50 is the ring's, 51 is another, 52 is unused by anybody.
    void reach_channel(ChannelState state) {
        REQUIRE(guest.create_gpadl(kRelid, 50, 16, 8) == 0u);
        REQUIRE(guest.create_gpadl(kRelid, 51, 32, 8) == 0u);
        if (state == ChannelState::offered) return;
        if (state == ChannelState::revoked) {
            server.rescind(1, 1);
            REQUIRE(guest.expect<spec::RescindChannelOffer>());
            return;
        }
        if (state == ChannelState::released) {
            guest.post(spec::RelIdReleased{{}, kRelid});
            return;
        }
        GuestRing ring(platform.memory, 16, 8, 4);
        REQUIRE(guest.open(kRelid, 50, 4) == 0u);
        if (state == ChannelState::open) return;
        provider.hold = true;
        guest.post(spec::CloseChannel{{}, kRelid});
        if (state == ChannelState::closing) return;
        GuestRing other(platform.memory, 32, 8, 4);
        REQUIRE_FALSE(guest.open(kRelid, 51, 4));
    }
    void post(MessageType type) {
        switch (type) {
            case MessageType::kInitiateContact:
                guest.post(FakeGuest::contact(Version::v5_3));
                return;
            case MessageType::kUnload:
                guest.post(spec::Unload{});
                return;
            case MessageType::kRequestOffers:
                guest.post(spec::RequestOffers{});
                return;
            case MessageType::kTlConnectRequest:
                guest.post(spec::TlConnectRequest{});
                return;
            case MessageType::kOpenChannel:
                guest.post(spec::OpenChannel{{}, kRelid, 9, 50, 0, 4, {}});
                return;
            case MessageType::kCloseChannel:
                guest.post(spec::CloseChannel{{}, kRelid});
                return;
            case MessageType::kGpadlHeader:
                guest.post(spec::GpadlHeader{{}, kRelid, 53, 16, 1},
                           hex("00100000 00000000 3000000000000000"));
                return;
            case MessageType::kGpadlBody:
                guest.post(spec::GpadlBody{{}, 0, 99});
                return;
            case MessageType::kGpadlTeardown:
                guest.post(spec::GpadlTeardown{{}, kRelid, 51});
                return;
            case MessageType::kModifyChannel:
                guest.post(spec::ModifyChannel{{}, kRelid, 1});
                return;
            case MessageType::kRelIdReleased:
                guest.post(spec::RelIdReleased{{}, kRelid});
                return;
            default:
                FAIL("not a message of the guest");
        }
    }
    std::uint64_t unexpected() const {
        std::uint64_t sum = 0;
        for (const auto& row : spec::kMessageTable) sum += server.unexpected(row.type);
        return sum;
    }
    std::vector<std::uint32_t> answers() {
        std::vector<std::uint32_t> types;
        while (const auto message = guest.next()) types.push_back(message->type());
        return types;
    }
};

using Answers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("connection: every message in every state") {
    struct Row {
        MessageType type;
        std::array<Answers, kConnectionStates> answers;
        std::array<bool, kConnectionStates> unexpected;
    };
    // disconnected, connected, offering (relid 1 is offered), disconnecting
    const std::vector<Row> rows{
        {MessageType::kInitiateContact, {{{15}, {15}, {15}, {}}}, {0, 0, 0, 0}},
        {MessageType::kUnload, {{{17}, {17}, {17}, {}}}, {0, 0, 0, 0}},
        {MessageType::kRequestOffers, {{{}, {1, 1, 4}, {}, {}}}, {1, 0, 1, 1}},
        {MessageType::kTlConnectRequest, {{{}, {23}, {23}, {}}}, {1, 0, 0, 1}},
        {MessageType::kOpenChannel, {{{}, {6}, {6}, {}}}, {1, 0, 0, 1}},
        {MessageType::kCloseChannel, {{{}, {}, {}, {}}}, {1, 1, 1, 1}},
        {MessageType::kGpadlHeader, {{{}, {10}, {10}, {}}}, {1, 0, 0, 1}},
        {MessageType::kGpadlBody, {{{}, {}, {}, {}}}, {1, 1, 1, 1}},
        {MessageType::kGpadlTeardown, {{{}, {}, {}, {}}}, {1, 1, 1, 1}},
        {MessageType::kModifyChannel, {{{}, {24}, {24}, {}}}, {1, 0, 0, 1}},
        {MessageType::kRelIdReleased, {{{}, {}, {}, {}}}, {1, 1, 0, 1}},
    };
    CHECK(rows.size() == kConnectionRules.size());
    for (const Row& row : rows)
        for (std::size_t state = 0; state < kConnectionStates; ++state) {
            CAPTURE(static_cast<std::uint32_t>(row.type));
            CAPTURE(state);
            Bench bench;
            bench.reach(static_cast<ConnectionState>(state));
            REQUIRE(static_cast<std::size_t>(bench.server.state()) == state);
            const std::uint64_t before = bench.unexpected();
            bench.post(row.type);
            CHECK(bench.answers() == row.answers[state]);
            CHECK(bench.unexpected() - before == (row.unexpected[state] ? 1 : 0));
        }
}

TEST_CASE("channel: every message that names one, in each of its states") {
    struct Row {
        MessageType type;
        // unoffered (no such relid), released, offered, open, closing, closing_reopen, revoked
        std::array<Answers, kChannelStates> answers;
        std::array<bool, kChannelStates> unexpected;
    };
    const std::vector<Row> rows{
        {MessageType::kOpenChannel, {{{6}, {6}, {6}, {6}, {}, {6}, {6}}}, {0, 0, 0, 0, 0, 0, 0}},
        {MessageType::kCloseChannel, {{{}, {}, {}, {}, {}, {6}, {}}}, {1, 1, 1, 0, 1, 0, 0}},
        {MessageType::kGpadlHeader,
         {{{10}, {10}, {10}, {10}, {10}, {10}, {10}}},
         {0, 0, 0, 0, 0, 0, 0}},
        {MessageType::kGpadlTeardown, {{{}, {}, {12}, {12}, {}, {}, {12}}}, {1, 1, 0, 0, 0, 0, 0}},
        {MessageType::kModifyChannel,
         {{{24}, {24}, {24}, {24}, {24}, {24}, {24}}},
         {0, 0, 0, 0, 0, 0, 0}},
        {MessageType::kRelIdReleased, {{{}, {}, {}, {}, {}, {}, {}}}, {1, 1, 0, 1, 0, 1, 0}},
    };
    CHECK(rows.size() == kChannelRules.size());
    for (const Row& row : rows)
        for (std::size_t state = 0; state < kChannelStates; ++state) {
            CAPTURE(static_cast<std::uint32_t>(row.type));
            CAPTURE(state);
            Bench bench;
            if (state == 0) {  // the relid was never given to anybody
                bench.reach(ConnectionState::offering);
                bench.guest.post(spec::RelIdReleased{{}, Bench::kRelid});
            } else {
                bench.reach(ConnectionState::offering);
                bench.reach_channel(static_cast<ChannelState>(state));
                REQUIRE(static_cast<std::size_t>(bench.server.channel(1)->state()) == state);
            }
            const std::uint64_t before = bench.unexpected();
            bench.post(row.type);
            CHECK(bench.answers() == row.answers[state]);
            CHECK(bench.unexpected() - before == (row.unexpected[state] ? 1 : 0));
        }
}
