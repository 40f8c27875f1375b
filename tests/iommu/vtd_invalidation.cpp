// Invalidation: what memory says now is seen afterwards, not before; the queue and its errors.
#include <doctest/doctest.h>

#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::iommu;
using namespace hvsim::iommu::vtd::test;

namespace {

constexpr std::uint64_t kOther = 0x0300'0000;

std::uint64_t context_descriptor(unsigned granularity, std::uint64_t domain = 0,
                                 std::uint64_t source = 0, std::uint64_t mask = 0) {
    return 1 | granularity << 4 | domain << 16 | source << 32 | mask << 48;
}
std::uint64_t iotlb_descriptor(unsigned granularity, std::uint64_t domain = 0) {
    return 2 | granularity << 4 | 3 << 6 | domain << 16;
}
constexpr std::uint64_t kWait = 5, kIF = 1 << 4, kSW = 1 << 5, kFN = 1 << 6;

/// Flips the leaf after it has been cached; true if the unit then sees the new frame.
template <typename Invalidate>
bool leaf_change_is_seen(Fixture& f, Invalidate invalidate) {
    f.put(f.slot(f.kIova, 1), f.kFrame | kRead | kWrite);
    f.write64(0x508, std::uint64_t{1} << 63 | std::uint64_t{1} << 60);
    if ((f.read32(0x1c) & kQIE) != 0) f.submit(iotlb_descriptor(1));
    REQUIRE(f.dma().address == f.kFrame);
    f.put(f.slot(f.kIova, 1), kOther | kRead | kWrite);
    REQUIRE(f.dma().address == f.kFrame);  // never before the invalidation
    invalidate();
    const std::uint64_t address = f.dma().address;
    REQUIRE((address == kOther || address == f.kFrame));
    return address == kOther;
}

}  // namespace

TEST_CASE("IOTLB invalidation by register: granularities and their answer") {
    Fixture f;
    const auto command = [&](std::uint64_t granularity, std::uint64_t domain = 0) {
        f.write64(0x508, std::uint64_t{1} << 63 | granularity << 60 | domain << 32);
        CHECK((f.read64(0x508) >> 63) == 0);
        return f.read64(0x508) >> 57 & 3;
    };
    CHECK(leaf_change_is_seen(f, [&] { CHECK(command(1) == 1); }));
    CHECK(leaf_change_is_seen(f, [&] { CHECK(command(2, f.kDomain) == 2); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { CHECK(command(2, 8) == 2); }));
    const auto page = [&](std::uint64_t address, std::uint64_t mask, std::uint64_t domain) {
        f.write64(0x500, address | mask);
        return command(3, domain);
    };
    CHECK(leaf_change_is_seen(f, [&] { CHECK(page(f.kIova, 0, f.kDomain) == 3); }));
    CHECK(leaf_change_is_seen(f, [&] { page(f.kIova & ~std::uint64_t{0x7fff}, 3, f.kDomain); }));
    CHECK(leaf_change_is_seen(f, [&] { page(f.kIova + 0x5000, 18, f.kDomain); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { page(f.kIova + 0x1000, 0, f.kDomain); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { page(f.kIova, 0, 8); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { CHECK(page(f.kIova, 19, f.kDomain) == 0); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { CHECK(command(0) == 0); }));
    // The command runs when the doubleword with IVT is written, not before.
    CHECK_FALSE(leaf_change_is_seen(f, [&] { f.write32(0x508, 0); }));
    CHECK(leaf_change_is_seen(f, [&] { f.write32(0x50c, 0x9000'0000); }));
}

TEST_CASE("context invalidation by register: granularities, function mask, answer") {
    Fixture f;
    const auto is_seen = [&](std::uint64_t command, std::uint64_t answer) {
        f.set_context(f.kTop | 1, 2 | f.kDomain << 8);
        f.write64(0x28, std::uint64_t{5} << 61);
        REQUIRE(f.dma().allowed);
        f.set_context(0, 0);
        REQUIRE(f.dma().allowed);
        f.write64(0x28, std::uint64_t{1} << 63 | command);
        CHECK((f.read64(0x28) >> 63) == 0);
        CHECK((f.read64(0x28) >> 59 & 3) == answer);
        return !f.dma().allowed;
    };
    constexpr std::uint64_t kGlobal = std::uint64_t{1} << 61, kDomainWide = std::uint64_t{2} << 61,
                            kDevice = std::uint64_t{3} << 61;
    CHECK(is_seen(kGlobal, 1));
    CHECK(is_seen(kDomainWide | f.kDomain, 2));
    CHECK_FALSE(is_seen(kDomainWide | 8, 2));
    CHECK(is_seen(kDevice | f.kDomain | std::uint64_t{f.kSource} << 16, 3));
    CHECK_FALSE(is_seen(kDevice | 8 | std::uint64_t{f.kSource} << 16, 3));
    CHECK_FALSE(is_seen(kDevice | f.kDomain | std::uint64_t{f.kSource ^ 1} << 16, 3));
    // FM leaves out function bit 2, bits 2:1, bits 2:0.
    CHECK(is_seen(kDevice | f.kDomain | std::uint64_t{f.kSource ^ 4} << 16 | std::uint64_t{1} << 32,
                  3));
    CHECK_FALSE(is_seen(
        kDevice | f.kDomain | std::uint64_t{f.kSource ^ 2} << 16 | std::uint64_t{1} << 32, 3));
    CHECK(is_seen(kDevice | f.kDomain | std::uint64_t{f.kSource ^ 6} << 16 | std::uint64_t{2} << 32,
                  3));
    CHECK(is_seen(kDevice | f.kDomain | std::uint64_t{f.kSource ^ 7} << 16 | std::uint64_t{3} << 32,
                  3));
    CHECK_FALSE(is_seen(
        kDevice | f.kDomain | std::uint64_t{f.kSource ^ 8} << 16 | std::uint64_t{3} << 32, 3));
    CHECK_FALSE(is_seen(0, 0));
}

TEST_CASE("invalidation by the queue") {
    Fixture f;
    f.enable_queue();
    CHECK(leaf_change_is_seen(f, [&] { f.submit(iotlb_descriptor(1)); }));
    CHECK(leaf_change_is_seen(f, [&] { f.submit(iotlb_descriptor(2, f.kDomain)); }));
    CHECK_FALSE(leaf_change_is_seen(f, [&] { f.submit(iotlb_descriptor(2, 9)); }));
    CHECK(leaf_change_is_seen(f, [&] { f.submit(iotlb_descriptor(3, f.kDomain), f.kIova); }));
    CHECK_FALSE(leaf_change_is_seen(
        f, [&] { f.submit(iotlb_descriptor(3, f.kDomain), f.kIova + 0x1000); }));
    // Two pages by address mask, hint bit included: kIova is the upper one of its pair.
    static_assert((Fixture::kIova >> 12 & 1) == 1);
    CHECK(leaf_change_is_seen(
        f, [&] { f.submit(iotlb_descriptor(3, f.kDomain), (f.kIova - 0x1000) | 1 | 1 << 6); }));
    // The registers are out of use while the queue is on.
    CHECK_FALSE(leaf_change_is_seen(f, [&] {
        f.write64(0x508, std::uint64_t{1} << 63 | std::uint64_t{1} << 60);
        CHECK((f.read64(0x508) >> 57 & 3) == 0);
    }));
    f.set_context(0, 0);
    CHECK(f.dma().allowed);
    f.submit(context_descriptor(3, f.kDomain, f.kSource ^ 1));
    CHECK(f.dma().allowed);
    f.submit(context_descriptor(3, f.kDomain, f.kSource ^ 1, 3));
    CHECK(f.dma().fault_reason == 2);
    CHECK(f.read64(0x80) == f.tail);
    CHECK(f.recorder.count(sim::EventKind::kIommuInvalidate) == f.tail / 16);
}

TEST_CASE("a page-selective invalidation inside a large page removes it") {
    Fixture f;
    f.enable_queue();
    f.put(f.slot(f.kIova, 2), 0x0140'0000 | kRead | kPS);
    CHECK(f.dma().allowed);
    f.put(f.slot(f.kIova, 2), 0x0160'0000 | kRead | kPS);
    f.submit(iotlb_descriptor(3, f.kDomain), f.kIova ^ 0x3000);
    CHECK(f.dma().address == 0x0160'0000 + (f.kIova & 0x1fffff));
}

TEST_CASE("wait descriptors write their status and raise the completion event") {
    Fixture f;
    f.enable_queue();
    f.put(f.kStatus, ~std::uint64_t{0});
    f.submit(kWait | kSW | kFN | std::uint64_t{0x1234'5678} << 32, f.kStatus);
    CHECK(f.get(f.kStatus) == 0xffff'ffff'1234'5678);
    CHECK(f.read32(0x9c) == 0);
    f.write32(0xa4, 0x42);
    f.write32(0xa8, 0xfee0'1000);
    f.submit(kWait | kIF);
    CHECK(f.read32(0x9c) == 1);
    CHECK(f.read32(0xa0) == 0xc000'0000);
    f.write32(0xa0, 0);
    REQUIRE(f.fabric.sent.size() == 1);
    CHECK(f.fabric.sent[0].message.vector == 0x42);
    CHECK(f.fabric.sent[0].message.destination == 1);
    f.submit(kWait | kIF);  // IWC is still set: no second event
    CHECK(f.fabric.sent.size() == 1);
    f.write32(0x9c, 1);
    f.submit(kWait | kIF);
    CHECK(f.fabric.sent.size() == 2);
    // A status outside of memory goes nowhere.
    f.submit(kWait | kSW, 0x1'0000'0000);
    CHECK(f.read32(0x34) == 0);
    // A pending event goes away with its cause.
    f.write32(0x9c, 1);
    f.write32(0xa0, 0x8000'0000);
    f.submit(kWait | kIF);
    CHECK(f.read32(0xa0) == 0xc000'0000);
    f.write32(0x9c, 1);
    CHECK(f.read32(0xa0) == 0x8000'0000);
}

TEST_CASE("descriptors that cannot be executed stop the queue") {
    struct Row {
        const char* what;
        std::uint64_t low, high, error;
    };
    const Row rows[] = {
        {"type 0", 0, 0, 3},
        {"device TLB without support", 3, 0, 3},
        {"PASID-based IOTLB", 6, 0, 3},
        {"type 15", 15, 0, 3},
        {"type with a high bit", 1 | 1 << 9 | 1 << 4, 0, 3},
        {"context: granularity 0", 1, 0, 4},
        {"context: reserved bit", 1 | 1 << 4 | 1 << 12, 0, 4},
        {"context: reserved high quadword", 1 | 1 << 4, 1, 4},
        {"IOTLB: granularity 0", 2, 0, 4},
        {"IOTLB: reserved bit", 2 | 1 << 4 | std::uint64_t{1} << 32, 0, 4},
        {"IOTLB: reserved bit of the address", 2 | 3 << 4, 1 << 7, 4},
        {"IOTLB: mask too large", 2 | 3 << 4, 19, 4},
        {"IEC: reserved bit", 4 | 1 << 12, 0, 4},
        {"IEC: mask too large", 4 | 1 << 4 | std::uint64_t{16} << 27, 0, 4},
        {"wait: reserved bit", 5 | 1 << 8, 0, 4},
        {"wait: misaligned address", 5 | 1 << 5, 2, 4},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Fixture f;
        f.enable_queue();
        f.write32(0x3c, 0x33);
        f.write32(0x40, 0xfee0'0000);
        f.write32(0x38, 0);
        f.submit(iotlb_descriptor(1));
        f.submit(row.low, row.high);
        CHECK(f.read32(0x34) == 0x10);  // IQE
        CHECK(f.read64(0xb0) == row.error);
        CHECK(f.read64(0x80) == 16);
        CHECK(f.fabric.sent.size() == 1);
        f.submit(kWait | kSW | std::uint64_t{1} << 32, f.kStatus);
        CHECK(f.get(f.kStatus) == 0);  // stopped
        // Software replaces the descriptor and clears IQE: the queue goes on.
        f.put(f.kQueue + 16, iotlb_descriptor(1));
        f.put(f.kQueue + 24, 0);
        f.write32(0x34, 0x10);
        CHECK(f.read32(0x34) == 0);
        CHECK(f.read64(0xb0) == 0);
        CHECK(f.get(f.kStatus) == 1);
        CHECK(f.read64(0x80) == f.tail);
    }
}

TEST_CASE("queues that cannot be read") {
    Fixture f;
    f.write64(0x90, 0x1'0000'0000);
    f.command(kQIE);
    f.write64(0x88, 16);
    CHECK(f.read32(0x34) == 0x10);
    CHECK(f.read64(0xb0) == 2);
    Fixture g;
    g.enable_queue();
    g.write64(0x88, 4096);  // the queue has one page
    CHECK(g.read64(0xb0) == 1);
    Fixture h;
    h.write64(0x90, h.kQueue | 1 << 11);  // 256-bit descriptors
    h.command(kQIE);
    h.write64(0x88, 32);
    CHECK(h.read64(0xb0) == 5);
}

TEST_CASE("the queue wraps, starts over when disabled, and keeps its base while enabled") {
    Fixture f;
    f.enable_queue();
    for (int i = 0; i < 600; ++i) f.submit(iotlb_descriptor(1));
    CHECK(f.unit.counters().invalidations == 600);
    CHECK(f.read64(0x80) == 600 * 16 % 4096);
    f.write64(0x90, 0x50'0000);
    CHECK(f.read64(0x90) == f.kQueue);
    f.command(0, kQIE);
    CHECK(f.read64(0x80) == 0);
    // Descriptors submitted while disabled run when it is enabled.
    f.put(f.kQueue, kWait | kSW | std::uint64_t{9} << 32);
    f.put(f.kQueue + 8, f.kStatus);
    f.write64(0x88, 16);
    CHECK(f.get(f.kStatus) == 0);
    f.command(kQIE);
    CHECK(f.get(f.kStatus) == 9);
}

TEST_CASE("a status write into the queue itself does not confuse the unit") {
    Fixture f;
    f.enable_queue();
    // The wait overwrites the descriptor behind it with an invalid type.
    f.put(f.kQueue, kWait | kSW | std::uint64_t{0xf} << 32);
    f.put(f.kQueue + 8, f.kQueue + 16);
    f.put(f.kQueue + 16, iotlb_descriptor(1));
    f.write64(0x88, 32);
    CHECK(f.read64(0x80) == 16);
    CHECK(f.read64(0xb0) == 3);
}

TEST_CASE("writes report how many invalidations they made") {
    Fixture f;
    CHECK(f.unit.write_register(0x508, 8, std::uint64_t{1} << 63 | std::uint64_t{1} << 60, 0) == 1);
    f.enable_queue();
    for (std::uint64_t i = 0; i < 3; ++i) {
        f.put(f.kQueue + i * 16, iotlb_descriptor(1));
        f.put(f.kQueue + i * 16 + 8, 0);
    }
    CHECK(f.unit.write_register(0x88, 8, 48, 0) == 3);
    CHECK(f.unit.write_register(0x88, 8, 48, 0) == 0);
}
