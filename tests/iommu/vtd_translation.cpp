// DMA remapping: translation, each fault reason, caches.
#include <doctest/doctest.h>

#include "mmu/slat_table.h"
#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::iommu;
using namespace hvsim::iommu::vtd::test;

TEST_CASE("a request is translated through root, context and four levels") {
    Fixture f;
    DmaResult r = f.dma(f.kIova + 0xffe);
    REQUIRE(r.allowed);
    CHECK(r.address == f.kFrame + 0xffe);
    CHECK(r.length == 2);  // four bytes were asked for, the page ends
    CHECK(r.work.memory_references == 6);
    CHECK_FALSE(r.work.cache_hit);
    r = f.dma(f.kIova + 8, true);
    CHECK(r.allowed);
    CHECK(r.work.memory_references == 0);
    CHECK(r.work.cache_hit);
    CHECK(r.work.context_hit);
    CHECK(f.unit.counters().iotlb_hits == 1);
    CHECK(f.unit.counters().iotlb_misses == 1);
    CHECK(f.unit.counters().memory_references == 6);
    CHECK(f.recorded_reason() == 0);
}

TEST_CASE("without TE every request passes unchanged") {
    Fixture f;
    f.command(0, kTE);
    const DmaResult r = f.unit.translate({0xffff, 0x1'2345'6789, 0x10000, true}, 0);
    CHECK(r.allowed);
    CHECK(r.address == 0x1'2345'6789);
    CHECK(r.length == 0x10000);
    CHECK(r.work.memory_references == 0);
}

TEST_CASE("2 MiB and 1 GiB pages") {
    Fixture f;
    f.put(f.slot(f.kIova, 2), 0x0140'0000 | kRead | kPS);
    DmaResult r = f.dma();
    REQUIRE(r.allowed);
    CHECK(r.address == 0x0140'0000 + (f.kIova & 0x1fffff));
    CHECK(r.work.memory_references == 5);
    r = f.dma(f.kIova + 0x5000);  // the same entry of the IOTLB
    CHECK(r.address == 0x0140'5000 + (f.kIova & 0x1fffff));
    CHECK(r.work.cache_hit);

    Fixture g;
    g.put(g.slot(g.kIova, 3), 0x4000'0000 | kRead | kWrite | kPS);
    r = g.dma(g.kIova, true);
    REQUIRE(r.allowed);
    CHECK(r.address == 0x4000'0000 + (g.kIova & 0x3fffffff));
    CHECK(r.work.memory_references == 4);
}

TEST_CASE("three-level tables translate 39 bits") {
    Fixture f;
    f.set_context(f.kTop | 1, 1 | f.kDomain << 8);
    f.put(f.kTop + 8, 0x4000'0000 | kRead | kPS);
    CHECK(f.dma(0x4123'4567).address == 0x4123'4567);
    CHECK_FALSE(f.dma(std::uint64_t{1} << 39).allowed);
    CHECK(f.recorded_reason() == 4);
}

TEST_CASE("pass-through") {
    Fixture f;
    f.set_context(1 | 2 << 2, 2 | f.kDomain << 8);
    DmaResult r = f.dma(0x12'3456'7abc, true);
    CHECK(r.allowed);
    CHECK(r.address == 0x12'3456'7abc);
    CHECK(f.unit.counters().iotlb_misses == 0);
    r = f.dma(std::uint64_t{1} << 46);
    CHECK(r.fault_reason == 4);
}

TEST_CASE("each fault reason, its record and FPD") {
    struct Row {
        const char* what;
        std::uint64_t reason;
        bool qualified;
        void (*prepare)(Fixture&);
        std::uint64_t address = Fixture::kIova;
        bool is_write = false;
        AddressType type = AddressType::untranslated;
    };
    using F = Fixture;
    const Row rows[] = {
        {"root entry not present", 1, false, [](F& f) { f.put(f.kRoot + 16, f.kContexts); }},
        {"context entry not present", 2, true,
         [](F& f) { f.set_context(f.kTop, 2 | f.kDomain << 8); }},
        {"width not supported", 3, true, [](F& f) { f.set_context(f.kTop | 1, 3); }},
        {"width zero", 3, true, [](F& f) { f.set_context(f.kTop | 1, 0); }},
        {"translation type 1 without device TLBs", 3, true,
         [](F& f) { f.set_context(f.kTop | 1 | 1 << 2, 2); }},
        {"translation type 3", 3, true, [](F& f) { f.set_context(f.kTop | 1 | 3 << 2, 2); }},
        {"pass-through with a small width", 3, true,
         [](F& f) { f.set_context(f.kTop | 1 | 2 << 2, 1); }},
        {"address beyond the table", 4, true, [](F&) {}, std::uint64_t{1} << 48},
        {"write to a read-only page", 5, true,
         [](F& f) { f.put(f.slot(f.kIova, 1), f.kFrame | kRead); }, F::kIova, true},
        {"write through a read-only table", 5, true,
         [](F& f) { f.put(f.slot(f.kIova, 3), (f.get(f.slot(f.kIova, 3)) & ~kWrite)); }, F::kIova,
         true},
        {"write to nothing", 5, true, [](F& f) { f.put(f.slot(f.kIova, 1), 0); }, F::kIova, true},
        {"read of nothing", 6, true, [](F& f) { f.put(f.slot(f.kIova, 1), 0); }},
        {"read of a write-only page", 6, true,
         [](F& f) { f.put(f.slot(f.kIova, 1), f.kFrame | kWrite); }},
        {"table outside of memory", 7, true,
         [](F& f) { f.put(f.slot(f.kIova, 2), 0x1'0000'0000 | kRead | kWrite); }},
        {"top table outside of memory", 7, true, [](F& f) { f.set_context(0x1'0000'0001, 2); }},
        {"root table outside of memory", 8, false,
         [](F& f) {
             f.write64(0x20, 0x1'0000'0000);
             f.command(kSRTP);
         }},
        {"context table outside of memory", 9, false,
         [](F& f) { f.put(f.kRoot + 16, 0x1'0000'0001); }},
        {"reserved bit of a root entry", 0xa, false,
         [](F& f) { f.put(f.kRoot + 16, f.kContexts | 1 | 1 << 5); }},
        {"reserved high quadword of a root entry", 0xa, false,
         [](F& f) { f.put(f.kRoot + 24, 1); }},
        {"context table beyond the host's width", 0xa, false,
         [](F& f) { f.put(f.kRoot + 16, f.kContexts | 1 | std::uint64_t{1} << 46); }},
        {"reserved bit of a context entry", 0xb, true,
         [](F& f) { f.set_context(f.kTop | 1 | 1 << 4, 2); }},
        {"reserved bit 7 of a context entry's high half", 0xb, true,
         [](F& f) { f.set_context(f.kTop | 1, 2 | 1 << 7); }},
        {"reserved bit 24 of a context entry's high half", 0xb, true,
         [](F& f) { f.set_context(f.kTop | 1, 2 | 1 << 24); }},
        {"page beyond the host's width", 0xc, true,
         [](F& f) { f.put(f.slot(f.kIova, 1), f.kFrame | kRead | std::uint64_t{1} << 46); }},
        {"TM without device TLBs", 0xc, true,
         [](F& f) { f.put(f.slot(f.kIova, 1), f.kFrame | kRead | std::uint64_t{1} << 62); }},
        {"misaligned 2 MiB page", 0xc, true,
         [](F& f) { f.put(f.slot(f.kIova, 2), f.kFrame | 0x1000 | kRead | kPS); }},
        {"PS at level 4", 0xc, true,
         [](F& f) { f.put(f.slot(f.kIova, 4), f.get(f.slot(f.kIova, 4)) | kPS); }},
        {"translation request", 0xd, true, [](F&) {}, F::kIova, false,
         AddressType::translation_request},
        {"translated request", 0xd, true, [](F&) {}, F::kIova, false, AddressType::translated},
        {"mapping into the interrupt range", 0xe, true,
         [](F& f) { f.put(f.slot(f.kIova, 1), 0xfee0'0000 | kRead | kWrite); }},
        {"scalable mode", 0x31, false,
         [](F& f) {
             f.write64(0x20, f.kRoot | 1 << 10);
             f.command(kSRTP);
         }},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Fixture f;
        row.prepare(f);
        const DmaResult r = f.dma(row.address + 0x123, row.is_write, f.kSource, row.type);
        CHECK_FALSE(r.allowed);
        CHECK(r.address == 0);
        CHECK(r.fault_reason == row.reason);
        const std::uint64_t high = std::uint64_t{1} << 63 | f.kSource | row.reason << 32 |
                                   (row.is_write ? 0 : std::uint64_t{1} << 62) |
                                   static_cast<std::uint64_t>(row.type) << 60;
        CHECK(f.read64(0x208) == high);
        CHECK(f.read64(0x200) == (row.address & ~std::uint64_t{0xfff}));
        CHECK(f.read32(0x34) == 2);  // PPF, FRI 0
        CHECK(f.recorder.count(sim::EventKind::kDmaFault) == 1);
        // A fault is cached nowhere: mending the tables is enough.
        CHECK(f.unit.counters().dma_faults == 1);

        Fixture g;
        row.prepare(g);
        const std::uint64_t context = g.kContexts + 0x13 * 16;
        g.put(context, g.get(context) | 2);  // FPD
        CHECK(g.dma(row.address, row.is_write, g.kSource, row.type).fault_reason == row.reason);
        CHECK(g.recorded_reason() == (row.qualified ? 0 : row.reason));
    }
}

TEST_CASE("a large page into the interrupt range faults there only, cached or not") {
    Fixture f;
    f.put(f.slot(f.kIova, 2), 0xfee0'0000 | kRead | kWrite | kPS);
    const std::uint64_t base = f.kIova & ~std::uint64_t{0x1fffff};
    CHECK(f.dma(base + 0x10'0000).address == 0xfef0'0000);
    CHECK(f.dma(base + 0xf'f000).fault_reason == 0xe);
    CHECK(f.dma(base + 0x1f'ffff).allowed);
}

TEST_CASE("a table that points to itself ends with the levels") {
    Fixture f;
    for (unsigned i = 0; i < 512; ++i) f.put(f.kTop + i * 8, f.kTop | kRead | kWrite);
    const DmaResult r = f.dma(0xffff'ffff'f123);
    CHECK(r.allowed);
    CHECK(r.address == f.kTop + 0x123);
    CHECK(r.work.memory_references == 6);
}

TEST_CASE("rights that do not suffice are read again from memory") {
    Fixture f;
    f.put(f.slot(f.kIova, 1), f.kFrame | kRead);
    CHECK(f.dma().allowed);
    CHECK(f.dma(f.kIova, true).fault_reason == 5);
    f.put(f.slot(f.kIova, 1), f.kFrame | kRead | kWrite);
    CHECK(f.dma(f.kIova, true).allowed);
}

TEST_CASE("a small IOTLB replaces in turn and stays right") {
    vtd::VtdConfig config;
    config.iotlb = {2, 1};
    config.context_cache = {1, 1};
    Fixture f(config);
    for (std::uint64_t page = 0; page < 16; ++page)
        f.put(f.slot(f.kIova + page * 4096, 1), (f.kFrame + page * 4096) | kRead);
    for (int round = 0; round < 2; ++round)
        for (std::uint64_t page = 0; page < 16; ++page)
            CHECK(f.dma(f.kIova + page * 4096).address == f.kFrame + page * 4096);
    CHECK(f.unit.counters().iotlb_misses == 32);
    CHECK(f.dma(f.kIova + 15 * 4096).work.cache_hit);
}

TEST_CASE("IOTLB entries belong to a domain, not to a device") {
    Fixture f;
    // 01:00.0 in domain 8 has a table of its own; 01:00.1 shares domain 7.
    f.put(f.kContexts, 0x40'0001);
    f.put(f.kContexts + 8, 2 | 8 << 8);
    f.put(f.kContexts + 16, f.kTop | 1);
    f.put(f.kContexts + 24, 2 | f.kDomain << 8);
    CHECK(f.dma().allowed);
    CHECK(f.dma(f.kIova, false, 0x0100).fault_reason == 6);
    CHECK(f.dma(f.kIova, false, 0x0101).work.cache_hit);
}

TEST_CASE("the log keeps faults in turn, overflows, and reports the first one's index") {
    vtd::VtdConfig config;
    config.fault_records = 2;
    Fixture f(config);
    CHECK((f.read64(8) >> 40 & 0xff) == 1);  // CAP.NFR
    CHECK((f.read64(8) >> 24 & 0x3ff) == 0x20);
    f.dma(0x1000);
    CHECK(f.read32(0x34) == 2);
    f.dma(0x2000);
    f.dma(0x3000);
    CHECK(f.read32(0x34) == 3);  // PPF and PFO
    CHECK(f.read64(0x200) == 0x1000);
    CHECK(f.read64(0x210) == 0x2000);
    CHECK(f.unit.counters().faults_lost == 1);
    // Freed records are not used until PFO is cleared.
    f.write32(0x20c, 0x8000'0000);
    f.dma(0x4000);
    CHECK((f.read64(0x208) >> 63) == 0);
    CHECK(f.unit.counters().faults_lost == 2);
    f.write32(0x34, 1);
    CHECK(f.read32(0x34) == 2);
    f.write64(0x218, std::uint64_t{1} << 63);
    CHECK(f.read32(0x34) == 0);
    f.dma(0x5000);
    f.dma(0x6000);
    CHECK(f.read64(0x200) == 0x5000);
    CHECK(f.read64(0x210) == 0x6000);
    f.write64(0x208, std::uint64_t{1} << 63);
    f.write64(0x218, std::uint64_t{1} << 63);
    f.dma(0x7000);
    f.write64(0x208, std::uint64_t{1} << 63);
    f.dma(0x8000);
    CHECK(f.read32(0x34) == (2 | 1 << 8));  // the pending one is in record 1
    f.write32(0x200, ~0u);                  // other bits of a record are read-only
    f.write32(0x218, ~0u);
    CHECK(f.read64(0x210) == 0x8000);
    CHECK(f.read32(0x34) == (2 | 1 << 8));
}

TEST_CASE("the fault event is one message until software has cleared the status") {
    Fixture f;
    f.write32(0x3c, 0x4031);
    f.write32(0x40, 0xfee0'2000);
    f.write32(0x44, 0);
    f.dma(0x1000);
    CHECK(f.fabric.sent.empty());
    CHECK(f.read32(0x38) == 0xc000'0000);  // masked and pending
    f.write32(0x38, 0);
    REQUIRE(f.fabric.sent.size() == 1);
    CHECK(f.fabric.sent[0].message.vector == 0x31);
    CHECK(f.fabric.sent[0].message.destination == 2);
    CHECK(f.fabric.sent[0].time == 1000);
    CHECK(f.read32(0x38) == 0);
    f.dma(0x2000);
    CHECK(f.fabric.sent.size() == 1);
    f.write64(0x208, std::uint64_t{1} << 63);
    f.write64(0x218, std::uint64_t{1} << 63);
    f.dma(0x3000);
    REQUIRE(f.fabric.sent.size() == 2);
    CHECK(f.fabric.sent[1].time == 2000);
    // A pending event that software answers by clearing the status is never sent.
    f.write64(0x228, std::uint64_t{1} << 63);
    f.write32(0x38, 0x8000'0000);
    f.dma(0x4000);
    CHECK(f.read32(0x38) == 0xc000'0000);
    f.write64(0x238, std::uint64_t{1} << 63);
    CHECK(f.read32(0x38) == 0x8000'0000);
    f.write32(0x38, 0);
    CHECK(f.fabric.sent.size() == 2);
}

TEST_CASE("the fault event has a 32-bit destination in extended interrupt mode") {
    Fixture f;
    f.enable_interrupts(true);
    f.write32(0x3c, 0x31);
    f.write32(0x40, 0xfee2'1000);
    f.write32(0x44, 0x0123'4500);
    f.write32(0x38, 0);
    f.dma(0x1000);
    REQUIRE(f.fabric.sent.size() == 1);
    CHECK(f.fabric.sent[0].message.destination == 0x0123'4521);
    CHECK(f.fabric.sent[0].message.width == apic::DestinationWidth::x2apic);
    // An address elsewhere is a memory write.
    f.write32(0x40, 0x0033'0000);
    f.write32(0x44, 0);
    f.write64(0x208, std::uint64_t{1} << 63);
    f.dma(0x1000);
    CHECK(f.fabric.sent.size() == 1);
    CHECK((f.get(0x33'0000) & 0xffff'ffff) == 0x31);
}

TEST_CASE("a partition's EPT serves as second-stage table") {
    Fixture f;
    struct Pages final : mmu::TablePageAllocator {
        std::uint64_t next = 0x60'0000;
        std::optional<std::uint64_t> allocate() override { return next += 0x1000; }
        void release(std::uint64_t) override {}
    } pages;
    const auto table = mmu::make_ept_table(f.ram, pages, {});
    using enum mmu::SlatPageSize;
    constexpr auto kWriteBack = mmu::ept::MemoryType::write_back;
    REQUIRE(table->map(0x20'0000, 0x40'0000, size_2m, mmu::SlatRights::all(), kWriteBack) ==
            mmu::SlatStatus::ok);
    REQUIRE(table->map(0x5000, 0x9000, size_4k, mmu::SlatRights::read_only(), kWriteBack) ==
            mmu::SlatStatus::ok);
    const std::uint64_t root = mmu::ept::EPTP_ADDRESS::kMask & table->root_pointer();
    f.set_context(root | 1, 2 | f.kDomain << 8);
    CHECK(f.dma(0x20'1234, true).address == 0x40'1234);
    CHECK(f.dma(0x5004).address == 0x9004);
    CHECK(f.dma(0x5004, true).fault_reason == 5);
    REQUIRE(table->protect(0x5000, 0x1000, {}) == mmu::SlatStatus::ok);
    f.unit.flush_caches();
    CHECK(f.dma(0x5004).fault_reason == 6);
}

TEST_CASE("whatever memory and registers hold, the unit answers and stays within memory") {
    Fixture f;
    std::uint64_t seed = 7;
    const auto next = [&seed] {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return seed >> 16;
    };
    // Tables of rubbish that mostly points into themselves.
    for (std::uint64_t at = 0x10'0000; at < 0x14'0000; at += 8) {
        std::uint64_t entry = (0x10'0000 + next() % 64 * 4096) | (next() & 0x83);
        if (next() % 16 == 0) entry = next() << 20 ^ next();
        f.put(at, entry);
    }
    // A root table and context tables that are right in places.
    for (std::uint64_t at = 0x10'0000; at < 0x10'8000; at += 16) {
        if (next() % 4 == 0) continue;
        f.put(at, (0x10'1000 + next() % 63 * 4096) | 1);
        f.put(at + 8, at < 0x10'1000 ? 0 : 2 | (next() & 0xff) << 8);
    }
    f.write32(0x38, 0);
    std::uint64_t allowed = 0;
    for (int step = 0; step < 200'000; ++step) {
        const std::uint64_t choice = next() % 16;
        if (choice == 0) {
            f.unit.write_register(next() % 0x540, next() % 2 != 0 ? 4 : 8, next() << 16 ^ next(),
                                  static_cast<sim::Time>(step));
        } else if (choice == 1) {
            f.write64(0x20, 0x10'0000 + (next() % 2 != 0 ? 0 : next() % 64 * 4096));
            f.write32(0x18, kTE | kSRTP | (next() % 2 != 0 ? kIRE | kSIRTP : 0));
        } else if (choice == 2) {
            f.interrupt({0xfee0'0000 | (next() & 0xf'ffff), static_cast<std::uint32_t>(next())});
        } else {
            const std::uint64_t address = next() & 0xffff'ffff'ffff;
            const DmaResult r = f.unit.translate(
                {static_cast<SourceId>(next()), address, next() % 9000, next() % 2 != 0}, 0);
            REQUIRE(r.allowed == (r.fault_reason == 0));
            REQUIRE(r.work.memory_references <= 6);
            if (!r.allowed) continue;
            ++allowed;
            REQUIRE(r.length >= 1);
            REQUIRE((r.address & 0xfff) == (address & 0xfff));
        }
    }
    CHECK(allowed > 100);
    CHECK(f.unit.counters().dma_faults > 100);
}
