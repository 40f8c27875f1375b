// Changed code runs as changed (SDM 3A 8.1.3), whoever changed it.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("changed code runs as changed, whoever changed it and through whichever address") {
    Machine m("self_modifying");
    m.bus.on_port_write = [&m](std::uint16_t, std::uint32_t) {
        m.poke<std::uint8_t>(PAGES + 0x3001, 0xdd);
    };
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.events() == 0);
    constexpr std::uint64_t kExpected[] = {15,    0x2222, 0x777,  0x788, 0x799, 0x799, 0x7aa,
                                           0x7bb, 0x11,   0x2211, 0x7bb, 0xccc, 0xcdd, 6};
    for (unsigned i = 0; i < std::size(kExpected); ++i) {
        CAPTURE(i);
        CHECK(m.result(i) == kExpected[i]);
    }
}
