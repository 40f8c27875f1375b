// Interrupt remapping: formats, validation, each fault reason, the interrupt entry cache.
#include <doctest/doctest.h>

#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::iommu;
using namespace hvsim::iommu::vtd::test;

namespace {

/// A remapped-format entry: fixed, edge, vector and 32-bit destination.
constexpr std::uint64_t irte(std::uint8_t vector, std::uint32_t destination) {
    return 1 | std::uint64_t{vector} << 16 | std::uint64_t{destination} << 32;
}

}  // namespace

TEST_CASE("a remappable request becomes what its entry says") {
    Fixture f;
    f.enable_interrupts();
    f.set_irte(5, irte(0x41, 0x1234'5678));
    InterruptResult r = f.interrupt(f.request(5));
    REQUIRE(r.message);
    CHECK(r.message->vector == 0x41);
    CHECK(r.message->destination == 0x1234'5678);
    CHECK(r.message->width == apic::DestinationWidth::x2apic);
    CHECK(r.message->destination_mode == apic::DestinationMode::physical);
    CHECK(r.message->delivery_mode == apic::DeliveryMode::fixed);
    CHECK(r.message->trigger == apic::TriggerMode::edge);
    CHECK_FALSE(r.message->redirection_hint);
    CHECK(r.work.memory_references == 1);
    CHECK(f.interrupt(f.request(5)).work.cache_hit);
    // DM, RH, TM and each delivery mode.
    for (std::uint64_t mode : {0, 1, 2, 4, 5, 7}) {
        const auto index = static_cast<std::uint32_t>(16 + mode);
        f.set_irte(index, irte(0x99, 3) | 0b11100 | mode << 5);
        r = f.interrupt(f.request(index));
        REQUIRE(r.message);
        CHECK(r.message->delivery_mode == static_cast<apic::DeliveryMode>(mode));
        CHECK(r.message->destination_mode == apic::DestinationMode::logical);
        CHECK(r.message->trigger == apic::TriggerMode::level);
        CHECK(r.message->redirection_hint);
    }
    CHECK(f.unit.counters().interrupt_faults == 0);
}

TEST_CASE("without extended interrupt mode the destination has eight bits") {
    Fixture f;
    f.enable_interrupts(false);
    f.set_irte(1, irte(0x41, 0x0000'a500));
    const InterruptResult r = f.interrupt(f.request(1));
    REQUIRE(r.message);
    CHECK(r.message->destination == 0xa5);
    CHECK(r.message->width == apic::DestinationWidth::xapic);
}

TEST_CASE("handle, bit 15 of it and subhandle make the index") {
    Fixture f;
    f.enable_interrupts(true, 15);  // 65,536 entries
    f.set_irte(0x8123, irte(0x51, 1));
    CHECK(f.interrupt(f.request(0x8123)).message->vector == 0x51);
    f.set_irte(0x0a05, irte(0x52, 1));
    CHECK(f.interrupt(f.request(0x0a00, true, 5)).message->vector == 0x52);
    // Without SHV all of the data is ignored.
    f.set_irte(0x0a00, irte(0x53, 1));
    CHECK(f.interrupt(f.request(0x0a00, false, 0xffff'0005)).message->vector == 0x53);
    CHECK(f.interrupt(f.request(0xffff, true, 1)).fault_reason == 0x21);
}

TEST_CASE("disabled, requests pass in compatibility format") {
    Fixture f;
    InterruptResult r = f.interrupt({0xfee0'3000, 0x4055});
    REQUIRE(r.message);
    CHECK(r.message->destination == 3);
    CHECK(r.message->vector == 0x55);
    // The format bit means nothing then: handle 5 is destination 0 with the data as it is.
    r = f.interrupt({f.request(5).address, 0x66});
    REQUIRE(r.message);
    CHECK(r.message->destination == 0);
    CHECK(r.message->vector == 0x66);
    CHECK(f.unit.counters().interrupt_faults == 0);
}

TEST_CASE("compatibility format needs CFIS and is never for extended mode") {
    Fixture f;
    f.enable_interrupts(false);
    CHECK(f.interrupt({0xfee0'3000, 0x55}).fault_reason == 0x25);
    f.command(kCFI);
    CHECK(f.interrupt({0xfee0'3000, 0x55}).message);
    f.command(0, kCFI);
    CHECK_FALSE(f.interrupt({0xfee0'3000, 0x55}).message);
    Fixture g;
    g.enable_interrupts(true);
    g.command(kCFI);
    CHECK(g.interrupt({0xfee0'3000, 0x55}).fault_reason == 0x25);
}

TEST_CASE("each fault reason, its record and FPD") {
    struct Row {
        const char* what;
        std::uint64_t reason;
        std::uint64_t low, high;
        std::uint32_t handle = 7;
        std::uint32_t data = 0;
        bool qualified = true;
        bool extended = true;
        std::uint64_t recorded_index = 7;
    };
    constexpr std::uint64_t kGood = irte(0x41, 0x100);
    const Row rows[] = {
        {"reserved data", 0x20, kGood, 0, 7, 0x10000, false, true, 0},
        {"index", 0x21, kGood, 0, 256, 0, false, true, 256},
        {"not present", 0x22, 0, 0},
        {"reserved bit 12", 0x24, kGood | 1 << 12, 0},
        {"posted format", 0x24, kGood | 1 << 15, 0},
        {"reserved bit 24", 0x24, kGood | 1 << 24, 0},
        {"reserved high half", 0x24, kGood, 1 << 20},
        {"delivery mode 3", 0x24, kGood | 3 << 5, 0},
        {"delivery mode 6", 0x24, kGood | 6 << 5, 0},
        {"wide destination in 8-bit mode", 0x24, irte(0x41, 0x10000), 0, 7, 0, true, false},
        {"low destination bits in 8-bit mode", 0x24, irte(0x41, 1), 0, 7, 0, true, false},
        {"source id", 0x26, kGood, 0x0112 | 1 << 18},
        {"source bus below", 0x26, kGood, 0x0203 | 2 << 18},
        {"source bus above", 0x26, kGood, 0x0000 | 2 << 18},
        {"reserved SVT", 0x26, kGood, Fixture::kSource | 3 << 18},
        {"reserved bit and source id", 0x24, kGood | 1 << 12, 0x0112 | 1 << 18},
        {"not present and source id", 0x22, 0, 0x0112 | 1 << 18},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Fixture f;
        f.enable_interrupts(row.extended);
        f.set_irte(7, row.low, row.high);
        const InterruptResult r = f.interrupt(f.request(row.handle, row.data != 0, row.data));
        CHECK_FALSE(r.message);
        CHECK(r.fault_reason == row.reason);
        CHECK(f.recorded_reason() == row.reason);
        CHECK((f.read64(0x208) & 0xffff) == f.kSource);
        CHECK(f.read64(0x200) == row.recorded_index << 48);
        CHECK(f.recorder.count(sim::EventKind::kInterruptRemapFault) == 1);

        Fixture g;
        g.enable_interrupts(row.extended);
        g.set_irte(7, row.low | 2, row.high);
        CHECK(g.interrupt(g.request(row.handle, row.data != 0, row.data)).fault_reason ==
              row.reason);
        CHECK(g.recorded_reason() == (row.qualified ? 0 : row.reason));
    }
    Fixture f;
    f.write64(0xb8, 0x1'0000'0800 | 7);
    f.command(kSIRTP);
    f.command(kIRE);
    CHECK(f.interrupt(f.request(7)).fault_reason == 0x23);
    CHECK(f.recorded_reason() == 0x23);
}

TEST_CASE("source validation") {
    Fixture f;
    f.enable_interrupts();
    const auto allowed = [&](std::uint64_t high, SourceId source) {
        static std::uint32_t index = 0;
        index = (index + 1) % 256;
        f.set_irte(index, irte(0x41, 1), high);
        f.unit.flush_caches();
        return f.interrupt(f.request(index), source).message.has_value();
    };
    CHECK(allowed(0x0112, 0xffff));  // SVT 0: anybody
    CHECK(allowed(0x0112 | 1 << 18, 0x0112));
    CHECK_FALSE(allowed(0x0112 | 1 << 18, 0x0116));
    CHECK(allowed(0x0112 | 1 << 18 | 1 << 16, 0x0116));  // SQ 1: bit 2
    CHECK_FALSE(allowed(0x0112 | 1 << 18 | 1 << 16, 0x0110));
    CHECK(allowed(0x0112 | 1 << 18 | 2 << 16, 0x0114));  // SQ 2: bits 2:1
    CHECK_FALSE(allowed(0x0112 | 1 << 18 | 2 << 16, 0x0113));
    CHECK(allowed(0x0112 | 1 << 18 | 3 << 16, 0x0117));  // SQ 3: bits 2:0
    CHECK_FALSE(allowed(0x0112 | 1 << 18 | 3 << 16, 0x011a));
    CHECK(allowed(0x0205 | 2 << 18, 0x0200));  // SVT 2: buses 2 to 5
    CHECK(allowed(0x0205 | 2 << 18, 0x05ff));
    CHECK_FALSE(allowed(0x0205 | 2 << 18, 0x01ff));
    CHECK_FALSE(allowed(0x0205 | 2 << 18, 0x0600));
}

TEST_CASE("a changed entry is seen after the invalidation of its index, not before") {
    Fixture f;
    f.enable_interrupts();
    f.enable_queue();
    const auto vector = [&](std::uint32_t index) {
        return f.interrupt(f.request(index)).message->vector;
    };
    for (std::uint32_t i = 0; i < 16; ++i)
        f.set_irte(i, irte(static_cast<std::uint8_t>(0x40 + i), 1));
    for (std::uint32_t i = 0; i < 16; ++i) CHECK(vector(i) == 0x40 + i);
    for (std::uint32_t i = 0; i < 16; ++i)
        f.set_irte(i, irte(static_cast<std::uint8_t>(0x80 + i), 1));
    for (std::uint32_t i = 0; i < 16; ++i) CHECK(vector(i) == 0x40 + i);
    constexpr std::uint64_t kSelective = 1 << 4;
    f.submit(4 | kSelective | std::uint64_t{5} << 32);
    CHECK(vector(5) == 0x85);
    CHECK(vector(4) == 0x44);
    f.submit(4 | kSelective | std::uint64_t{2} << 27 | std::uint64_t{9} << 32);  // 8 to 11
    for (std::uint32_t i = 8; i < 12; ++i) CHECK(vector(i) == 0x80 + i);
    CHECK(vector(12) == 0x4c);
    CHECK(vector(7) == 0x47);
    f.submit(4);
    for (std::uint32_t i = 0; i < 16; ++i) CHECK(vector(i) == 0x80 + i);
    // An entry that was not present or wrong has not been cached.
    CHECK(f.interrupt(f.request(20)).fault_reason == 0x22);
    f.set_irte(20, irte(0x99, 1));
    CHECK(vector(20) == 0x99);
}

TEST_CASE("as an MSI sink it sends on what passes and nothing else") {
    Fixture f;
    f.enable_interrupts();
    f.set_irte(3, irte(0x61, 2), f.kSource | 1 << 18);
    const apic::InterruptSource device{apic::InterruptSource::Kind::device, f.kSource};
    f.unit.write_msi(f.request(3), device, 77);
    REQUIRE(f.fabric.sent.size() == 1);
    CHECK(f.fabric.sent[0].message.vector == 0x61);
    CHECK(f.fabric.sent[0].source == device);
    CHECK(f.fabric.sent[0].time == 77);
    const apic::InterruptSource io_apic{apic::InterruptSource::Kind::io_apic, 0xf0f8};
    f.unit.write_msi(f.request(3), io_apic, 78);
    CHECK(f.fabric.sent.size() == 1);
    CHECK((f.read64(0x208) & 0xffff) == 0xf0f8);
}
