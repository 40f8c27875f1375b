#pragma once
// A guest under VT-x or AMD-V on a whole processor, with second-level tables, VMCB and bitmaps in
// memory that the tests change behind every model's back.
#include "tests/cpu/programs/bench.h"

namespace hvsim::cpu::programs {

/// Where the host's structures lie, beyond what the guest uses.
inline constexpr std::uint64_t kTables = 0x200000, kLeaves = kTables + 0x3000,
                               kControlBlock = 0x210000, kBitmaps = 0x220000, kOtherPage = 0x230000;
/// Pages that the guest reads, and the marks in them.
inline constexpr unsigned kPages = 16;
constexpr std::uint64_t mark(unsigned page) {
    return 0x1111'0000'0000'0000 + page;
}
inline constexpr std::uint64_t kOtherMark = 0x2222'0000'0000'0000;

/// The guest of raw_memory.S: 64-bit code in the first 2 MiB, one to one through 4 KiB leaves.
struct RawGuest : HostSoftware {
    /// `entry`: the permission bits of every table and leaf; `leaf`: what leaves have besides.
    RawGuest(const std::string& model, std::uint64_t entry, std::uint64_t leaf,
             const std::string& program = "raw_memory")
        : m(program, {.model = model}) {
        for (unsigned level = 0; level < 3; ++level)
            m.poke(kTables + level * 0x1000, (kTables + (level + 1) * 0x1000) | entry);
        for (std::uint64_t page = 0; page < 512; ++page)
            m.poke(kLeaves + page * 8, page << 12 | entry | leaf);
        for (unsigned page = 0; page < kPages; ++page) m.poke(PAGES + page * 0x1000, mark(page));
        m.poke(kOtherPage, kOtherMark);
        put_code(PAGES + 0x2008, 0x111);
        put_code(kOtherPage + 8, 0x222);
    }
    void put_code(std::uint64_t at, std::uint64_t value) {
        m.poke(at, 0xc300000000b8 | value << 8);  // mov eax, value; ret
    }
    static constexpr std::uint64_t leaf_of(std::uint64_t address) {
        return kLeaves + (address >> 12) * 8;
    }
    /// Changes a leaf in memory, nothing else.
    void set_leaf(std::uint64_t address, std::uint64_t entry) { m.poke(leaf_of(address), entry); }
    std::uint64_t leaf(std::uint64_t address) const { return m.peek(leaf_of(address)); }

    bool on_vm_exit(ExecutionCore&) override {
        ++exits;
        return false;
    }
    /// Runs the guest that was entered, until it exits.
    void run() {
        const unsigned before = exits;
        const sim::Time now = m.core().now();
        REQUIRE(m.core().run(now, now + sim::kMillisecond) == CoreStop::left_guest);
        REQUIRE(exits == before + 1);
    }
    /// Which of the pages read differently from `mark`, as bits.
    std::uint64_t changed_pages() const {
        std::uint64_t changed = 0;
        for (unsigned page = 0; page < kPages; ++page)
            if (m.result(page) != mark(page)) changed |= std::uint64_t{1} << page;
        return changed;
    }

    Machine m;
    unsigned exits = 0;
};

}  // namespace hvsim::cpu::programs
