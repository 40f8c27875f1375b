// Port accesses as the bus sees them.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("IN, OUT, INS and OUTS reach the bus in order, with their sizes") {
    Machine m("ports");
    auto& answers = m.bus.answers;
    answers[0x10] = {0xab};
    answers[0x11] = {0xabcd};
    answers[0x12] = {0xabcdef01};
    answers[0x30] = {1, 2, 3, 4, 0x1111, 0x2222, 0x33333333, 7, 8, 9};
    answers[0x40] = {0x4444, 0x5555, 0x6666};
    CHECK(m.run() == End::halted);
    check_faults(m, {{"outs_to_absent", kPF, 0},
                     {"ins_from_absent", kPF, 2},
                     {"ins_across", kPF, 2},
                     {"ins_to_read_only", kPF, 3}});
    for (unsigned i = 0; i < 4; ++i) CHECK(m.event(i).cr2 == PAGES + 0x1000);

    CHECK(m.result(0) == 0xffffffffffffffab);
    CHECK(m.result(1) == 0xffffffffffffabcd);
    CHECK(m.result(2) == 0xabcdef01);
    CHECK(m.result(3) == PAGES + 4);
    CHECK(m.result(4) == 0);
    CHECK(m.result(5) == PAGES + 0xe);
    CHECK(m.peek<std::uint32_t>(PAGES) == 0x04030201);
    CHECK(m.peek<std::uint32_t>(PAGES + 0x10) == 0x11112222);
    CHECK(m.peek<std::uint32_t>(PAGES + 0x20) == 0x33333333);
    CHECK(m.result(6) == m.program["text"] + 5);
    CHECK(m.result(7) == 2);  // a 32-bit address register is zero-extended
    CHECK(m.result(8) == std::uint64_t{1} << 32);
    CHECK(m.result(9) == PAGES + 0x83);
    CHECK(m.peek<std::uint32_t>(PAGES + 0x80) == 0x00090807);
    // A fault in the middle leaves the registers at the element that faulted.
    CHECK(m.result(10) == PAGES + 0x1000);
    CHECK(m.result(11) == 2);
    CHECK(m.result(12) == PAGES + 0x1000);
    CHECK(m.result(13) == 2);
    CHECK(m.peek<std::uint32_t>(PAGES + 0xffc) == 0x55554444);

    using Access = RecordingBus::Access;
    std::vector<Access> expected{{false, 0x10, 1, 0xab},       {false, 0x11, 2, 0xabcd},
                                 {false, 0x12, 4, 0xabcdef01}, {true, 0x20, 1, 0x88},
                                 {true, 0x21, 2, 0x7788},      {true, 0x22, 4, 0x55667788},
                                 {true, 0x1234, 4, 0x55667788}};
    for (const std::uint64_t byte : {1, 2, 3, 4}) expected.push_back({false, 0x30, 1, byte});
    expected.insert(
        expected.end(),
        {{false, 0x30, 2, 0x1111}, {false, 0x30, 2, 0x2222}, {false, 0x30, 4, 0x33333333}});
    for (const char letter : std::string("hello"))
        expected.push_back({true, 0x30, 1, static_cast<std::uint64_t>(letter)});
    expected.push_back({true, 0x30, 2, 0x0201});
    for (const std::uint64_t byte : {7, 8, 9}) expected.push_back({false, 0x30, 1, byte});
    expected.insert(expected.end(), {{true, 0x40, 2, 0},
                                     {true, 0x40, 2, 0},
                                     {false, 0x40, 2, 0x4444},
                                     {false, 0x40, 2, 0x5555}});
    // An INS that faults must not have read the device: it runs again.
    CHECK(m.bus.ports == expected);
}
