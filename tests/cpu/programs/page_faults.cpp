// Page faults: error codes, CR2, accessed and dirty bits, and when a changed entry is seen.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("page faults have the error code of SDM 3A 4.7 and the address in CR2") {
    constexpr std::uint64_t kP = 1, kW = 2, kU = 4, kRsvd = 8, kFetch = 16;
    struct Row {
        const char* label;
        std::uint64_t error_code, address;
        bool at_target = false;  ///< a fetch faults at the address that it wants
    };
    static constexpr Row kRows[] = {
        {"absent_read", 0, PAGES + 0x123},
        {"absent_write", kW, PAGES + 0x456},
        {"absent_fetch", kFetch, PAGES, true},
        {"absent_directory", 0, 0x200008},
        {"across_read", 0, PAGES},
        {"across_write", kW, PAGES},
        {"read_only", kP | kW, PAGES},
        {"read_only_again", kP | kW, PAGES},
        {"reserved_read", kP | kRsvd, PAGES},
        {"reserved_write", kP | kRsvd | kW, PAGES},
        {"no_execute", kP | kFetch, PAGES, true},
        {"user_no_execute", kP | kU | kFetch, PAGES, true},
        {"user_read", kP | kU, PAGES + 8},
        {"user_write", kP | kU | kW, PAGES + 8},
        {"user_fetch", kP | kU | kFetch, PAGES, true},
        {"user_absent_read", kU, PAGES},
        {"user_absent_write", kU | kW, PAGES},
        {"user_read_only", kP | kU | kW, PAGES},
        {"smep", kP | kFetch, PAGES, true},
        {"smap_read", kP, PAGES},
        {"smap_write", kP | kW, PAGES},
        {"smap_again", kP, PAGES},
    };
    Machine m("page_faults");
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.events() == std::size(kRows));
    for (unsigned i = 0; i < std::size(kRows); ++i) {
        const Row& row = kRows[i];
        CAPTURE(row.label);
        const LoggedEvent event = m.event(i);
        CHECK(event.vector == kPF);
        CHECK(event.error_code == row.error_code);
        CHECK(event.cr2 == row.address);
        CHECK(event.rip == (row.at_target ? row.address : m.program[row.label]));
        CHECK((event.cs & 3) == (row.error_code & kU ? 3 : 0));
    }
    CHECK(m.result(0) == 0);  // nothing written before the fault
    constexpr std::uint64_t kAccessed = 0x20, kDirty = 0x40;
    CHECK(m.result(1) == (PAGES | 7));
    CHECK(m.result(2) == (PAGES | 7 | kAccessed));
    CHECK(m.result(3) == (PAGES | 7 | kAccessed | kDirty));
    CHECK(m.result(4) == 0x1111);
    CHECK(m.result(5) == 0x2222);
    CHECK(m.result(6) == 0x2222);
    CHECK(m.result(7) == 0x1111);
    CHECK((m.result(8) & 0xff) == 0xc3);
}
