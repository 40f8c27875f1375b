// Guest paging without a second stage: formats, rights, error codes, A/D (SDM 3A chapter 4).
#include <doctest/doctest.h>

#include "tests/mmu/tables.h"

using namespace hvsim;
using namespace hvsim::mmu;
using namespace hvsim::mmu::test;

namespace {

constexpr std::uint64_t kLinear = 0x0000'7f12'3456'7abc;
constexpr std::uint64_t kFrame = 0x0000'0000'0200'0000;

/// A 4-level (or deeper) address space that maps kLinear to kFrame.
struct LongMode {
    Tables t;
    PagingState state;
    SecondStage stage;
    std::uint64_t pml4 = t.page();
    std::uint64_t root = pml4;

    explicit LongMode(std::uint64_t leaf = kP | kRW | kUS, std::uint64_t upper = kP | kRW | kUS,
                      unsigned levels = 4) {
        state.mode = levels == 5 ? PagingMode::level5 : PagingMode::level4;
        state.no_execute = true;
        state.write_protect = true;
        state.cr3 = root;
        stage.ram = &t.ram;
        t.put(entry(1, upper), kFrame | leaf);
    }
    unsigned levels() const { return state.mode == PagingMode::level5 ? 5 : 4; }
    std::uint64_t entry(unsigned level, std::uint64_t upper = kP | kRW | kUS) {
        return t.slot(root, levels(), kLinear, level, upper);
    }
    WalkResult go(Access access, bool user, bool implicit = false, std::uint64_t linear = kLinear) {
        return walk(state, stage, linear, {access, user, implicit});
    }
};

}  // namespace

TEST_CASE("4-level walk translates, sets A along the path and D on a write only") {
    LongMode m;
    WalkResult r = m.go(Access::read, true);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == kFrame + 0xabc);
    CHECK(r.system_physical == kFrame + 0xabc);
    CHECK(r.guest_page_shift == 12);
    CHECK(r.nested_page_shift == 63);
    CHECK(r.readable);
    CHECK_FALSE(r.writable);  // D is clear: the first write must come back
    CHECK(r.executable);
    CHECK(r.user_page);
    CHECK_FALSE(r.global_page);
    CHECK(r.steps.guest == 4);
    CHECK(r.steps.nested == 0);
    CHECK(r.steps.updates == 4);
    for (unsigned level = 1; level <= 4; ++level)
        CHECK((m.t.get(m.entry(level)) & (kA | kD)) == kA);

    r = m.go(Access::write, true);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.writable);
    CHECK(r.steps.updates == 1);
    CHECK((m.t.get(m.entry(1)) & (kA | kD)) == (kA | kD));
    CHECK((m.t.get(m.entry(2)) & (kA | kD)) == kA);

    r = m.go(Access::read, true);
    CHECK(r.writable);  // D is set by now
    CHECK(r.steps.updates == 0);
}

TEST_CASE("5-level walk") {
    LongMode m(kP | kRW | kUS | kG, kP | kRW | kUS, 5);
    WalkResult r = m.go(Access::read, true);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == kFrame + 0xabc);
    CHECK(r.steps.guest == 5);
    CHECK(r.global_page);
    // 57-bit canonical: bit 55 set with bit 56 clear is fine and simply not mapped.
    r = m.go(Access::read, true, false, 0x00ff'0000'0000'0000);
    CHECK(r.outcome == WalkOutcome::page_fault);
    r = m.go(Access::read, true, false, 0x0100'0000'0000'0000);
    CHECK(r.outcome == WalkOutcome::non_canonical);
    // PS is reserved in a PML5E.
    m.t.put(m.entry(5), m.t.get(m.entry(5)) | kPS);
    CHECK(m.go(Access::read, true).error_code == (1 | 4 | 8));
}

TEST_CASE("non-canonical addresses are no page faults") {
    LongMode m;
    CHECK(m.go(Access::read, false, false, 0x0000'8000'0000'0000).outcome ==
          WalkOutcome::non_canonical);
    CHECK(m.go(Access::read, false, false, 0xffff'7fff'ffff'ffff).outcome ==
          WalkOutcome::non_canonical);
    const WalkResult r = m.go(Access::read, false, false, 0xffff'8000'0000'0000);
    CHECK(r.outcome == WalkOutcome::page_fault);
    CHECK(r.error_code == 0);
    CHECK(r.linear == 0xffff'8000'0000'0000);
}

TEST_CASE("large pages of each level") {
    LongMode m;
    m.t.put(m.entry(2), 0x0240'0000 | kP | kRW | kUS | kPS);
    WalkResult r = m.go(Access::read, true);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_page_shift == 21);
    CHECK(r.guest_physical == 0x0240'0000 + (kLinear & 0x1fffff));
    CHECK(r.steps.guest == 3);
    m.t.put(m.entry(2), 0x0240'0000 | kP | kRW | kUS | kPS | 0x1000);  // PAT bit of a large page
    CHECK(m.go(Access::read, true).outcome == WalkOutcome::ok);
    m.t.put(m.entry(2), 0x0240'0000 | kP | kRW | kUS | kPS | 0x2000);  // bit 13 is reserved
    CHECK(m.go(Access::read, true).error_code == (1 | 4 | 8));

    m.t.put(m.entry(3), 0x4000'0000 | kP | kRW | kUS | kPS);
    r = m.go(Access::write, true);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_page_shift == 30);
    CHECK(r.guest_physical == 0x4000'0000 + (kLinear & 0x3fffffff));
    CHECK((m.t.get(m.entry(3)) & (kA | kD)) == (kA | kD));
    m.t.put(m.entry(3), 0x4000'0000 | kP | kRW | kUS | kPS | (1 << 29));
    CHECK(m.go(Access::read, true).error_code == (1 | 4 | 8));
    m.t.put(m.entry(3), 0x4000'0000 | kP | kRW | kUS | kPS);
    m.state.pages_1g = false;
    CHECK(m.go(Access::read, true).error_code == (1 | 4 | 8));
}

TEST_CASE("reserved bits at each level follow MAXPHYADDR and NXE") {
    for (unsigned level = 1; level <= 4; ++level) {
        CAPTURE(level);
        for (unsigned maxphyaddr : {36u, 46u, 51u}) {
            LongMode m;
            m.state.maxphyaddr = static_cast<std::uint8_t>(maxphyaddr);
            const std::uint64_t entry = m.entry(level);
            const std::uint64_t good = m.t.get(entry);
            m.t.put(entry, good | std::uint64_t{1} << maxphyaddr);
            WalkResult r = m.go(Access::write, false);
            CHECK(r.outcome == WalkOutcome::page_fault);
            CHECK(r.error_code == (1 | 2 | 8));
            CHECK((m.t.get(m.pml4 + (kLinear >> 39 & 511) * 8) & kA) == 0);
            m.t.put(entry, good | std::uint64_t{1} << 51);
            CHECK(m.go(Access::read, false).error_code == (1 | 8));
            m.t.put(entry, good | std::uint64_t{0x7ff} << 52);  // ignored bits
            CHECK(m.go(Access::read, false).outcome == WalkOutcome::ok);
            m.t.put(entry, good | kXD);
            CHECK(m.go(Access::read, false).outcome == WalkOutcome::ok);
            CHECK(m.go(Access::execute, false).error_code == (1 | 16));
            m.state.no_execute = false;
            CHECK(m.go(Access::read, false).error_code == (1 | 8));
        }
    }
    LongMode m;
    m.t.put(m.entry(4), m.t.get(m.entry(4)) | kPS);
    CHECK(m.go(Access::read, true).error_code == (1 | 4 | 8));
}

TEST_CASE("a not-present entry faults without P at each level, whatever its other bits") {
    for (unsigned level = 1; level <= 4; ++level) {
        LongMode m;
        m.t.put(m.entry(level), ~std::uint64_t{1});
        CHECK(m.go(Access::read, false).error_code == 0);
        CHECK(m.go(Access::write, false).error_code == 2);
        CHECK(m.go(Access::read, true).error_code == 4);
        CHECK(m.go(Access::execute, true).error_code == (4 | 16));
        CHECK(m.go(Access::execute, true, true).error_code == 16);
        m.state.no_execute = false;
        CHECK(m.go(Access::execute, false).error_code == 0);
        m.state.smep = true;
        CHECK(m.go(Access::execute, false).error_code == 16);
    }
}

TEST_CASE("every combination of rights, WP, SMEP, SMAP, AC, NXE and requester") {
    // Expected values are spelled from SDM 3A 4.6.1, statement by statement.
    for (unsigned n = 0; n < 1u << 13; ++n) {
        const bool leaf_user = n & 1, leaf_write = n & 2, leaf_xd = n & 4;
        const bool upper_user = n & 8, upper_write = n & 16, upper_xd = n & 32;
        const bool wp = n & 64, smep = n & 128, smap = n & 256, ac = n & 512, nxe = n & 1024;
        const bool cpl3 = n & 2048, implicit = n & 4096;
        if (!nxe && (leaf_xd || upper_xd)) continue;
        static LongMode m;
        m.state.write_protect = wp;
        m.state.smep = smep;
        m.state.smap = smap;
        m.state.alignment_check = ac;
        m.state.no_execute = nxe;
        const auto flags = [](bool user, bool write, bool xd) {
            return kP | (user ? kUS : 0) | (write ? kRW : 0) | (xd ? kXD : 0);
        };
        m.t.put(m.entry(3),
                (m.t.get(m.entry(3)) & 0xffffff000) | flags(upper_user, upper_write, upper_xd));
        const bool user_page = leaf_user && upper_user;
        const bool write_page = leaf_write && upper_write;
        const bool xd_page = leaf_xd || upper_xd;
        const bool supervisor = !cpl3 || implicit;
        for (Access access : {Access::read, Access::write, Access::execute}) {
            m.t.put(m.entry(1), kFrame | flags(leaf_user, leaf_write, leaf_xd));
            bool allowed = false;
            if (supervisor) {
                const bool smap_blocks = user_page && smap && (implicit || !ac);
                if (access == Access::read) allowed = !smap_blocks;
                if (access == Access::write) allowed = !smap_blocks && (write_page || !wp);
                if (access == Access::execute) allowed = !xd_page && !(user_page && smep);
            } else {
                if (access == Access::read) allowed = user_page;
                if (access == Access::write) allowed = user_page && write_page;
                if (access == Access::execute) allowed = user_page && !xd_page;
            }
            const WalkResult r = m.go(access, cpl3, implicit);
            CAPTURE(n);
            REQUIRE((r.outcome == WalkOutcome::ok) == allowed);
            if (allowed) {
                REQUIRE((access != Access::write || r.writable));
                REQUIRE((access == Access::write || !r.writable));  // D was clear
                continue;
            }
            REQUIRE(r.outcome == WalkOutcome::page_fault);
            std::uint32_t code = 1;
            if (access == Access::write) code |= 2;
            if (!supervisor) code |= 4;
            if (access == Access::execute && (smep || nxe)) code |= 16;
            REQUIRE(r.error_code == code);
            REQUIRE((m.t.get(m.entry(1)) & (kA | kD)) == 0);  // denied: nothing written
        }
    }
}

TEST_CASE("32-bit paging: 4 KiB, 4 MiB, PSE-36 and reserved bits") {
    Tables t;
    const std::uint64_t directory = t.page(), table = t.page();
    PagingState state;
    state.mode = PagingMode::bits32;
    state.cr3 = directory | 0x18;  // PWT and PCD are no address bits
    state.write_protect = true;
    SecondStage stage;
    stage.ram = &t.ram;
    constexpr std::uint64_t kAddress = 0x8040'3123;
    t.put32(directory + (kAddress >> 22) * 4, static_cast<std::uint32_t>(table | kP | kRW | kUS));
    t.put32(table + 3 * 4, 0xfffff000 | kP | kUS);
    WalkResult r = walk(state, stage, kAddress, {Access::read, true, false});
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == 0xffff'f123);
    CHECK(r.executable);
    CHECK(r.steps.guest == 2);
    CHECK((t.get32(table + 12) & (kA | kD)) == kA);
    CHECK(t.get32(table + 16) == 0);  // the neighbour entry is untouched
    CHECK(walk(state, stage, kAddress, {Access::write, true, false}).error_code == (1 | 2 | 4));
    // NXE does not exist here: no XD, no I/D bit.
    state.no_execute = true;
    CHECK(walk(state, stage, 0, {Access::execute, true, false}).error_code == 4);
    // The upper half of a linear address does not exist either.
    CHECK(walk(state, stage, 0xdead'0000'0000'0000 | kAddress, {Access::read, true, false})
              .guest_physical == 0xffff'f123);

    const std::uint64_t pde = directory + (kAddress >> 22) * 4;
    t.put32(pde, static_cast<std::uint32_t>(table | kP | kRW | kUS | kPS));
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).guest_page_shift == 12);
    state.page_size_extensions = true;
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS);
    r = walk(state, stage, kAddress, {Access::write, true, false});
    CHECK(r.guest_page_shift == 22);
    CHECK(r.guest_physical == (0x8000'0000 | (kAddress & 0x3fffff)));
    CHECK((t.get32(pde) & (kA | kD)) == (kA | kD));
    // PSE-36: bits 20:13 are address bits 39:32, bit 21 is reserved.
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS | 0x5a << 13);
    r = walk(state, stage, kAddress, {Access::read, true, false});
    CHECK(r.guest_physical == (0x5a'8000'0000 | (kAddress & 0x3fffff)));
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS | 1 << 21);
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).error_code == (1 | 4 | 8));
    state.maxphyaddr = 36;
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS | 0x0f << 13);
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).outcome == WalkOutcome::ok);
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS | 0x10 << 13);
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).error_code == (1 | 4 | 8));
    state.pse36 = false;
    t.put32(pde, 0x8000'0000 | kP | kRW | kUS | kPS | 0x01 << 13);
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).error_code == (1 | 4 | 8));
}

TEST_CASE("PAE paging takes its PDPTEs from the caller") {
    Tables t;
    const std::uint64_t directory = t.page(), table = t.page();
    PagingState state;
    state.mode = PagingMode::pae;
    state.no_execute = true;
    state.pdpte[3] = directory | kP;
    SecondStage stage;
    stage.ram = &t.ram;
    constexpr std::uint64_t kAddress = 0xc020'1fff;
    t.put(directory + 8, table | kP | kRW | kUS);
    t.put(table + 8, 0x1'2345'6000 | kP | kRW | kUS | kXD);
    WalkResult r = walk(state, stage, kAddress, {Access::write, true, false});
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == 0x1'2345'6fff);
    CHECK(r.steps.guest == 2);
    CHECK_FALSE(r.executable);
    CHECK(walk(state, stage, 0x1234, {Access::write, true, false}).error_code == (2 | 4));
    t.put(table + 8, 0x1'2345'6000 | kP | kRW | kUS | std::uint64_t{1} << 52);
    CHECK(walk(state, stage, kAddress, {Access::read, true, false}).error_code == (1 | 4 | 8));
    t.put(directory + 8, 0x4000'0000 | kP | kRW | kUS | kPS);
    r = walk(state, stage, kAddress, {Access::read, true, false});
    CHECK(r.guest_page_shift == 21);
    CHECK(r.guest_physical == 0x4000'1fff);
}

TEST_CASE("PDPTE loads report reserved bits of present entries") {
    Tables t;
    const std::uint64_t at = t.page() + 0x60;
    SecondStage stage;
    stage.ram = &t.ram;
    t.put(at, 0x1000 | kP);
    t.put(at + 8, 0x2000 | 0x1e6);  // not present: its bits do not matter
    PdpteLoad load = load_pdptes(stage, at | 0x1f, 46);
    CHECK_FALSE(load.reserved_bits_set);
    CHECK(load.pdpte[0] == 0x1001);
    CHECK(load.pdpte[1] == 0x21e6);
    CHECK(load.steps.guest == 4);
    for (std::uint64_t bad : {std::uint64_t{2}, std::uint64_t{4}, std::uint64_t{0x20},
                              std::uint64_t{0x100}, std::uint64_t{1} << 46, kXD}) {
        t.put(at + 24, 0x3000 | kP | bad);
        CHECK(load_pdptes(stage, at, 46).reserved_bits_set);
    }
    t.put(at + 24, 0x3000 | kP | 0x18 | 0xe00);
    CHECK_FALSE(load_pdptes(stage, at, 46).reserved_bits_set);
    CHECK(load_pdptes(stage, 0xf000'0000, 46).reserved_bits_set);  // outside RAM: all ones
}

TEST_CASE("without paging a linear address is physical and 32 bits wide") {
    sim::Ram ram(4096);
    SecondStage stage;
    stage.ram = &ram;
    const WalkResult r = walk({}, stage, 0x1'ffff'fff0, {Access::write, false, false});
    CHECK(r.outcome == WalkOutcome::ok);
    CHECK(r.system_physical == 0xffff'fff0);
    CHECK(r.readable);
    CHECK(r.writable);
    CHECK(r.executable);
    CHECK(r.steps.guest == 0);
}

TEST_CASE("tables outside RAM read as all ones: a reserved-bit fault") {
    sim::Ram ram(1 << 20);
    SecondStage stage;
    stage.ram = &ram;
    PagingState state;
    state.mode = PagingMode::level4;
    for (std::uint64_t cr3 : {std::uint64_t{1} << 20, std::uint64_t{0xfee0'0000},
                              std::uint64_t{0x000f'ffff'ffff'f000}}) {
        state.cr3 = cr3;
        const WalkResult r = walk(state, stage, ~std::uint64_t{0}, {Access::read, false, false});
        CHECK(r.outcome == WalkOutcome::page_fault);
        CHECK(r.error_code == (1 | 8));
    }
    // 32-bit entries of all ones are present and map the last page, or 4 MiB with reserved bit 21.
    state.mode = PagingMode::bits32;
    state.cr3 = 0xf000'0000;
    CHECK(walk(state, stage, 5, {Access::read, false, false}).guest_physical == 0xffff'f005);
    state.page_size_extensions = true;
    CHECK(walk(state, stage, 5, {Access::read, false, false}).error_code == (1 | 8));
}

TEST_CASE("a table that maps itself translates and keeps both flags") {
    Tables t;
    const std::uint64_t pml4 = t.page();
    t.put(pml4 + 510 * 8, pml4 | kP | kRW);
    PagingState state;
    state.mode = PagingMode::level4;
    state.cr3 = pml4;
    SecondStage stage;
    stage.ram = &t.ram;
    const std::uint64_t self = 0xffff'0000'0000'0000 | std::uint64_t{510} << 39 |
                               std::uint64_t{510} << 30 | 510 << 21 | 510 << 12;
    const WalkResult r = walk(state, stage, self + 8, {Access::write, false, false});
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == pml4 + 8);
    CHECK(t.get(pml4 + 510 * 8) == (pml4 | kP | kRW | kA | kD));
}

TEST_CASE("tables wrap at the ends of the address space") {
    LongMode m;
    const std::uint64_t top = ~std::uint64_t{0};
    m.t.put(m.t.slot(m.root, 4, top, 1, kP | kRW | kUS), 0x3fff000 | kP);
    const WalkResult r = m.go(Access::read, false, false, top);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == 0x3ffffff);
}
