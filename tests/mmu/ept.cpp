// Two-dimensional walks through EPT: rights, qualifications, misconfigurations, A/D, nested TLB.
#include <doctest/doctest.h>

#include "tests/mmu/tables.h"

using namespace hvsim;
using namespace hvsim::mmu;
using namespace hvsim::mmu::test;

namespace {

constexpr std::uint64_t kR = 1, kW = 2, kX = 4, kWB = 6 << 3, kEptA = 0x100, kEptD = 0x200,
                        kXU = 0x400;
constexpr std::uint64_t kRWX = kR | kW | kX;
constexpr std::uint64_t kLinear = 0x0000'0012'3456'7abc;
constexpr std::uint64_t kGuestFrame = 0x7000;  ///< guest-physical
constexpr std::uint64_t kFrame = 0x0200'0000;  ///< system-physical
constexpr std::uint64_t kShift = 0x0100'0000;  ///< system minus guest address of guest tables

/// Guest tables at guest-physical [1 MiB, ...), behind EPT at system = guest + kShift; the guest
/// frame 0x7000 is mapped to kFrame.
struct Nested {
    Tables t;
    PagingState paging;
    SecondStage stage;
    std::uint64_t ept_root;
    std::uint64_t guest_root = 0x0010'0000;
    std::uint64_t guest_next = 0x0010'1000;

    Nested() {
        t.next = 0x0300'0000;
        ept_root = t.page();
        paging.mode = PagingMode::level4;
        paging.no_execute = true;
        paging.write_protect = true;
        paging.cr3 = guest_root;
        stage.ram = &t.ram;
        stage.kind = SecondStageKind::ept;
        stage.root = ept_root | 3 << 3 | 6;
        map(kGuestFrame, kFrame);
        std::uint64_t table = guest_root;
        map(table, table + kShift);
        for (unsigned level = 4; level > 1; --level) {
            t.put(guest_entry(table, level), guest_next | kP | kRW | kUS);
            table = guest_next;
            guest_next += 4096;
            map(table, table + kShift);
        }
        t.put(guest_entry(table, 1), kGuestFrame | kP | kRW | kUS);
    }
    static std::uint64_t guest_entry(std::uint64_t table, unsigned level) {
        return table + kShift + (kLinear >> (12 + 9 * (level - 1)) & 511) * 8;
    }
    /// System address of the guest's entry at `level`.
    std::uint64_t guest(unsigned level) const {
        return guest_entry(guest_root + (4 - level) * 4096, level);
    }
    std::uint64_t ept(std::uint64_t gpa, unsigned level = 1) {
        return t.slot(ept_root, 4, gpa, level, kRWX | kXU);
    }
    void map(std::uint64_t gpa, std::uint64_t spa, std::uint64_t flags = kRWX | kXU | kWB) {
        t.put(ept(gpa), spa | flags);
    }
    WalkResult go(Access access, bool user = true) {
        return walk(paging, stage, kLinear, {access, user, false});
    }
    void enable_ad() { stage.root |= 1 << 6; }
};

}  // namespace

TEST_CASE("a 4 x 4 level walk counts 24 references") {
    Nested n;
    const WalkResult r = n.go(Access::read);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.guest_physical == kGuestFrame + 0xabc);
    CHECK(r.system_physical == kFrame + 0xabc);
    CHECK(r.nested_page_shift == 12);
    CHECK(r.memory_type == 6);
    CHECK(r.steps.guest == 4);
    // Four tables for reading, the same four again for setting A, and the final page.
    CHECK(r.steps.nested == 36);
    CHECK(n.go(Access::read).steps.nested == 20);
    CHECK(n.go(Access::read).steps.guest == 4);
    // Without A/D enabled, EPT entries stay as they are.
    CHECK(n.t.get(n.ept(kGuestFrame)) == (kFrame | kRWX | kXU | kWB));
}

TEST_CASE("EPT rights of the final access and their exit qualification") {
    struct Row {
        std::uint64_t rights;
        Access access;
        bool allowed;
        std::uint64_t qualification;
    };
    const Row rows[] = {
        {0, Access::read, false, 0x181},          {0, Access::write, false, 0x182},
        {0, Access::execute, false, 0x184},       {kR, Access::read, true, 0},
        {kR, Access::write, false, 0x18a},        {kR, Access::execute, false, 0x18c},
        {kX, Access::read, false, 0x1a1},         {kX, Access::write, false, 0x1a2},
        {kX, Access::execute, true, 0},           {kR | kW, Access::write, true, 0},
        {kR | kW, Access::execute, false, 0x19c}, {kR | kX, Access::write, false, 0x1aa},
        {kR | kX, Access::execute, true, 0},      {kRWX, Access::write, true, 0},
    };
    for (const Row& row : rows) {
        Nested n;
        n.map(kGuestFrame, kFrame, row.rights | (row.rights != 0 ? kWB : 0));
        const WalkResult r = n.go(row.access);
        CAPTURE(row.rights);
        CAPTURE(row.qualification);
        if (row.allowed) {
            CHECK(r.outcome == WalkOutcome::ok);
            CHECK(r.readable == ((row.rights & kR) != 0));
            CHECK(r.executable == ((row.rights & kX) != 0));
            continue;
        }
        REQUIRE(r.outcome == WalkOutcome::nested_fault);
        CHECK(r.nested.kind == NestedFaultKind::ept_violation);
        CHECK(r.nested.information == row.qualification);
        CHECK(r.nested.guest_physical == kGuestFrame + 0xabc);
        CHECK(r.linear == kLinear);
    }
}

TEST_CASE("rights are the conjunction over all EPT levels") {
    for (unsigned level = 2; level <= 4; ++level) {
        Nested n;
        // An address of its own at each level, so that the guest's tables keep their rights.
        const std::uint64_t gpa = std::uint64_t{0x41} << (12 + 9 * (level - 1)) | 0x1000;
        const std::uint64_t leaf = n.t.slot(n.ept_root, 4, gpa, 1, kRWX);
        n.t.put(leaf, kFrame | kRWX | kWB);
        n.t.put(n.guest(1), gpa | kP | kRW | kUS);
        CHECK(n.go(Access::write).outcome == WalkOutcome::ok);
        const std::uint64_t upper = n.t.slot(n.ept_root, 4, gpa, level, kRWX);
        n.t.put(upper, n.t.get(upper) & ~kW);
        CHECK(n.go(Access::write).nested.information == 0x1aa);
        n.t.put(upper, n.t.get(upper) & ~kRWX);
        CHECK(n.go(Access::write).nested.information == 0x182);  // not present: 5:3 are clear
    }
}

TEST_CASE("violations on guest tables: bit 8 clear, reads and A/D updates apart") {
    Nested n;
    const std::uint64_t pd = n.guest_root + 2 * 4096;
    const std::uint64_t entry_gpa = n.guest(2) - kShift;
    n.map(pd, pd + kShift, 0);
    WalkResult r = n.go(Access::execute);
    CHECK(r.nested.information == 0x81);  // read, linear valid
    CHECK(r.nested.guest_physical == entry_gpa);
    // A read-only table serves the walk but not the update of its accessed flag.
    n.map(pd, pd + kShift, kR | kWB);
    r = n.go(Access::read);
    CHECK(r.nested.information == 0x8b);  // a read and write of a readable page
    CHECK(r.nested.guest_physical == entry_gpa);
    n.t.put(n.guest(2), n.t.get(n.guest(2)) | kA);
    CHECK(n.go(Access::read).outcome == WalkOutcome::ok);
    // With EPT A/D every access to a guest table is a write: bits 0 and 1 (SDM table 28-7).
    n.enable_ad();
    r = n.go(Access::read);
    CHECK(r.nested.information == 0x8b);
    CHECK(r.nested.kind == NestedFaultKind::ept_violation);
}

TEST_CASE("loads of PDPTEs have no linear address and are reads also with A/D enabled") {
    Nested n;
    n.enable_ad();
    n.map(0x9000, kFrame + 0x1000, kR | kWB);
    n.t.put(kFrame + 0x1020, 0x5001);
    PdpteLoad load = load_pdptes(n.stage, 0x9020, 46);
    CHECK(load.fault.kind == NestedFaultKind::none);
    CHECK(load.pdpte[0] == 0x5001);
    CHECK((n.t.get(n.ept(0x9000)) & (kEptA | kEptD)) == kEptA);
    n.map(0x9000, 0, 0);
    load = load_pdptes(n.stage, 0x9020, 46);
    CHECK(load.fault.kind == NestedFaultKind::ept_violation);
    CHECK(load.fault.information == 0x01);
    CHECK(load.fault.guest_physical == 0x9020);
}

TEST_CASE("EPT accessed and dirty flags") {
    Nested n;
    n.enable_ad();
    WalkResult r = n.go(Access::read);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK_FALSE(r.writable);  // neither guest D nor EPT D is set
    CHECK((n.t.get(n.ept(kGuestFrame)) & (kEptA | kEptD)) == kEptA);
    for (unsigned level = 2; level <= 4; ++level)
        CHECK((n.t.get(n.ept(kGuestFrame, level)) & (kEptA | kEptD)) == kEptA);
    CHECK((n.t.get(n.ept(n.guest_root)) & (kEptA | kEptD)) == (kEptA | kEptD));
    n.t.put(n.guest(1), n.t.get(n.guest(1)) | kD);
    CHECK_FALSE(n.go(Access::read).writable);  // EPT D still clear
    CHECK(n.go(Access::write).writable);
    CHECK((n.t.get(n.ept(kGuestFrame)) & kEptD) != 0);
    CHECK(n.go(Access::read).writable);
}

TEST_CASE("EPT misconfigurations (29.3.3.1)") {
    struct Row {
        const char* what;
        unsigned level;
        std::uint64_t set, clear;
        bool execute_only_supported, misconfigured;
    };
    const Row rows[] = {
        {"write-only", 1, 0, kR | kX, true, true},
        {"write and execute", 1, 0, kR, true, true},
        {"execute-only, supported", 1, 0, kR | kW, true, false},
        {"execute-only, unsupported", 1, 0, kR | kW, false, true},
        {"memory type 2", 1, 2 << 3, 7 << 3, true, true},
        {"memory type 3", 1, 3 << 3, 7 << 3, true, true},
        {"memory type 7", 1, 7 << 3, 0, true, true},
        {"memory type 0", 1, 0, 7 << 3, true, false},
        {"memory type 1", 1, 1 << 3, 7 << 3, true, false},
        {"memory type 4", 1, 4 << 3, 7 << 3, true, false},
        {"memory type 5", 1, 5 << 3, 7 << 3, true, false},
        {"IPAT", 1, 1 << 6, 0, true, false},
        {"bit 7 of a PTE is ignored", 1, 1 << 7, 0, true, false},
        {"address beyond MAXPHYADDR", 1, std::uint64_t{1} << 46, 0, true, true},
        {"address bit 51", 3, std::uint64_t{1} << 51, 0, true, true},
        {"ignored bits 63:52", 1, std::uint64_t{0xfff} << 52, 0, true, false},
        {"memory type in a PDE to a table", 2, 1 << 3, 0, true, true},
        {"IPAT in a PDPTE to a table", 3, 1 << 6, 0, true, true},
        {"PS in a PML4E", 4, 1 << 7, 0, true, true},
        {"bit 3 of a PML4E", 4, 1 << 3, 0, true, true},
        {"write-only PML4E", 4, 0, kR | kX, true, true},
        {"ignored bit 11", 2, 1 << 11, 0, true, false},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Nested n;
        n.stage.execute_only = row.execute_only_supported;
        // A guest-physical address apart from the tables: 512 GiB + 1 GiB + 2 MiB + 4 KiB.
        constexpr std::uint64_t kGpa = 0x80'4020'1000;
        const std::uint64_t leaf = n.t.slot(n.ept_root, 4, kGpa, 1, kRWX);
        n.t.put(leaf, kFrame | kRWX | kWB);
        n.t.put(n.guest(1), kGpa | kP | kRW | kUS | kA);
        const std::uint64_t entry = n.t.slot(n.ept_root, 4, kGpa, row.level, kRWX);
        n.t.put(entry, (n.t.get(entry) & ~row.clear) | row.set);
        const WalkResult r = n.go(Access::execute);
        if (row.misconfigured) {
            CHECK(r.nested.kind == NestedFaultKind::ept_misconfiguration);
            CHECK(r.nested.information == 0);
            CHECK(r.nested.guest_physical == (kGpa | 0xabc));
        } else {
            CHECK(r.outcome == WalkOutcome::ok);
        }
    }
}

TEST_CASE("EPT large pages, their reserved bits and missing 1 GiB support") {
    Nested n;
    constexpr std::uint64_t kGpa = 0x80'4020'1000;
    const std::uint64_t pde = n.t.slot(n.ept_root, 4, kGpa, 2, kRWX);
    n.t.put(n.guest(1), kGpa | kP | kRW | kUS);
    n.t.put(pde, kFrame | kRWX | kWB | kPS);
    WalkResult r = n.go(Access::read);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.nested_page_shift == 21);
    CHECK(r.system_physical == kFrame + 0x1abc);
    n.t.put(pde, kFrame | kRWX | kWB | kPS | 0x1000);
    CHECK(n.go(Access::read).nested.kind == NestedFaultKind::ept_misconfiguration);
    const std::uint64_t pdpte = n.t.slot(n.ept_root, 4, kGpa, 3, kRWX);
    n.t.put(pdpte, 0x4000'0000 | kRWX | kWB | kPS);
    r = n.go(Access::read);
    CHECK(r.nested_page_shift == 30);
    CHECK(r.system_physical == 0x4020'1abc);
    n.stage.pages_1g = false;
    CHECK(n.go(Access::read).nested.kind == NestedFaultKind::ept_misconfiguration);
    n.stage.pages_1g = true;
    n.t.put(pdpte, 0x4000'0000 | kRWX | kWB | kPS | 1 << 29);
    CHECK(n.go(Access::read).nested.kind == NestedFaultKind::ept_misconfiguration);
}

TEST_CASE("mode-based execute looks at the guest page's U/S, not at the privilege") {
    Nested n;
    n.stage.mode_based_execute = true;
    n.paging.no_execute = true;
    n.map(kGuestFrame, kFrame, kR | kX | kWB);  // supervisor-executable only
    WalkResult r = n.go(Access::execute, true);
    CHECK(r.nested.information == 0x1ac);
    CHECK_FALSE(n.go(Access::read, false).executable);
    n.map(kGuestFrame, kFrame, kR | kXU | kWB);
    CHECK(n.go(Access::execute, true).outcome == WalkOutcome::ok);
    n.t.put(n.guest(1), kGuestFrame | kP | kRW);  // a supervisor page now
    r = n.go(Access::execute, false);
    CHECK(r.nested.information == 0x1cc);  // readable, user-executable
    // XU alone makes an entry present only under the control.
    n.map(kGuestFrame, kFrame, kXU | kWB);
    CHECK(n.go(Access::read, false).nested.information == 0x1c1);
    n.stage.mode_based_execute = false;
    CHECK(n.go(Access::read, false).nested.information == 0x181);
}

TEST_CASE("guest-physical addresses beyond the table's width; tables outside RAM") {
    Nested n;
    WalkSteps steps;
    NestedTranslation r = translate_guest_physical(n.stage, std::uint64_t{1} << 48, {}, steps);
    CHECK(r.fault.kind == NestedFaultKind::ept_violation);
    CHECK(r.fault.information == 0x181);
    CHECK(steps.nested == 0);
    n.stage.root = 0xf000'0000 | 3 << 3 | 6;
    r = translate_guest_physical(n.stage, 0x1000, {}, steps);
    CHECK(r.fault.kind == NestedFaultKind::ept_misconfiguration);
    CHECK(steps.nested == 1);
}

TEST_CASE("five-level EPT") {
    Tables t;
    const std::uint64_t root = t.page();
    SecondStage stage;
    stage.ram = &t.ram;
    stage.kind = SecondStageKind::ept;
    stage.root = root | 4 << 3 | 6;
    constexpr std::uint64_t kGpa = 0x0005'0000'0000'3000;
    t.put(t.slot(root, 5, kGpa, 1, kRWX), kFrame | kRWX | kWB);
    WalkSteps steps;
    const NestedTranslation r = translate_guest_physical(stage, kGpa + 7, {}, steps);
    CHECK(r.fault.kind == NestedFaultKind::none);
    CHECK(r.system_physical == kFrame + 7);
    CHECK(steps.nested == 5);
}

TEST_CASE("guest page faults come before violations of the final page") {
    Nested n;
    n.map(kGuestFrame, 0, 0);
    n.t.put(n.guest(1), kGuestFrame | kP | kUS);
    CHECK(n.go(Access::write).error_code == (1 | 2 | 4));
}

TEST_CASE("nested TLB: a flipped EPT entry is seen after the invalidation, not before") {
    Nested n;
    NestedTlb tlb(64);
    n.stage.tlb = &tlb;
    REQUIRE(n.go(Access::write).system_physical == kFrame + 0xabc);
    const auto flip_and_check = [&](auto invalidate, std::uint64_t before, std::uint64_t after) {
        n.map(kGuestFrame, after);
        WalkResult r = n.go(Access::write);
        CHECK(r.system_physical == before + 0xabc);
        CHECK(r.steps.nested == 0);
        CHECK(r.steps.nested_tlb_hits == 5);
        invalidate();
        r = n.go(Access::write);
        CHECK(r.system_physical == after + 0xabc);
        CHECK(r.steps.nested > 0);
    };
    flip_and_check([&] { tlb.invalidate_all(); }, kFrame, kFrame + 0x1000);
    flip_and_check([&] { tlb.invalidate_root(n.stage.root); }, kFrame + 0x1000, kFrame + 0x2000);
    flip_and_check([&] { tlb.invalidate_page(n.stage.root, kGuestFrame); }, kFrame + 0x2000,
                   kFrame + 0x3000);
    // Invalidating another root changes nothing.
    n.map(kGuestFrame, kFrame);
    tlb.invalidate_root(n.stage.root + 0x1000);
    CHECK(n.go(Access::write).system_physical == kFrame + 0x3abc);
    // A cached not-allowed access is walked again, and what the walk finds counts.
    tlb.invalidate_all();
    n.map(kGuestFrame, kFrame, kR | kWB);
    CHECK(n.go(Access::read).outcome == WalkOutcome::ok);
    n.map(kGuestFrame, kFrame + 0x4000);
    CHECK(n.go(Access::write).system_physical == kFrame + 0x4abc);
}

TEST_CASE("nested TLB keeps D honest: the first write after reads sets it") {
    Nested n;
    NestedTlb tlb(64);
    n.stage.tlb = &tlb;
    n.enable_ad();
    CHECK(n.go(Access::read).outcome == WalkOutcome::ok);
    CHECK((n.t.get(n.ept(kGuestFrame)) & kEptD) == 0);
    CHECK(n.go(Access::write).writable);
    CHECK((n.t.get(n.ept(kGuestFrame)) & kEptD) != 0);
    CHECK(n.go(Access::write).steps.nested == 0);
}

TEST_CASE("whatever memory holds, a walk ends with an answer") {
    Tables t;
    std::uint64_t seed = 11;
    const auto next = [&seed] {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return seed >> 16;
    };
    // 64 pages of rubbish that mostly point to each other.
    constexpr std::uint64_t kBase = 0x10'0000;
    for (std::uint64_t at = kBase; at < kBase + 64 * 4096; at += 8) {
        std::uint64_t entry = (kBase + next() % 64 * 4096) | (next() & 0x83) | kRWX;
        if (next() % 8 == 0) entry = next() << 20 ^ next();
        t.put(at, entry);
    }
    unsigned counts[4] = {};
    NestedTlb tlb(16);
    for (int step = 0; step < 300'000; ++step) {
        SecondStage stage;
        stage.ram = &t.ram;
        stage.kind = static_cast<SecondStageKind>(next() % 3);
        stage.root = (kBase + next() % 64 * 4096) | (next() & 0x40) | (next() % 2 + 3) << 3;
        stage.npt_mode = static_cast<NptMode>(next() % 4);
        stage.mode_based_execute = next() % 2 != 0;
        stage.tlb = next() % 2 != 0 ? &tlb : nullptr;
        PagingState paging;
        paging.mode = static_cast<PagingMode>(next() % 5);
        paging.page_size_extensions = next() % 2 != 0;
        paging.no_execute = next() % 2 != 0;
        paging.smap = next() % 2 != 0;
        paging.cr3 = kBase + next() % 64 * 4096;
        for (std::uint64_t& pdpte : paging.pdpte) pdpte = t.get(kBase + next() % 64 * 8);
        const AccessRequest request{static_cast<Access>(next() % 3), next() % 2 != 0,
                                    next() % 4 == 0};
        const WalkResult r = walk(paging, stage, next() << 16 ^ next(), request);
        ++counts[static_cast<unsigned>(r.outcome)];
        REQUIRE(r.steps.guest <= 5);
        REQUIRE(r.steps.nested <= 5 * 11);
        if (r.outcome != WalkOutcome::ok) {
            REQUIRE_FALSE((r.readable || r.writable || r.executable));
            continue;
        }
        if (request.access == Access::read) REQUIRE(r.readable);
        if (request.access == Access::write) REQUIRE(r.writable);
        if (request.access == Access::execute) REQUIRE(r.executable);
    }
    for (unsigned count : counts) CHECK(count > 1000);
}
