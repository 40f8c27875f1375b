#include "vmbus-model/gpadl.h"

#include <doctest/doctest.h>

#include "tests/vmbus-model/fake_guest.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;
using Step = GpadlTable::Step;

namespace {

spec::GpadlHeader header(std::uint32_t handle, std::uint16_t length, std::uint16_t count = 1) {
    return {{}, 1, handle, length, count};
}

Bytes range(std::uint32_t length, std::uint32_t offset, const std::vector<std::uint64_t>& pages) {
    Bytes bytes(8 + pages.size() * 8);
    std::memcpy(bytes.data(), &length, 4);
    std::memcpy(bytes.data() + 4, &offset, 4);
    std::memcpy(bytes.data() + 8, pages.data(), pages.size() * 8);
    return bytes;
}

std::span<const std::uint8_t> part(const Bytes& bytes, std::size_t from, std::size_t size) {
    return std::span(bytes).subspan(from, size);
}

}  // namespace

TEST_CASE("a GPADL is put together from a header and bodies cut anywhere between units") {
    const Bytes whole = range(9 * 4096, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9});
    for (std::size_t first = 0; first <= whole.size(); first += 8) {
        for (std::size_t step = 8; step <= 32; step += 8) {
            GpadlTable table({});
            Step result = table.begin(header(7, static_cast<std::uint16_t>(whole.size())),
                                      part(whole, 0, first));
            std::size_t at = first;
            while (result == Step::incomplete) {
                const std::size_t size = std::min(step, whole.size() - at);
                std::uint32_t relid = 0;
                result = table.append(7, part(whole, at, size), relid);
                CHECK(relid == 1);
                at += size;
            }
            CHECK(result == Step::created);
            CHECK(at == whole.size());
            const Gpadl* gpadl = table.created(7, 1);
            REQUIRE(gpadl != nullptr);
            CHECK(gpadl->ranges.pages == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
            CHECK(gpadl->buffer.empty());
            CHECK(table.created(7, 2) == nullptr);
        }
    }
}

TEST_CASE("several ranges in one GPADL") {
    Bytes both = range(100, 4000, {5, 6});
    const Bytes second = range(4096, 0, {7});
    both.insert(both.end(), second.begin(), second.end());
    GpadlTable table({});
    CHECK(table.begin(header(7, static_cast<std::uint16_t>(both.size()), 2), both) ==
          Step::created);
    const Gpadl* gpadl = table.created(7, 1);
    REQUIRE(gpadl != nullptr);
    std::vector<GpaSegment> segments;
    gpadl->ranges.segments(150, segments);
    CHECK(segments ==
          std::vector<GpaSegment>{{5 * 4096 + 4000, 96}, {6 * 4096, 4}, {7 * 4096, 50}});
    CHECK(gpadl->ranges.byte_count() == 4196);
}

TEST_CASE("headers and bodies that lie are refused and leave nothing behind") {
    const Bytes good = range(4096, 0, {5});
    std::uint32_t relid = 0;
    GpadlTable table({});
    CHECK(table.begin(header(1, 0), {}) == Step::refused);             // nothing announced
    CHECK(table.begin(header(1, 16, 0), good) == Step::refused);       // no range
    CHECK(table.begin(header(1, 15), good) == Step::refused);          // no whole unit
    CHECK(table.begin(header(1, 8), good) == Step::refused);           // more than announced
    CHECK(table.begin(header(1, 16, 2), good) == Step::refused);       // second range missing
    CHECK(table.begin(header(1, 16, 0xffff), good) == Step::refused);  // 65535 ranges
    CHECK(table.begin(header(1, 16), range(4097, 0, {5})) == Step::refused);     // a page too few
    CHECK(table.begin(header(1, 24), range(4096, 0, {5, 6})) == Step::refused);  // one too many
    CHECK(table.begin(header(1, 16), range(16, 4096, {5})) == Step::refused);    // offset
    CHECK(table.begin(header(1, 16), range(16, 0, {1ull << 40})) == Step::refused);
    CHECK(table.append(1, good, relid) == Step::unknown);
    CHECK(table.size() == 0);
    CHECK(table.pages() == 0);

    // A body too many, a body too long, a body for a finished GPADL, an empty body.
    CHECK(table.begin(header(2, 24), part(good, 0, 8)) == Step::incomplete);
    CHECK(table.append(2, Bytes(24), relid) == Step::refused);
    CHECK(table.size() == 0);
    CHECK(table.begin(header(2, 16), good) == Step::created);
    CHECK(table.append(2, Bytes(8), relid) == Step::unknown);
    CHECK(table.begin(header(3, 24), part(good, 0, 8)) == Step::incomplete);
    CHECK(table.append(3, {}, relid) == Step::refused);
    CHECK(table.size() == 1);
    CHECK(table.pages() == 2);
}

TEST_CASE("a handle in use cannot be taken again and survives the attempt") {
    const Bytes good = range(4096, 0, {5});
    std::uint32_t relid = 0;
    GpadlTable table({});
    CHECK(table.begin(header(2, 16), good) == Step::created);
    CHECK(table.begin(header(2, 16), good) == Step::refused);
    CHECK(table.created(2, 1) != nullptr);
    CHECK(table.begin(header(3, 16), part(good, 0, 8)) == Step::incomplete);
    CHECK(table.begin(header(3, 16), good) == Step::refused);
    CHECK(table.append(3, part(good, 8, 8), relid) == Step::created);
}

TEST_CASE("the number of handles and pages is limited, whoever has them") {
    const Bytes good = range(4096, 0, {5});
    GpadlTable table({4, 1000});
    for (std::uint32_t handle = 1; handle <= 4; ++handle)
        CHECK(table.begin(header(handle, 16), good) == Step::created);
    CHECK(table.begin(header(5, 16), good) == Step::refused);
    table.erase(3);
    CHECK(table.begin(header(5, 16), good) == Step::created);

    // Announced pages count before they come.
    GpadlTable small({100, 8200});
    CHECK(small.begin(header(1, 65528), {}) == Step::incomplete);  // 8191 units
    CHECK(small.begin(header(2, 80), {}) == Step::refused);
    CHECK(small.begin(header(2, 72), {}) == Step::incomplete);
    small.erase_channel(1);
    CHECK(small.size() == 0);
    CHECK(small.pages() == 0);
}

TEST_CASE("a 16 MiB buffer arrives in 147 messages") {
    FakePlatform platform;
    VmbusServer server(platform.environment, {});
    FakeGuest guest(platform, server);
    EchoProvider provider;
    server.offer(0, scsi_offer(), provider);
    REQUIRE(guest.connect(spec::Version::v5_3));
    REQUIRE(guest.request_offers());
    CHECK(guest.create_gpadl(1, 9, 0x100, 4096) == 0u);
    CHECK(server.received(spec::MessageType::kGpadlBody) == 146);
    CHECK(server.gpadls().created(9, 1)->ranges.pages.back() == 0x100 + 4095);
    // Two GPADLs at once, their bodies interleaved.
    const Bytes one = range(2 * 4096, 0, {1, 2});
    const Bytes two = range(2 * 4096, 0, {3, 4});
    guest.post(header(20, 24), Bytes(one.begin(), one.begin() + 8));
    guest.post(header(21, 24), Bytes(two.begin(), two.begin() + 8));
    guest.post(spec::GpadlBody{{}, 0, 21}, Bytes(two.begin() + 8, two.end()));
    CHECK(guest.expect<spec::GpadlCreated>()->gpadl == 21);
    guest.post(spec::GpadlBody{{}, 0, 20}, Bytes(one.begin() + 8, one.end()));
    CHECK(guest.expect<spec::GpadlCreated>()->gpadl == 20);
    CHECK(server.gpadls().created(21, 1)->ranges.pages == std::vector<std::uint64_t>{3, 4});
    // A body for nobody is counted; a refused one is answered with the channel's relid.
    guest.post(spec::GpadlBody{{}, 0, 999}, Bytes(8));
    CHECK(guest.quiet());
    CHECK(server.unexpected(spec::MessageType::kGpadlBody) == 1);
    guest.post(header(30, 24), Bytes(8));
    guest.post(spec::GpadlBody{{}, 0, 30}, Bytes(32));
    const auto refused = guest.expect<spec::GpadlCreated>();
    REQUIRE(refused);
    CHECK(refused->relid == 1);
    CHECK(refused->gpadl == 30);
    CHECK(refused->status == spec::kStatusUnsuccessful);
}
