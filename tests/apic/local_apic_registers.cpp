// Register access, reserved bits, the mode state machine, ESR (SDM 3A 11.4, 11.5.3, 11.12).
#include "tests/apic/apic_machine.h"

using namespace hvsim;
using namespace hvsim::apic::test;
using spec::Access;

TEST_CASE("reset values") {
    Wires wires;
    LocalApicConfig config;
    config.id = 0x123;
    LocalApic apic(config, wires, wires);
    const auto read = [&](std::uint32_t offset) { return apic.mmio_read(offset, 4, 0); };
    CHECK(apic.read_msr(kMsrApicBase, 0) == 0xfee00800);
    CHECK(read(0x20) == 0x23000000);
    CHECK(read(0x30) == 0x01060015);
    CHECK(read(0xe0) == 0xffffffff);
    CHECK(read(0xf0) == 0xff);
    for (std::uint32_t offset : {0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370})
        CHECK(read(offset) == 0x10000);
    for (std::uint32_t offset : {0x80, 0xa0, 0xd0, 0x100, 0x180, 0x200, 0x280, 0x300, 0x310, 0x380})
        CHECK(read(offset) == 0);
    config.bootstrap_processor = true;
    config.eoi_broadcast_suppression = false;
    LocalApic bsp(config, wires, wires);
    CHECK(bsp.read_msr(kMsrApicBase, 0) == 0xfee00900);
    CHECK(bsp.mmio_read(0x30, 4, 0) == 0x00060015);
    bsp.mmio_write(0xf0, 4, 0xffffffff, 0);
    CHECK(bsp.mmio_read(0xf0, 4, 0) == 0x1ff);
}

TEST_CASE("xAPIC: writes change the writable bits of each register and nothing else") {
    for (const auto& row : spec::kRegisters) {
        if (row.xapic != Access::read_write || row.reg == spec::Register::esr) continue;
        CAPTURE(row.name);
        OneApic one;
        one.write(0xf0, 0x11ff);
        if (row.reg == spec::Register::icr_low) continue;  // sends
        one.write(row.offset, 0xffffffff);
        std::uint32_t expected = static_cast<std::uint32_t>(row.writable);
        if (row.reg == spec::Register::dfr) expected = 0xffffffff;
        CHECK(one.read(row.offset) == expected);
        one.write(row.offset, 0);
        // Clearing SVR masks the LVT, which the next case looks at.
        CHECK(one.read(row.offset) == (row.reg == spec::Register::dfr ? 0x0fffffffu : 0u));
    }
}

TEST_CASE("xAPIC: accesses to no register record an error; odd sizes have no effect") {
    OneApic one;
    for (std::uint32_t offset = 0; offset < 0x1000; offset += 16) {
        const auto* row = spec::find_register(offset);
        const bool present = row != nullptr && row->xapic != Access::absent;
        one.write(0x280, 0);
        one.read(offset);
        one.write(0x280, 0);
        CHECK(one.read(0x280) == (present ? 0u : 0x80u));
    }
    one.write(0x80, 0x1234);
    CHECK(one.read(0x80) == 0x34);
    one.apic.mmio_write(0x80, 1, 0x55, 0);
    one.apic.mmio_write(0x80, 8, 0x55, 0);
    one.apic.mmio_write(0x84, 4, 0x55, 0);
    CHECK(one.read(0x80) == 0x34);
    CHECK(one.apic.mmio_read(0x33, 1, 0) == 0x01);
    CHECK(one.apic.mmio_read(0x32, 1, 0) == 0x06);
    CHECK(one.apic.mmio_read(0x34, 4, 0) == 0);
    CHECK(one.apic.mmio_read(0x30, 8, 0) == 0x01060015);
    CHECK(one.apic.mmio_read(0xb0, 4, 0) == 0);  // write-only
    CHECK_FALSE(one.apic.read_msr(0x802, 0));    // no x2APIC MSRs in xAPIC mode
    CHECK_FALSE(one.apic.write_msr(0x80b, 0, 0));
}

TEST_CASE("x2APIC: absent, read-only and write-only registers are #GP for each MSR") {
    OneApic one;
    one.enter_x2apic();
    CHECK(one.apic.mode() == ApicMode::x2apic);
    CHECK(one.apic.mmio_read(0x30, 4, 0) == 0xffffffff);
    for (std::uint32_t msr = 0x800; msr <= 0x8ff; ++msr) {
        CAPTURE(msr);
        const auto* row = spec::find_register((msr - 0x800) * 16);
        const Access access = row == nullptr ? Access::absent : row->x2apic;
        CHECK(one.apic.read_msr(msr, 0).has_value() ==
              (access == Access::read_only || access == Access::read_write));
        if (access == Access::absent || access == Access::read_only)
            CHECK_FALSE(one.apic.write_msr(msr, 0, 0));
    }
}

TEST_CASE("x2APIC: each reserved bit of each register is #GP and changes nothing") {
    for (const auto& row : spec::kRegisters) {
        if (row.x2apic != Access::read_write && row.x2apic != Access::write_only) continue;
        for (unsigned bit = 0; bit < 64; ++bit) {
            CAPTURE(row.name);
            CAPTURE(bit);
            OneApic one;
            one.enter_x2apic();
            const LocalApicState before = one.apic.state();
            const std::uint64_t value = std::uint64_t{1} << bit;
            const bool destination = row.reg == spec::Register::icr_low && bit >= 32;
            const bool legal = destination || ((row.writable | row.ignored) & value) != 0;
            CHECK(one.apic.write_msr(row.msr(), value, 0) == legal);
            if (!legal) CHECK(one.apic.state() == before);
        }
    }
    LocalApicConfig config;
    config.eoi_broadcast_suppression = false;
    OneApic one(config);
    one.enter_x2apic();
    CHECK_FALSE(one.apic.write_msr(0x80f, 0x11ff, 0));
    CHECK(one.apic.write_msr(0x80f, 0x1ff, 0));
}

TEST_CASE("x2APIC id and logical id are derived, and what the manual names is lost on entry") {
    LocalApicConfig config;
    config.id = 0x12345;
    OneApic one(config);
    one.write(0x20, 0xaa000000);
    CHECK(one.read(0x20) == 0xaa000000);
    one.write(0xd0, 0x81000000);
    one.write(0x310, 0x77000000);
    one.write(0x80, 0x20);
    one.write(0x320, 0x55);
    one.enter_x2apic();
    CHECK(one.apic.read_msr(0x802, 0) == 0x12345);
    CHECK(one.apic.read_msr(0x80d, 0) == (0x1234u << 16 | 1u << 5));
    CHECK(one.apic.read_msr(0x830, 0) == 0);
    CHECK(one.apic.read_msr(0x808, 0) == 0x20);
    CHECK(one.apic.read_msr(0x832, 0) == 0x55);
    CHECK(one.apic.xapic_id() == 0x45);
    one.apic.init_reset();
    CHECK(one.apic.mode() == ApicMode::x2apic);
    CHECK(one.apic.read_msr(0x802, 0) == 0x12345);
    CHECK(one.apic.read_msr(0x832, 0) == 0x10000);
}

TEST_CASE("IA32_APIC_BASE: every transition of the state machine") {
    // From disabled, xAPIC, x2APIC to EN:EXTD = 00, 01, 10, 11 (SDM 3A figure 11-27).
    const std::uint64_t start[3] = {0, kEnable, kEnable | kExtend};
    const std::uint64_t target[4] = {0, kExtend, kEnable, kEnable | kExtend};
    const bool legal[3][4] = {
        {true, false, true, false}, {true, false, true, true}, {true, false, false, true}};
    for (unsigned from = 0; from < 3; ++from)
        for (unsigned to = 0; to < 4; ++to) {
            CAPTURE(from);
            CAPTURE(to);
            OneApic one;
            if (from == 0) REQUIRE(one.apic.write_msr(kMsrApicBase, 0xfee00000, 0));
            if (from == 2) one.enter_x2apic();
            const LocalApicState before = one.apic.state();
            CHECK(one.apic.write_msr(kMsrApicBase, 0xfee00000 | target[to], 0) == legal[from][to]);
            if (legal[from][to])
                CHECK(one.apic.read_msr(kMsrApicBase, 0) == (0xfee00000 | target[to]));
            else
                CHECK(one.apic.state() == before);
            CHECK(start[from] == (before.base & (kEnable | kExtend)));
        }
}

TEST_CASE("IA32_APIC_BASE: reserved bits, relocation, disabling forgets") {
    OneApic one;
    for (unsigned bit : {0u, 7u, 9u, 46u, 52u, 63u})
        CHECK_FALSE(one.apic.write_msr(kMsrApicBase, 0xfee00800 | std::uint64_t{1} << bit, 0));
    CHECK(one.apic.write_msr(kMsrApicBase, 0x3fff'fed4'0800, 0));
    CHECK(one.apic.base() == 0x3fff'fed4'0000);
    CHECK(one.read(0xf0) == 0x1ff);  // moving keeps the registers
    one.write(0x80, 0x30);
    CHECK(one.apic.write_msr(kMsrApicBase, 0xfee00000, 0));
    CHECK(one.apic.mode() == ApicMode::disabled);
    CHECK(one.read(0x30) == 0xffffffff);
    CHECK(one.accept(0x44) == Acceptance::dropped);
    CHECK(one.apic.write_msr(kMsrApicBase, 0xfee00800, 0));
    CHECK(one.read(0x80) == 0);
    CHECK(one.read(0xf0) == 0xff);
    LocalApicConfig config;
    config.x2apic = false;
    OneApic old(config);
    CHECK_FALSE(old.apic.write_msr(kMsrApicBase, 0xfee00c00, 0));
}

TEST_CASE("ESR shows what happened before its last write, and rearms the error interrupt") {
    OneApic one;
    one.write(0x370, 0xfe);
    one.accept(0x0f);
    CHECK(one.read(0x280) == 0);  // not before a write
    CHECK(one.apic.acknowledge(0) == 0xfe);
    one.apic.eoi(0);
    one.accept(0x00);  // no second interrupt until rearmed
    CHECK_FALSE(one.apic.highest_pending());
    one.write(0x280, 0xffffffff);
    CHECK(one.read(0x280) == 0x40);
    one.write(0x280, 0);
    CHECK(one.read(0x280) == 0);
    one.write(0x300, 0x4005);  // an IPI with an illegal vector
    CHECK(one.apic.acknowledge(0) == 0xfe);
    one.apic.eoi(0);
    one.write(0x280, 0);
    CHECK(one.read(0x280) == 0x20);
    CHECK(one.wires.sent.empty());
    // An illegal vector in the error entry itself.
    one.write(0x370, 0x00);
    one.accept(0x01);
    one.write(0x280, 0);
    CHECK(one.read(0x280) == 0x40);
    CHECK_FALSE(one.apic.highest_requested());

    one.enter_x2apic();
    CHECK_FALSE(one.apic.write_msr(0x828, 1, 0));
    CHECK(one.apic.write_msr(0x83f, 0x0a, 0));
    CHECK(one.apic.write_msr(0x828, 0, 0));
    CHECK(one.apic.read_msr(0x828, 0) == 0x60);
}

TEST_CASE("LVT sources: fixed, NMI, SMI, masked; a performance interrupt masks itself") {
    OneApic one;
    one.write(0x330, 0x51);
    one.apic.trigger_lvt(LvtEntry::thermal, 0);
    CHECK(one.apic.acknowledge(0) == 0x51);
    one.apic.eoi(0);
    one.write(0x340, 0x400);
    one.apic.trigger_lvt(LvtEntry::performance, 0);
    CHECK(one.apic.take_nmi());
    CHECK(one.read(0x340) == 0x10400);
    one.apic.trigger_lvt(LvtEntry::performance, 0);
    CHECK_FALSE(one.apic.has_nmi_pending());
    one.write(0x2f0, 0x200);
    one.apic.trigger_lvt(LvtEntry::cmci, 0);
    CHECK(one.apic.take_smi());
    CHECK_FALSE(one.apic.take_smi());
    one.write(0x330, 0x03);  // illegal vector
    one.apic.trigger_lvt(LvtEntry::thermal, 0);
    one.write(0x280, 0);
    CHECK(one.read(0x280) == 0x40);
}

TEST_CASE("LINT pins: edges, levels with remote IRR, polarity, ExtINT, NMI") {
    OneApic one;
    one.write(0x360, 0x400);
    one.apic.set_lint(1, true, 0);
    one.apic.set_lint(1, true, 0);
    CHECK(one.apic.take_nmi());
    CHECK_FALSE(one.apic.has_nmi_pending());

    one.write(0x350, 0x700);
    CHECK_FALSE(one.apic.ext_int_requested());
    one.apic.set_lint(0, true, 0);
    CHECK(one.apic.ext_int_requested());
    one.write(0x350, 0x10700);
    CHECK_FALSE(one.apic.ext_int_requested());

    one.write(0x350, 0x8062);  // level, and the pin is high already
    CHECK(one.read(0x350) == 0xc062);
    CHECK(one.apic.acknowledge(0) == 0x62);
    CHECK_FALSE(one.apic.highest_requested());
    one.apic.eoi(0);
    CHECK(one.apic.acknowledge(0) == 0x62);  // still asserted
    one.apic.set_lint(0, false, 0);
    one.apic.eoi(0);
    CHECK_FALSE(one.apic.highest_requested());
    CHECK(one.read(0x350) == 0x8062);

    one.write(0x350, 0x2063);  // active low, edge: turning the polarity is an edge
    CHECK(one.apic.acknowledge(0) == 0x63);
    one.apic.eoi(0);
    one.apic.set_lint(0, true, 0);
    CHECK_FALSE(one.apic.highest_requested());
    one.apic.set_lint(0, false, 0);
    CHECK(one.apic.highest_requested() == 0x63);

    // Without APIC the pins are INTR and NMI.
    CHECK(one.apic.write_msr(kMsrApicBase, 0xfee00000, 0));
    one.apic.set_lint(0, true, 0);
    CHECK(one.apic.ext_int_requested());
    one.apic.set_lint(1, false, 0);
    one.apic.set_lint(1, true, 0);
    CHECK(one.apic.take_nmi());
}
