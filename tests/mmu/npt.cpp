// AMD nested paging: EXITINFO1, user accesses, A/D, formats of the host's tables (APM 2 15.25).
#include <doctest/doctest.h>

#include "tests/mmu/tables.h"

using namespace hvsim;
using namespace hvsim::mmu;
using namespace hvsim::mmu::test;

namespace {

constexpr std::uint64_t kLinear = 0x0000'0012'3456'7abc;
constexpr std::uint64_t kGuestFrame = 0x7000;
constexpr std::uint64_t kFrame = 0x0200'0000;
constexpr std::uint64_t kAll = kP | kRW | kUS;
constexpr std::uint64_t kFinal = std::uint64_t{1} << 32, kTable = std::uint64_t{1} << 33;

/// Guest tables identity-mapped by the nested tables; the guest frame goes to kFrame.
struct Nested {
    Tables t;
    PagingState paging;
    SecondStage stage;
    std::uint64_t nested_root;
    std::uint64_t guest_root;

    Nested() {
        nested_root = t.page();
        guest_root = t.page();
        paging.mode = PagingMode::level4;
        paging.no_execute = true;
        paging.cr3 = guest_root;
        stage.ram = &t.ram;
        stage.kind = SecondStageKind::npt;
        stage.root = nested_root;
        t.put(t.slot(guest_root, 4, kLinear, 1, kAll), kGuestFrame | kAll);
        map(kGuestFrame, kFrame);
        for (std::uint64_t page = guest_root; page < guest_root + 4 * 4096; page += 4096)
            map(page, page);
    }
    std::uint64_t npt(std::uint64_t gpa, unsigned level = 1) {
        return t.slot(nested_root, 4, gpa, level, kAll);
    }
    void map(std::uint64_t gpa, std::uint64_t spa, std::uint64_t flags = kAll) {
        t.put(npt(gpa), spa | flags);
    }
    WalkResult go(Access access, bool user = false) {
        return walk(paging, stage, kLinear, {access, user, false});
    }
};

}  // namespace

TEST_CASE("a nested walk translates; guest tables count as written, the data page as accessed") {
    Nested n;
    WalkResult r = n.go(Access::read);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.system_physical == kFrame + 0xabc);
    CHECK_FALSE(r.writable);
    CHECK((n.t.get(n.npt(kGuestFrame)) & (kA | kD)) == kA);
    CHECK((n.t.get(n.npt(n.guest_root)) & (kA | kD)) == (kA | kD));
    CHECK((n.t.get(n.npt(kGuestFrame, 3)) & (kA | kD)) == kA);
    r = n.go(Access::write);
    CHECK(r.writable);
    CHECK((n.t.get(n.npt(kGuestFrame)) & kD) != 0);
}

TEST_CASE("EXITINFO1 of faults on the final access") {
    struct Row {
        const char* what;
        std::uint64_t leaf;
        Access access;
        std::uint64_t information;  ///< 0 = allowed
    };
    const Row rows[] = {
        {"not present, read", 0, Access::read, kFinal | 4},
        {"not present, write", kRW | kUS, Access::write, kFinal | 4 | 2},
        {"not present, fetch", kUS, Access::execute, kFinal | 4 | 16},
        {"supervisor page, read", kP | kRW, Access::read, kFinal | 4 | 1},
        {"supervisor page, write", kP | kRW, Access::write, kFinal | 4 | 2 | 1},
        {"read-only, read", kP | kUS, Access::read, 0},
        {"read-only, write", kP | kUS, Access::write, kFinal | 4 | 2 | 1},
        {"no-execute, fetch", kAll | kXD, Access::execute, kFinal | 4 | 16 | 1},
        {"no-execute, read", kAll | kXD, Access::read, 0},
        {"reserved, write", kAll | std::uint64_t{1} << 50, Access::write, kFinal | 8 | 4 | 2 | 1},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Nested n;
        n.map(kGuestFrame, row.leaf == 0 ? 0 : kFrame, row.leaf);
        const WalkResult r = n.go(row.access);  // a supervisor of the guest with WP clear
        if (row.information == 0) {
            CHECK(r.outcome == WalkOutcome::ok);
            continue;
        }
        REQUIRE(r.outcome == WalkOutcome::nested_fault);
        CHECK(r.nested.kind == NestedFaultKind::npt_fault);
        CHECK(r.nested.information == row.information);
        CHECK(r.nested.guest_physical == kGuestFrame + 0xabc);
    }
}

TEST_CASE("faults on guest tables are writes with bit 33") {
    Nested n;
    const std::uint64_t pd = n.guest_root + 2 * 4096;
    const std::uint64_t entry = pd + (kLinear >> 21 & 511) * 8;
    n.map(pd, pd, kP | kUS);
    WalkResult r = n.go(Access::execute);
    CHECK(r.nested.information == (kTable | 4 | 2 | 1));
    CHECK(r.nested.guest_physical == entry);
    n.map(pd, 0, 0);
    CHECK(n.go(Access::read).nested.information == (kTable | 4 | 2));
    n.map(pd, pd, kAll | kXD);  // NX does not matter to the table walker
    CHECK(n.go(Access::execute).outcome == WalkOutcome::ok);
}

TEST_CASE("NX is reserved without the host's EFER.NXE") {
    Nested n;
    n.stage.npt_nx = false;
    n.map(kGuestFrame, kFrame, kAll | kXD);
    CHECK(n.go(Access::read).nested.information == (kFinal | 8 | 4 | 1));
}

TEST_CASE("bits 8 and 7 of a PML4E are reserved") {
    for (const std::uint64_t bit : {std::uint64_t{1} << 7, std::uint64_t{1} << 8}) {
        Nested n;
        n.t.put(n.npt(kGuestFrame, 4), n.t.get(n.npt(kGuestFrame, 4)) | bit);
        CHECK(n.go(Access::read).nested.information == (kTable | 8 | 4 | 2 | 1));
    }
}

TEST_CASE("without NX and SMEP of the host a fault does not tell fetches") {
    Nested n;
    n.map(kGuestFrame, 0, 0);
    CHECK(n.go(Access::execute).nested.information == (kFinal | 16 | 4));
    n.stage.npt_tells_fetches = false;
    CHECK(n.go(Access::execute).nested.information == (kFinal | 4));
}

TEST_CASE("guest mode execute trap: U/S says who fetches, and nothing else") {
    NestedTlb tlb;
    for (const bool cached : {false, true}) {
        CAPTURE(cached);
        Nested n;
        n.stage.npt_execute_trap = true;
        n.stage.tlb = cached ? &tlb : nullptr;
        tlb.invalidate_all();
        CHECK(n.go(Access::execute, true).outcome == WalkOutcome::ok);
        CHECK(n.go(Access::execute).nested.information == (kFinal | 16 | 4 | 1));
        n.map(kGuestFrame, kFrame, kP | kRW);
        tlb.invalidate_all();
        CHECK(n.go(Access::execute).outcome == WalkOutcome::ok);
        CHECK(n.go(Access::execute, true).nested.information == (kFinal | 16 | 4 | 1));
        CHECK(n.go(Access::write, true).outcome == WalkOutcome::ok);
        n.map(kGuestFrame, kFrame, kP | kRW | kXD);
        tlb.invalidate_all();
        CHECK(n.go(Access::execute).nested.information == (kFinal | 16 | 4 | 1));
    }
}

TEST_CASE("nested large pages and their reserved bits") {
    Nested n;
    constexpr std::uint64_t kGpa = 0x80'4020'1000;
    n.t.put(n.t.slot(n.guest_root, 4, kLinear, 1, kAll), kGpa | kAll);
    const std::uint64_t pde = n.npt(kGpa, 2);
    n.t.put(pde, kFrame | kAll | kPS);
    WalkResult r = n.go(Access::write);
    REQUIRE(r.outcome == WalkOutcome::ok);
    CHECK(r.nested_page_shift == 21);
    CHECK(r.system_physical == kFrame + 0x1abc);
    CHECK((n.t.get(pde) & (kA | kD)) == (kA | kD));
    n.t.put(pde, kFrame | kAll | kPS | 0x2000);
    CHECK(n.go(Access::read).nested.information == (kFinal | 8 | 4 | 1));
    const std::uint64_t pdpte = n.npt(kGpa, 3);
    n.t.put(pdpte, 0x4000'0000 | kAll | kPS);
    r = n.go(Access::read);
    CHECK(r.nested_page_shift == 30);
    CHECK(r.system_physical == 0x4020'1abc);
    n.stage.pages_1g = false;
    CHECK(n.go(Access::read).nested.information == (kFinal | 8 | 4 | 1));
    n.t.put(n.npt(kGpa, 4), n.t.get(n.npt(kGpa, 4)) | kPS);
    CHECK(n.go(Access::read).nested.information == (kFinal | 8 | 4 | 1));
}

TEST_CASE("host tables in PAE format") {
    Tables t;
    const std::uint64_t root = t.page() + 0x40;  // 32-byte aligned, not at a page's start
    const std::uint64_t directory = t.page(), table = t.page();
    t.put(root + 3 * 8, directory | kP);
    t.put(directory + 8, table | kAll);
    t.put(table + 2 * 8, kFrame | kAll);
    SecondStage stage;
    stage.ram = &t.ram;
    stage.kind = SecondStageKind::npt;
    stage.npt_mode = NptMode::pae;
    stage.root = root;
    WalkSteps steps;
    NestedTranslation r =
        translate_guest_physical(stage, 0xc020'2123, {.access = Access::write}, steps);
    CHECK(r.fault.kind == NestedFaultKind::none);
    CHECK(r.system_physical == kFrame + 0x123);
    CHECK(steps.nested == 3);
    CHECK(t.get(root + 24) == (directory | kP));  // a PDPTE has no accessed flag
    CHECK((t.get(directory + 8) & kA) != 0);
    r = translate_guest_physical(stage, 0x1'c020'2123, {}, steps);
    CHECK(r.fault.information == (kFinal | 4));
    t.put(root + 24, directory | kP | kRW);
    r = translate_guest_physical(stage, 0xc020'2123, {}, steps);
    CHECK(r.fault.information == (kFinal | 8 | 4 | 1));
    t.put(root + 24, directory);
    r = translate_guest_physical(stage, 0xc020'2123, {}, steps);
    CHECK(r.fault.information == (kFinal | 4));
}

TEST_CASE("host tables in legacy format") {
    Tables t;
    const std::uint64_t directory = t.page(), table = t.page();
    const auto put = [&t](std::uint64_t address, std::uint64_t entry) {
        REQUIRE(t.ram.write(address, static_cast<std::uint32_t>(entry)));
    };
    const auto get = [&t](std::uint64_t address) {
        std::uint32_t entry = 0;
        REQUIRE(t.ram.read(address, entry));
        return std::uint64_t{entry};
    };
    const std::uint64_t small_pde = directory + 0x300 * 4, pte = table + 2 * 4;
    const std::uint64_t large_pde = directory + 0x301 * 4;
    put(small_pde, table | kAll);
    put(pte, kFrame | kAll);
    put(pte + 4, ~0u);
    put(large_pde, 0x00400000 | 0x2000 | kAll | kPS);  // PSE-36: address bit 32
    SecondStage stage;
    stage.ram = &t.ram;
    stage.kind = SecondStageKind::npt;
    stage.npt_mode = NptMode::legacy;
    stage.npt_nx = stage.npt_tells_fetches = false;
    stage.root = directory;
    const auto go = [&stage](std::uint64_t gpa, Access access) {
        WalkSteps steps;
        NestedTranslation r = translate_guest_physical(stage, gpa, {.access = access}, steps);
        CHECK(steps.nested <= 2);
        return r;
    };
    CHECK(go(0xc000'2123, Access::read).system_physical == kFrame + 0x123);
    CHECK(get(small_pde) == (table | kAll | kA));
    CHECK(get(pte) == (kFrame | kAll | kA));
    CHECK(go(0xc000'2123, Access::write).writable);
    CHECK(get(pte) == (kFrame | kAll | kA | kD));
    CHECK(get(pte + 4) == 0xffffffff);  // the next entry is another one's
    const NestedTranslation large = go(0xc065'4321, Access::write);
    CHECK(large.system_physical == 0x1'0065'4321);
    CHECK(large.page_shift == 22);
    put(large_pde, 0x00400000 | 1u << 21 | kAll | kPS);
    CHECK(go(0xc065'4321, Access::read).fault.information == (kFinal | 8 | 4 | 1));
    stage.npt_page_size_extensions = false;  // PS is ignored: a table where nothing is
    put(large_pde, table | kAll | kPS);
    CHECK(go(0xc040'2000, Access::read).system_physical == kFrame);
    put(pte, kFrame | kP | kUS);
    CHECK(go(0xc000'2123, Access::write).fault.information == (kFinal | 4 | 2 | 1));
    CHECK(go(0xc000'2123, Access::execute).executable);  // no NX in this format
    put(pte, 0);
    CHECK(go(0xc000'2123, Access::execute).fault.information == (kFinal | 4));
    CHECK(go(0x1'c000'2123, Access::read).fault.information == (kFinal | 4));
}

TEST_CASE("nested tables outside RAM have reserved bits set") {
    Nested n;
    n.stage.root = 0xf000'0000;
    const WalkResult r = n.go(Access::read);
    CHECK(r.nested.information == (kTable | 8 | 4 | 2 | 1));
}

TEST_CASE("nested TLB works for NPT and keeps D honest") {
    Nested n;
    NestedTlb tlb(16);
    n.stage.tlb = &tlb;
    REQUIRE(n.go(Access::read).outcome == WalkOutcome::ok);
    CHECK((n.t.get(n.npt(kGuestFrame)) & kD) == 0);
    CHECK(n.go(Access::write).writable);
    CHECK((n.t.get(n.npt(kGuestFrame)) & kD) != 0);
    n.map(kGuestFrame, kFrame + 0x1000);
    WalkResult r = n.go(Access::write);
    CHECK(r.system_physical == kFrame + 0xabc);
    CHECK(r.steps.nested == 0);
    tlb.invalidate_root(n.stage.root);
    CHECK(n.go(Access::write).system_physical == kFrame + 0x1abc);
}
