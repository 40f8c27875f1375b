// The register page: golden reset values, access rules, commands, state.
#include <doctest/doctest.h>

#include "sim/error.h"
#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::iommu;
using namespace hvsim::iommu::vtd::test;

TEST_CASE("reset values") {
    Fixture f;
    f.unit.reset();
    CHECK(f.read32(0x00) == 0x10);
    CHECK(f.read64(0x08) == 0x00d2'078c'202f'0606);
    CHECK(f.read64(0x10) == 0x0000'0000'00f0'50db);
    CHECK(f.read32(0x1c) == 0);
    CHECK(f.read32(0x38) == 0x8000'0000);
    CHECK(f.read32(0xa0) == 0x8000'0000);
    for (std::uint64_t offset : {0x18, 0x20, 0x24, 0x28, 0x34, 0x3c, 0x40,  0x44,  0x58,  0x64,
                                 0x80, 0x88, 0x90, 0x9c, 0xb0, 0xb8, 0x200, 0x500, 0x508, 0xffc})
        CHECK(f.read32(offset) == 0);
}

TEST_CASE("capabilities follow the configuration") {
    vtd::VtdConfig config;
    config.four_level = false;
    config.pages_1g = false;
    config.pass_through = false;
    config.extended_interrupts = false;
    config.fault_records = 1;
    Fixture f(config);
    CHECK((f.read64(0x08) >> 8 & 0x1f) == 2);    // SAGAW: 39 bits
    CHECK((f.read64(0x08) >> 16 & 0x3f) == 38);  // MGAW
    CHECK((f.read64(0x08) >> 34 & 0xf) == 1);    // 2 MiB
    CHECK((f.read64(0x10) & 0x50) == 0);         // PT, EIM
    CHECK(f.dma().fault_reason == 3);            // the fixture's table has four levels
}

TEST_CASE("impossible configurations") {
    sim::Ram ram(4096);
    Fabric fabric;
    const auto make = [&](auto change) {
        vtd::VtdConfig config;
        change(config);
        vtd::VtdUnit unit(config, ram, fabric, nullptr);
    };
    CHECK_THROWS_AS(make([](auto& c) { c.host_address_width = 31; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.host_address_width = 53; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.three_level = c.four_level = false; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.fault_records = 0; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.fault_records = 49; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.iotlb.sets = 3; }), sim::ConfigError);
    CHECK_THROWS_AS(make([](auto& c) { c.context_cache.ways = 0; }), sim::ConfigError);
    make([](auto& c) { c.fault_records = 48; });
}

TEST_CASE("every bit outside a register's writable mask stays") {
    Fixture f;
    f.unit.reset();
    for (const auto& row : vtd::spec::kRegisterTable) {
        if (row.access != vtd::spec::Access::read_write) continue;
        if (row.reg == vtd::spec::Register::iotlb || row.reg == vtd::spec::Register::ccmd) continue;
        INFO(row.name);
        if (row.width == 8) {
            f.write64(row.offset, ~std::uint64_t{0});
            CHECK(f.read64(row.offset) == row.writable);
            f.write32(row.offset + 4u, 0);
            CHECK(f.read64(row.offset) == (row.writable & 0xffff'ffff));
            f.write64(row.offset, 0);
        } else {
            f.write32(row.offset, 0xffff'ffff);
            CHECK(f.read32(row.offset) == row.writable);
            f.write32(row.offset, 0);
        }
    }
    for (const auto& row : vtd::spec::kRegisterTable) {
        if (row.access != vtd::spec::Access::read_only) continue;
        INFO(row.name);
        const std::uint64_t before = f.read32(row.offset);
        f.write32(row.offset, ~before);
        CHECK(f.read32(row.offset) == before);
    }
}

TEST_CASE("accesses that are not 4 or 8 bytes wide and aligned do nothing") {
    Fixture f;
    for (unsigned size : {1u, 2u, 3u, 16u}) {
        f.unit.write_register(0x3c, size, 0x55, 0);
        CHECK(f.unit.read_register(0x08, size) == 0);
    }
    f.unit.write_register(0x3d, 4, 0x55, 0);
    f.unit.write_register(0x3c, 8, 0x55, 0);
    CHECK(f.read32(0x3c) == 0);
    CHECK(f.unit.read_register(0x0c, 8) == 0);
    // An aligned quadword may cover two registers.
    f.write64(0x38, 0x0000'1234'8000'0000);
    CHECK(f.read32(0x3c) == 0x1234);
    CHECK(f.read64(0x38) == 0x0000'1234'8000'0000);
    CHECK(f.unit.read_register(~std::uint64_t{3}, 4) == 0);
    f.unit.write_register(0x1000, 4, 1, 0);
}

TEST_CASE("global commands are mirrored in the status one by one") {
    Fixture f;
    f.unit.reset();
    CHECK(f.read32(0x18) == 0);
    f.command(kSRTP);
    CHECK(f.read32(0x1c) == kSRTP);
    f.command(kTE);
    CHECK(f.read32(0x1c) == (kSRTP | kTE));
    f.command(kSIRTP);
    f.command(kIRE);
    f.command(kCFI);
    f.command(kQIE);
    CHECK(f.read32(0x1c) == (kSRTP | kTE | kSIRTP | kIRE | kCFI | kQIE));
    f.command(0, kTE);
    f.command(0, kCFI);
    CHECK(f.read32(0x1c) == (kSRTP | kSIRTP | kIRE | kQIE));
    CHECK(f.unit.counters().undefined_commands == 0);
    f.write32(0x18, 0);
    CHECK(f.read32(0x1c) == (kSRTP | kSIRTP));
    CHECK(f.unit.counters().undefined_commands == 1);
}

TEST_CASE("the root table pointer counts when it is set, not when it is written") {
    Fixture f;
    f.write64(0x20, 0x50'0000);
    CHECK(f.dma().allowed);
    f.command(kSRTP);
    CHECK(f.dma().allowed);  // the context cache still has the device
    f.write64(0x28, std::uint64_t{1} << 63 | std::uint64_t{1} << 61);
    CHECK(f.dma().fault_reason == 1);
}

TEST_CASE("state survives a save and a restore; caches are empty then") {
    Fixture f;
    f.enable_interrupts();
    f.dma(0x1000);
    f.dma();
    const vtd::VtdState saved = f.unit.state();
    Fixture g;
    g.unit.restore(saved);
    CHECK(g.unit.state() == saved);
    CHECK(g.read64(0x208) == f.read64(0x208));
    const DmaResult r = g.dma();
    CHECK(r.allowed);
    CHECK(r.work.memory_references == 6);
}
