// Builders of EPT and NPT against the walkers: golden entries, splits, exhaustion, random
// operations.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "mmu/slat_table.h"
#include "tests/mmu/tables.h"

using namespace hvsim;
using namespace hvsim::mmu;

namespace {

constexpr auto kWriteBack = ept::MemoryType::write_back;
constexpr std::uint64_t k2M = 2 << 20, k1G = 1 << 30;

/// Hands out pages of [1 MiB, ...) filled with rubbish, up to a budget.
class Pages final : public TablePageAllocator {
  public:
    explicit Pages(sim::Ram& ram, std::size_t budget = 4096) : ram_(ram), budget_(budget) {}
    std::optional<std::uint64_t> allocate() override {
        if (held_ == budget_) return std::nullopt;
        ++held_;
        std::uint64_t page = next_;
        if (free_.empty()) {
            next_ += 4096;
        } else {
            page = free_.back();
            free_.pop_back();
        }
        ram_.fill(page, 4096, 0xa5);
        return page;
    }
    void release(std::uint64_t page) override {
        REQUIRE(held_ > 0);
        --held_;
        free_.push_back(page);
    }
    std::size_t held() const { return held_; }
    void set_budget(std::size_t budget) { budget_ = budget; }

  private:
    sim::Ram& ram_;
    std::size_t budget_;
    std::size_t held_ = 0;
    std::uint64_t next_ = 1 << 20;
    std::vector<std::uint64_t> free_;
};

struct Fixture {
    sim::Ram ram{64 << 20};
    Pages pages{ram};
    SecondStage stage;
    std::unique_ptr<SlatTable> table;

    explicit Fixture(SecondStageKind kind) {
        stage.ram = &ram;
        stage.kind = kind;
        if (kind == SecondStageKind::ept)
            table = make_ept_table(ram, pages, {});
        else
            table = make_npt_table(ram, pages, {});
        REQUIRE(table != nullptr);
        stage.root = table->root_pointer();
    }
    NestedTranslation go(std::uint64_t gpa, Access access) {
        WalkSteps steps;
        return translate_guest_physical(stage, gpa, {.access = access}, steps);
    }
    std::uint64_t get(std::uint64_t address) {
        std::uint64_t value = 0;
        REQUIRE(ram.read(address, value));
        return value;
    }
};

}  // namespace

TEST_CASE("EPT: golden entries") {
    Fixture f(SecondStageKind::ept);
    CHECK(f.stage.root == (0x100000 | 0x5e));  // write-back, four levels, A/D enabled
    REQUIRE(f.table->map(0x1000, 0x123456000, SlatPageSize::size_4k, SlatRights::all(),
                         kWriteBack) == SlatStatus::ok);
    CHECK(f.get(0x100000) == 0x101407);
    CHECK(f.get(0x101000) == 0x102407);
    CHECK(f.get(0x102000) == 0x103407);
    CHECK(f.get(0x103008) == 0x0010'0001'2345'6437);
    REQUIRE(f.table->map(k2M, 0x40000000, SlatPageSize::size_2m, {true, false, true, false},
                         ept::MemoryType::uncacheable) == SlatStatus::ok);
    CHECK(f.get(0x102008) == 0x0010'0000'4000'0085);
    CHECK(f.table->table_pages() == 4);
    CHECK(f.pages.held() == 4);
}

TEST_CASE("NPT: golden entries") {
    Fixture f(SecondStageKind::npt);
    CHECK(f.stage.root == 0x100000);
    REQUIRE(f.table->map(0x1000, 0x123456000, SlatPageSize::size_4k, SlatRights::all(),
                         kWriteBack) == SlatStatus::ok);
    CHECK(f.get(0x100000) == 0x101007);
    CHECK(f.get(0x103008) == 0x0000'0001'2345'6207);
    REQUIRE(f.table->map(k2M, 0x40000000, SlatPageSize::size_2m, SlatRights::read_only(),
                         ept::MemoryType::uncacheable) == SlatStatus::ok);
    CHECK(f.get(0x102008) == 0x8000'0000'4000'029d);
}

TEST_CASE("values that the format cannot hold are refused") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        SlatTable& t = *f.table;
        const SlatRights all = SlatRights::all();
        CHECK(t.map(0x1234, 0, SlatPageSize::size_4k, all, kWriteBack) == SlatStatus::misaligned);
        CHECK(t.map(0, 0x1000, SlatPageSize::size_2m, all, kWriteBack) == SlatStatus::misaligned);
        CHECK(t.map(std::uint64_t{1} << 48, 0, SlatPageSize::size_4k, all, kWriteBack) ==
              SlatStatus::address_too_wide);
        CHECK(t.map(0, std::uint64_t{1} << 48, SlatPageSize::size_4k, all, kWriteBack) ==
              SlatStatus::address_too_wide);
        CHECK(t.map(0, 0, SlatPageSize::size_4k, {false, true, false, false}, kWriteBack) ==
              SlatStatus::unsupported_rights);
        CHECK(t.unmap(1, 4096) == SlatStatus::misaligned);
        CHECK(t.unmap(0x1000, ~std::uint64_t{0xfff}) == SlatStatus::address_too_wide);
        CHECK(t.unmap(0, 0) == SlatStatus::ok);
        CHECK_FALSE(t.lookup(std::uint64_t{1} << 60));
        CHECK(t.table_pages() == 1);
    }
    Fixture npt(SecondStageKind::npt);
    CHECK(npt.table->protect(0, 4096, {false, false, true, true}) ==
          SlatStatus::unsupported_rights);
    CHECK(npt.table->protect(0, 4096, {true, false, true, false}) ==
          SlatStatus::unsupported_rights);
}

TEST_CASE("a partial change splits 1 GiB and 2 MiB pages and keeps the rest") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        REQUIRE(f.table->map(k1G, 2 * k1G, SlatPageSize::size_1g, SlatRights::all(), kWriteBack) ==
                SlatStatus::ok);
        CHECK(f.table->table_pages() == 2);
        const std::uint64_t hole = k1G + 5 * k2M + 0x7000;
        REQUIRE(f.table->protect(hole, 0x1000, SlatRights::read_only()) == SlatStatus::ok);
        CHECK(f.table->table_pages() == 4);
        CHECK(f.go(hole, Access::write).fault.kind != NestedFaultKind::none);
        CHECK(f.go(hole, Access::read).system_physical == hole + k1G);
        for (std::uint64_t near : {hole - 1, hole + 0x1000, k1G, 2 * k1G - 1, k1G + 6 * k2M}) {
            const NestedTranslation r = f.go(near, Access::write);
            CHECK(r.fault.kind == NestedFaultKind::none);
            CHECK(r.system_physical == near + k1G);
        }
        CHECK(f.table->lookup(hole)->size == SlatPageSize::size_4k);
        CHECK(f.table->lookup(k1G)->size == SlatPageSize::size_2m);
        CHECK(f.table->lookup(hole - 1)->dirty);
        CHECK(f.table->test_and_clear_dirty(hole - 1));
        CHECK_FALSE(f.table->test_and_clear_dirty(hole - 1));
        // A large page over the small ones gives their tables back.
        REQUIRE(f.table->map(k1G, 2 * k1G, SlatPageSize::size_1g, SlatRights::all(), kWriteBack) ==
                SlatStatus::ok);
        CHECK(f.table->table_pages() == 2);
        REQUIRE(f.table->unmap(0, std::uint64_t{1} << 48) == SlatStatus::ok);
        CHECK(f.table->table_pages() == 1);
        CHECK_FALSE(f.table->lookup(k1G));
        f.table.reset();
        CHECK(f.pages.held() == 0);
    }
}

TEST_CASE("a mapping without rights faults and keeps its address") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        REQUIRE(f.table->map(0x5000, 0x9000, SlatPageSize::size_4k, SlatRights::all(),
                             kWriteBack) == SlatStatus::ok);
        REQUIRE(f.table->protect(0, k1G, {}) == SlatStatus::ok);
        CHECK(f.go(0x5000, Access::read).fault.kind != NestedFaultKind::none);
        REQUIRE(f.table->lookup(0x5000));
        CHECK(f.table->lookup(0x5000)->rights == SlatRights{});
        REQUIRE(f.table->protect(0x5000, 0x1000, SlatRights::all()) == SlatStatus::ok);
        CHECK(f.go(0x5123, Access::write).system_physical == 0x9123);
        CHECK_FALSE(f.table->lookup(0x6000));  // protect maps nothing new
    }
}

TEST_CASE("frame 0 with rights none is still a mapping") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        REQUIRE(f.table->map(0, 0, SlatPageSize::size_4k, {}, ept::MemoryType::uncacheable) ==
                SlatStatus::ok);
        CHECK(f.table->lookup(0));
        CHECK(f.go(0, Access::read).fault.kind != NestedFaultKind::none);
    }
}

TEST_CASE("running out of table pages is a value and breaks nothing") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        REQUIRE(f.table->map(0, k1G, SlatPageSize::size_1g, SlatRights::all(), kWriteBack) ==
                SlatStatus::ok);
        f.pages.set_budget(3);  // root, one table, one to split into 2 MiB, none for 4 KiB
        CHECK(f.table->unmap(0x1000, 0x1000) == SlatStatus::out_of_table_pages);
        CHECK(f.go(0x1234, Access::read).system_physical == k1G + 0x1234);
        CHECK(f.table->map(0x10'0000'0000, 0, SlatPageSize::size_4k, SlatRights::all(),
                           kWriteBack) == SlatStatus::out_of_table_pages);
        f.pages.set_budget(4);
        CHECK(f.table->unmap(0x1000, 0x1000) == SlatStatus::ok);
        CHECK_FALSE(f.table->lookup(0x1234));
        CHECK(f.table->lookup(0x2000)->system_physical == k1G + 0x2000);
        Pages none(f.ram, 0);
        CHECK(make_ept_table(f.ram, none, {}) == nullptr);
        CHECK(make_npt_table(f.ram, none, {}) == nullptr);
    }
}

TEST_CASE("without 1 GiB support a 1 GiB mapping is made of 2 MiB pages") {
    sim::Ram ram(64 << 20);
    Pages pages(ram);
    EptOptions options;
    options.pages_1g = false;
    const auto table = make_ept_table(ram, pages, options);
    REQUIRE(table->map(0, k1G, SlatPageSize::size_1g, SlatRights::all(), kWriteBack) ==
            SlatStatus::ok);
    CHECK(table->lookup(0x3fffffff)->size == SlatPageSize::size_2m);
    CHECK(table->lookup(0x3fffffff)->system_physical == 0x7fffffff);
}

TEST_CASE("random operations: the walker sees what a page-by-page model says") {
    for (SecondStageKind kind : {SecondStageKind::ept, SecondStageKind::npt}) {
        Fixture f(kind);
        struct Page {
            std::uint64_t spa;
            SlatRights rights;
        };
        std::map<std::uint64_t, Page> model;  // 4 KiB page number
        std::uint64_t seed = 42;
        const auto next = [&seed](std::uint64_t bound) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            return (seed >> 33) % bound;
        };
        constexpr std::uint64_t kSpan = 8 * k2M / 4096;  // pages under test, across a 1 GiB border
        constexpr std::uint64_t kBase = (k1G - 4 * k2M) / 4096;
        const SlatRights rights_of[] = {SlatRights::all(),
                                        SlatRights::read_only(),
                                        {},
                                        {true, true, false, false},
                                        {true, false, true, true}};
        for (int step = 0; step < 1500; ++step) {
            const SlatRights rights = rights_of[next(5)];
            std::uint64_t first = kBase + next(kSpan);
            std::uint64_t count =
                std::min(1 + next(next(4) == 0 ? 1200 : 40), kBase + kSpan - first);
            switch (next(4)) {
                case 0: {  // a large page
                    first &= ~std::uint64_t{511};
                    const std::uint64_t spa = next(1000) * k2M;
                    REQUIRE(f.table->map(first << 12, spa, SlatPageSize::size_2m, rights,
                                         kWriteBack) == SlatStatus::ok);
                    for (std::uint64_t i = 0; i < 512; ++i)
                        model[first + i] = {spa + (i << 12), rights};
                    break;
                }
                case 1: {
                    const std::uint64_t spa = next(1 << 20) << 12;
                    REQUIRE(f.table->map_range(first << 12, spa, count << 12, SlatPageSize::size_1g,
                                               rights, kWriteBack) == SlatStatus::ok);
                    for (std::uint64_t i = 0; i < count; ++i)
                        model[first + i] = {spa + (i << 12), rights};
                    break;
                }
                case 2:
                    REQUIRE(f.table->unmap(first << 12, count << 12) == SlatStatus::ok);
                    for (std::uint64_t i = 0; i < count; ++i) model.erase(first + i);
                    break;
                default:
                    REQUIRE(f.table->protect(first << 12, count << 12, rights) == SlatStatus::ok);
                    for (std::uint64_t i = 0; i < count; ++i)
                        if (const auto at = model.find(first + i); at != model.end())
                            at->second.rights = rights;
            }
            for (int probe = 0; probe < 40; ++probe) {
                const std::uint64_t page = kBase + next(kSpan);
                const std::uint64_t gpa = page << 12 | next(4096);
                const Access access = static_cast<Access>(next(3));
                const auto at = model.find(page);
                bool allowed = at != model.end();
                if (allowed) {
                    const SlatRights r = at->second.rights;
                    allowed = access == Access::read    ? r.read
                              : access == Access::write ? r.write
                                                        : r.execute;
                }
                const NestedTranslation seen = f.go(gpa, access);
                REQUIRE((seen.fault.kind == NestedFaultKind::none) == allowed);
                if (allowed) REQUIRE(seen.system_physical == (at->second.spa | (gpa & 0xfff)));
                const auto mapping = f.table->lookup(gpa);
                REQUIRE(mapping.has_value() == (at != model.end()));
                if (mapping) {
                    REQUIRE(mapping->system_physical == (at->second.spa | (gpa & 0xfff)));
                    REQUIRE(mapping->rights == at->second.rights);
                }
            }
        }
        f.table.reset();
        CHECK(f.pages.held() == 0);
    }
}
