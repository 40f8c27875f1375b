// One program through every mode and back.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("real mode, protected mode, PAE, long mode, compatibility mode and back to real mode") {
    Machine m("modes", {.real_mode = true});
    m.poke<std::uint32_t>(0x107f00, 0xfeedface);
    CHECK(m.run() == End::halted);
    INFO(m.story());
    const auto word = [&m](unsigned at) { return m.peek<std::uint16_t>(DATA + at); };
    const auto result = [&m](unsigned index) { return m.peek<std::uint32_t>(DATA + 4 * index); };
    const auto label = [&m](const char* name) { return m.program[name]; };
    const auto offset = [&m](const char* name) { return m.program[name] - CODE_BASE; };

    // Real mode, the second time.
    CHECK(word(0) == offset("after_real_again"));
    CHECK((word(2) & rflags::kIF) != 0);
    CHECK((word(4) & rflags::kIF) == 0);
    CHECK(word(6) == offset("real_divide_here"));  // a fault, as since the 80286
    CHECK(word(8) == 0x7f0);
    CHECK(result(3) == 0xfeedface);
    // 16-bit protected mode.
    CHECK((result(4) & 0xffff) == 0x7f0);
    CHECK(word(20) == label("after_interrupt16"));
    CHECK(word(22) == CODE16);
    // 32-bit protected mode.
    CHECK(result(8) == label("after_interrupt32"));
    CHECK((result(9) & 2) != 0);
    CHECK(result(10) == BEYOND_GDT);
    CHECK(result(11) == label("fault32_here"));
    CHECK(result(12) == (USER_DATA | 3));
    CHECK(result(13) == KERNEL_STACK - 5 * 4);
    CHECK(result(14) == USER_STACK);
    CHECK(result(15) == (USER_DATA | 3));
    // 32-bit paging.
    CHECK(result(16) == 0x32323232);
    CHECK(result(17) == 0);
    CHECK(result(18) == 0x00c00000 - 4);
    // PAE paging.
    CHECK(result(19) == label("reserved_pdpte"));
    CHECK((result(20) & cr0::kPG) == 0);
    CHECK(result(21) == 0xaeaeaeae);
    CHECK(result(22) == 0x40000000 + DATA + 21 * 4);
    CHECK(result(23) == 0xaeaeaeae);
    CHECK(result(24) == 0x40000000 + DATA + 21 * 4);
    // Long mode.
    CHECK((result(25) & 0x500) == 0x500);
    CHECK(result(26) == 0);
    CHECK(m.peek(DATA + 28 * 4) == 0x1122334455667788);
    CHECK(m.peek(DATA + 30 * 4) == STACK - 4);
    CHECK(result(32) == STACK - 4);
    CHECK((result(33) & 0x500) == 0x100);
    // And back.
    CHECK((result(34) & 1) == 0);
    CHECK((m.core().efer() & (efer::kLME | efer::kLMA)) == 0);
    CHECK(m.core().segment(SegmentName::cs).selector == CODE_BASE >> 4);
}
