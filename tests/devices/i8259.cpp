// The pair of 8259A interrupt controllers.
#include "devices/i8259.h"

#include <doctest/doctest.h>

using namespace hvsim;
using namespace hvsim::devices;

namespace {

struct Output final : InterruptLine {
    void set(bool value, sim::Time) override {
        level = value;
        ++changes;
    }
    bool level = false;
    unsigned changes = 0;
};

struct Pair {
    Pair() : pic(0x08, 0x70, &output) {}
    void out(std::uint64_t offset, std::uint8_t value) { pic.write_register(offset, 1, value, 0); }
    std::uint64_t in(std::uint64_t offset) {
        sim::Time now = 0;
        return pic.read_register(offset, 1, now);
    }
    void pulse(unsigned input) {
        pic.set_input(input, true, 0);
        pic.set_input(input, false, 0);
    }
    /// ICW1-ICW4 as operating systems give them.
    void initialise(std::uint8_t icw4 = 0x01) {
        for (const std::uint64_t chip : {I8259Pair::kMaster, I8259Pair::kSlave}) {
            out(chip, 0x11);
            out(chip + 1, chip == I8259Pair::kMaster ? 0x20 : 0x28);
            out(chip + 1, chip == I8259Pair::kMaster ? 0x04 : 0x02);
            out(chip + 1, icw4);
        }
    }
    Output output;
    I8259Pair pic;
};

}  // namespace

TEST_CASE("an edge at the slave arrives by the cascade and ends by two EOIs") {
    Pair pair;
    pair.pulse(11);
    CHECK(pair.output.level);
    CHECK(pair.pic.acknowledge(0) == 0x73);
    CHECK(!pair.output.level);
    CHECK(pair.pic.state()[0].isr == 0x04);
    CHECK(pair.pic.state()[1].isr == 0x08);
    pair.pulse(11);  // held back by its own service
    CHECK(!pair.output.level);
    pair.out(I8259Pair::kSlave, 0x20);
    CHECK(!pair.output.level);
    pair.out(I8259Pair::kMaster, 0x20);
    CHECK(pair.output.level);
    CHECK(pair.pic.acknowledge(0) == 0x73);
}

TEST_CASE("initialisation sets vectors, clears masks and requests") {
    Pair pair;
    pair.out(I8259Pair::kMaster + 1, 0xff);
    pair.pulse(3);
    CHECK(!pair.output.level);
    pair.initialise();
    CHECK(pair.in(I8259Pair::kMaster + 1) == 0);
    CHECK(!pair.output.level);
    pair.pulse(3);
    CHECK(pair.pic.acknowledge(0) == 0x23);
}

TEST_CASE("priorities, masks and the registers that tell") {
    Pair pair;
    pair.initialise();
    pair.out(I8259Pair::kMaster + 1, 0x02);
    CHECK(pair.in(I8259Pair::kMaster + 1) == 0x02);
    pair.pulse(1);
    CHECK(!pair.output.level);
    pair.pulse(5);
    pair.pulse(4);
    CHECK(pair.in(I8259Pair::kMaster) == 0x32);
    CHECK(pair.pic.acknowledge(0) == 0x24);
    CHECK(!pair.output.level);  // 5 waits for 4
    pair.pulse(0);
    CHECK(pair.output.level);  // 0 does not
    pair.out(I8259Pair::kMaster, 0x0b);
    CHECK(pair.in(I8259Pair::kMaster) == 0x10);
    CHECK(pair.pic.acknowledge(0) == 0x20);
    pair.out(I8259Pair::kMaster, 0x64);  // specific EOI of 4 while 0 is in service
    CHECK(pair.in(I8259Pair::kMaster) == 0x01);
    CHECK(!pair.output.level);
    pair.out(I8259Pair::kMaster, 0x20);
    CHECK(pair.pic.acknowledge(0) == 0x25);
}

TEST_CASE("rotation gives the lowest priority to the input just served") {
    Pair pair;
    pair.initialise();
    pair.pulse(4);
    CHECK(pair.pic.acknowledge(0) == 0x24);
    pair.out(I8259Pair::kMaster, 0xa0);  // rotate on non-specific EOI: 5 is now the highest
    pair.pulse(4);
    pair.pulse(5);
    CHECK(pair.pic.acknowledge(0) == 0x25);
    pair.out(I8259Pair::kMaster, 0x20);
    CHECK(pair.pic.acknowledge(0) == 0x24);
    pair.out(I8259Pair::kMaster, 0x20);
    pair.out(I8259Pair::kMaster, 0xc0 | 7);  // set priority: 7 the lowest
    pair.pulse(4);
    pair.pulse(0);
    CHECK(pair.pic.acknowledge(0) == 0x20);
}

TEST_CASE("automatic EOI leaves nothing in service") {
    Pair pair;
    pair.initialise(0x03);
    pair.pulse(9);
    CHECK(pair.pic.acknowledge(0) == 0x29);
    CHECK(pair.pic.state()[0].isr == 0);
    CHECK(pair.pic.state()[1].isr == 0);
}

TEST_CASE("a level-triggered input asks as long as its line is high") {
    Pair pair;
    pair.initialise();
    pair.out(I8259Pair::kEdgeLevel, 0xff);
    CHECK(pair.in(I8259Pair::kEdgeLevel) == 0xf8);
    pair.pic.set_input(5, true, 0);
    CHECK(pair.pic.acknowledge(0) == 0x25);
    pair.out(I8259Pair::kMaster, 0x20);
    CHECK(pair.output.level);
    pair.pic.set_input(5, false, 0);
    CHECK(!pair.output.level);
    CHECK(pair.pic.acknowledge(0) == 0x27);  // spurious
    CHECK(pair.pic.state()[0].isr == 0);
}

TEST_CASE("special mask mode and poll") {
    Pair pair;
    pair.initialise();
    pair.pulse(1);
    pair.pic.acknowledge(0);
    pair.pulse(6);
    CHECK(!pair.output.level);
    pair.out(I8259Pair::kMaster + 1, 0x02);
    pair.out(I8259Pair::kMaster, 0x68);
    CHECK(pair.output.level);
    pair.out(I8259Pair::kMaster, 0x0c);
    CHECK(pair.in(I8259Pair::kMaster) == 0x86);
    CHECK(!pair.output.level);
    pair.out(I8259Pair::kMaster, 0x0c);
    CHECK(pair.in(I8259Pair::kMaster) == 0);
}

TEST_CASE("offsets that are no port") {
    Pair pair;
    pair.out(6, 0x11);
    CHECK(pair.in(6) == 0);
    CHECK(pair.pic.state()[0].vector_base == 0x08);
}
