#include <doctest/doctest.h>

#include <set>

#include "tests/vmbus-model/fake_guest.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;

TEST_CASE("GUIDs lie in memory with their first three groups turned round") {
    const Bytes nic{0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46,
                    0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e};
    CHECK(Bytes(spec::kNetworkType.bytes.begin(), spec::kNetworkType.bytes.end()) == nic);
    CHECK(spec::to_string(spec::kNetworkType) == "f8615163-df3e-46c5-913f-f2d2f965ed0e");
    spec::Guid guid;
    CHECK(spec::parse_guid("BA6163D9-04A1-4D29-B605-72E2FFB1DC7F", guid));
    CHECK(guid == spec::kScsiType);
    CHECK_FALSE(spec::parse_guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7", guid));
    CHECK_FALSE(spec::parse_guid("ba6163d9004a1-4d29-b605-72e2ffb1dc7f", guid));
    CHECK_FALSE(spec::parse_guid("ga6163d9-04a1-4d29-b605-72e2ffb1dc7f", guid));
    CHECK(guid == spec::kScsiType);
}

TEST_CASE("the message table has the numbers and sizes of the wire") {
    const std::vector<std::pair<std::uint32_t, std::size_t>> expected{
        {1, 196}, {2, 12}, {3, 8},   {4, 8},   {5, 148}, {6, 20},  {7, 12},
        {8, 20},  {9, 16}, {10, 20}, {11, 16}, {12, 12}, {13, 12}, {14, 40},
        {15, 16}, {16, 8}, {17, 8},  {21, 40}, {22, 16}, {23, 44}, {24, 16}};
    REQUIRE(spec::kMessageTable.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(static_cast<std::uint32_t>(spec::kMessageTable[i].type) == expected[i].first);
        CHECK(spec::kMessageTable[i].size == expected[i].second);
        CHECK(spec::message_row(expected[i].first) == i);
    }
    for (const std::uint32_t unknown : {0u, 18u, 19u, 20u, 25u, 29u, 0xffffffffu})
        CHECK(spec::message_row(unknown) == spec::kMessageTable.size());
}

TEST_CASE("messages have their golden bytes") {
    auto contact = FakeGuest::contact(spec::Version::v5_3);
    contact.monitor_page_to_guest = 0x1122334455667000;
    contact.monitor_page_to_host = 0x8000;
    CHECK(wire(contact) == hex("0e000000 00000000 03000500 00000000 0200 0000 00000000"
                               "0070665544332211 0080000000000000"));
    CHECK(wire(spec::RequestOffers{}) == hex("03000000 00000000"));

    spec::GpadlHeader header;
    header.relid = 5;
    header.gpadl = 0xE1E10;
    header.range_buffer_length = 0x18;
    header.range_count = 1;
    CHECK(wire(header) == hex("08000000 00000000 05000000 101e0e00 1800 0100"));

    spec::OpenChannel open;
    open.relid = 5;
    open.open_id = 5;
    open.ring_gpadl = 0xE1E10;
    open.target_vp = 1;
    open.downstream_page_offset = 32;
    Bytes expected = hex("05000000 00000000 05000000 05000000 101e0e00 01000000 20000000");
    expected.resize(148);
    CHECK(wire(open) == expected);
}

TEST_CASE("each message of the guest has a rule for each state of the connection, once") {
    std::set<spec::MessageType> seen;
    for (const ConnectionRule& row : kConnectionRules) CHECK(seen.insert(row.type).second);
    std::size_t to_host = 0;
    for (const auto& message : spec::kMessageTable)
        if (message.direction == spec::Direction::to_host) {
            ++to_host;
            CHECK(seen.contains(message.type));
        }
    CHECK(seen.size() == to_host);
    // A relid that does not exist is looked up in either of the first two columns.
    for (const ChannelRule& row : kChannelRules) CHECK(row.rules[0] == row.rules[1]);
}
