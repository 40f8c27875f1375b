// The interrupt command register and destinations (SDM 3A 11.6, 11.12.9, 11.12.10).
#include "tests/apic/apic_machine.h"

using namespace hvsim;
using namespace hvsim::apic::test;

namespace {

void write_xapic_icr(LocalApic& apic, std::uint32_t low, std::uint32_t destination) {
    apic.mmio_write(0x310, 4, destination << 24, 0);
    apic.mmio_write(0x300, 4, low, 0);
}

bool write_x2apic_icr(LocalApic& apic, std::uint32_t low, std::uint32_t destination) {
    return apic.write_msr(0x830, std::uint64_t{destination} << 32 | low, 0);
}

constexpr std::uint32_t kAssert = 0x4000;
constexpr std::uint32_t kLogical = 0x800;
constexpr std::uint32_t kSelf = 0x40000;
constexpr std::uint32_t kAll = 0x80000;
constexpr std::uint32_t kAllButSelf = 0xc0000;

}  // namespace

TEST_CASE("xAPIC: physical destinations and shorthands") {
    ApicMachine machine({0, 1, 2, 3});
    LocalApic& sender = *machine.apics[1];
    write_xapic_icr(sender, kAssert | 0x40, 2);
    CHECK(machine.receivers(0x40) == 0b0100);
    CHECK(sender.mmio_read(0x300, 4, 0) == 0x4040);  // delivery status idle
    CHECK(sender.mmio_read(0x310, 4, 0) == 0x02000000);
    write_xapic_icr(sender, kAssert | 0x40, 1);
    CHECK(machine.receivers(0x40) == 0b0010);
    write_xapic_icr(sender, kAssert | 0x40, 0xff);
    CHECK(machine.receivers(0x40) == 0b1111);
    write_xapic_icr(sender, kAssert | 0x40, 9);
    CHECK(machine.receivers(0x40) == 0);
    write_xapic_icr(sender, kSelf | 0x40, 3);
    CHECK(machine.receivers(0x40) == 0b0010);
    write_xapic_icr(sender, kAll | 0x40, 3);
    CHECK(machine.receivers(0x40) == 0b1111);
    write_xapic_icr(sender, kAllButSelf | 0x40, 3);
    CHECK(machine.receivers(0x40) == 0b1101);
    CHECK(machine.wires.sent.size() == 6);  // "self" does not leave the APIC
    CHECK(machine.wires.sent[0].source == InterruptSource{InterruptSource::Kind::processor, 1});
}

TEST_CASE("xAPIC: a written id is the one that answers") {
    ApicMachine machine({0, 1});
    machine.apics[1]->mmio_write(0x20, 4, 0x07000000, 0);
    write_xapic_icr(*machine.apics[0], 0x40, 1);
    CHECK(machine.receivers(0x40) == 0);
    write_xapic_icr(*machine.apics[0], 0x40, 7);
    CHECK(machine.receivers(0x40) == 0b10);
}

TEST_CASE("xAPIC: logical destinations, flat and cluster") {
    ApicMachine machine({0, 1, 2, 3, 4});
    LocalApic& sender = *machine.apics[0];
    for (unsigned i = 0; i < 4; ++i)
        machine.apics[i]->mmio_write(0xd0, 4, (1u << i) << 24, 0);  // processor 4 keeps LDR 0
    write_xapic_icr(sender, kLogical | 0x40, 0b1010);
    CHECK(machine.receivers(0x40) == 0b01010);
    write_xapic_icr(sender, kLogical | 0x40, 0xff);
    CHECK(machine.receivers(0x40) == 0b01111);
    for (unsigned i = 0; i < 5; ++i) {
        machine.apics[i]->mmio_write(0xe0, 4, 0, 0);
        machine.apics[i]->mmio_write(0xd0, 4, ((i / 2) << 4 | 1u << i % 2) << 24, 0);
    }
    write_xapic_icr(sender, kLogical | 0x40, 0x13);
    CHECK(machine.receivers(0x40) == 0b01100);
    write_xapic_icr(sender, kLogical | 0x40, 0x21);
    CHECK(machine.receivers(0x40) == 0b10000);
    write_xapic_icr(sender, kLogical | 0x40, 0x22);
    CHECK(machine.receivers(0x40) == 0);
    write_xapic_icr(sender, kLogical | 0x40, 0xff);
    CHECK(machine.receivers(0x40) == 0b11111);
    machine.apics[0]->mmio_write(0xe0, 4, 0x50000000, 0);  // neither model: deaf to logical
    write_xapic_icr(sender, kLogical | 0x40, 0xff);
    CHECK(machine.receivers(0x40) == 0b11110);
}

TEST_CASE("x2APIC: physical, cluster, broadcast and self") {
    ApicMachine machine({0, 1, 0x10, 0x11, 0x1234, 0xff});
    machine.enter_x2apic();
    LocalApic& sender = *machine.apics[0];
    CHECK(write_x2apic_icr(sender, 0x40, 0x1234));
    CHECK(machine.receivers(0x40) == 0b010000);
    CHECK(write_x2apic_icr(sender, 0x40, 0xff));  // an ordinary id here
    CHECK(machine.receivers(0x40) == 0b100000);
    CHECK(write_x2apic_icr(sender, 0x40, 0xffffffff));
    CHECK(machine.receivers(0x40) == 0b111111);
    CHECK(write_x2apic_icr(sender, kLogical | 0x40, 0x00010003));
    CHECK(machine.receivers(0x40) == 0b001100);
    CHECK(write_x2apic_icr(sender, kLogical | 0x40, 0x00000002));
    CHECK(machine.receivers(0x40) == 0b000010);
    CHECK(write_x2apic_icr(sender, kLogical | 0x40, 0x01230010));
    CHECK(machine.receivers(0x40) == 0b010000);
    CHECK(write_x2apic_icr(sender, kLogical | 0x40, 0xffffffff));
    CHECK(machine.receivers(0x40) == 0b111111);
    CHECK(write_x2apic_icr(sender, kAllButSelf | 0x40, 0));
    CHECK(machine.receivers(0x40) == 0b111110);
    CHECK(sender.write_msr(0x83f, 0x41, 0));
    CHECK(machine.receivers(0x41) == 0b000001);
    CHECK(sender.read_msr(0x830, 0) == (kAllButSelf | 0x40));
}

TEST_CASE("x2APIC and xAPIC processors hear each other's broadcasts and small ids") {
    ApicMachine machine({0, 1, 0x101});
    REQUIRE(machine.apics[2]->write_msr(kMsrApicBase, 0xfee00c00, 0));
    write_xapic_icr(*machine.apics[0], 0x40, 0xff);
    CHECK(machine.receivers(0x40) == 0b111);
    write_xapic_icr(*machine.apics[0], 0x40, 0x01);  // 0x101 is not aliased
    CHECK(machine.receivers(0x40) == 0b010);
    CHECK(write_x2apic_icr(*machine.apics[2], 0x40, 1));
    CHECK(machine.receivers(0x40) == 0b010);
    CHECK(write_x2apic_icr(*machine.apics[2], 0x40, 0xffffffff));
    CHECK(machine.receivers(0x40) == 0b111);
}

TEST_CASE("lowest priority goes to one: lowest APR, then lowest index, never a disabled one") {
    ApicMachine machine({0, 1, 2, 3});
    for (unsigned i = 0; i < 4; ++i) machine.apics[i]->mmio_write(0xd0, 4, (1u << i) << 24, 0);
    LocalApic& sender = *machine.apics[0];
    write_xapic_icr(sender, kLogical | 0x100 | 0x60, 0x0f);
    CHECK(machine.receivers(0x60) == 0b0001);
    machine.apics[0]->set_tpr(0x20);
    machine.apics[1]->set_tpr(0x30);
    machine.apics[2]->set_tpr(0x10);
    machine.apics[3]->set_tpr(0x10);
    write_xapic_icr(sender, kLogical | 0x100 | 0x60, 0x0f);
    CHECK(machine.receivers(0x60) == 0b0100);
    machine.apics[2]->mmio_write(0xf0, 4, 0xff, 0);
    write_xapic_icr(sender, kLogical | 0x100 | 0x60, 0x0f);
    CHECK(machine.receivers(0x60) == 0b1000);
    write_xapic_icr(sender, kLogical | 0x100 | 0x60, 0x04);
    CHECK(machine.receivers(0x60) == 0);
}

TEST_CASE("NMI, SMI, INIT and SIPI travel; what the manual calls invalid does not") {
    ApicMachine machine({0, 1, 2});
    LocalApic& sender = *machine.apics[0];
    LocalApic& target = *machine.apics[1];
    write_xapic_icr(sender, kAssert | 0x400, 1);
    CHECK(target.take_nmi());
    write_xapic_icr(sender, kAssert | 0x200, 1);
    CHECK(target.take_smi());
    write_xapic_icr(sender, kAllButSelf | kAssert | 0x500, 0);
    CHECK(target.take_init());
    CHECK(machine.apics[2]->take_init());
    CHECK_FALSE(sender.has_init_pending());
    target.init_reset();
    write_xapic_icr(sender, 0x8500, 1);  // INIT level deassert
    CHECK_FALSE(target.has_init_pending());
    write_xapic_icr(sender, 0xc500, 1);  // INIT level assert
    CHECK(target.take_init());
    write_xapic_icr(sender, kAssert | 0x600 | 0x9f, 1);
    CHECK(target.take_sipi() == 0x9f);
    const std::size_t sent = machine.wires.sent.size();
    write_xapic_icr(sender, kSelf | 0x500, 0);
    write_xapic_icr(sender, kAll | 0x500, 0);
    write_xapic_icr(sender, kSelf | 0x600, 0);
    write_xapic_icr(sender, 0x300 | 0x40, 1);
    write_xapic_icr(sender, 0x700 | 0x40, 1);
    CHECK(machine.wires.sent.size() == sent);
    CHECK_FALSE(sender.has_init_pending());
    write_xapic_icr(sender, kSelf | 0x400, 0);
    CHECK(sender.take_nmi());
    write_xapic_icr(sender, 0x8040, 1);  // the trigger bit does not count for fixed
    CHECK_FALSE(target.state().tmr.test(0x40));
}

TEST_CASE("a doorbell comes to one processor, in either mode, and is no interrupt") {
    for (const bool x2apic : {false, true}) {
        ApicMachine machine({0, 1, 2});
        if (x2apic) machine.enter_x2apic();
        machine.apics[0]->send_doorbell(2, 0);
        CHECK_FALSE(machine.apics[1]->take_doorbell());
        CHECK(machine.apics[2]->take_doorbell());
        CHECK_FALSE(machine.apics[2]->take_doorbell());
        CHECK_FALSE(machine.apics[2]->highest_requested());
        machine.apics[0]->send_doorbell(9, 0);
        machine.apics[2]->send_doorbell(2, 0);  // to itself
        CHECK(machine.apics[2]->take_doorbell());
    }
}

TEST_CASE("x2APIC: arbitrated messages of devices, by cluster or id") {
    ApicMachine machine({0, 1, 2, 0x10, 0x11});
    machine.enter_x2apic();
    machine.apics[0]->set_tpr(0x20);
    machine.apics[1]->set_tpr(0x10);
    InterruptMessage message;
    message.width = DestinationWidth::x2apic;
    message.destination_mode = DestinationMode::logical;
    message.redirection_hint = true;
    message.vector = 0x50;
    const InterruptSource device{InterruptSource::Kind::device, 8};
    message.destination = 0x3;
    CHECK(machine.router->deliver(message, device, 0) == 1);
    CHECK(machine.receivers(0x50) == 0b00010);
    message.destination = 0x7;
    CHECK(machine.router->deliver(message, device, 0) == 1);
    CHECK(machine.receivers(0x50) == 0b00100);
    message.destination = 1 << 16 | 0x3;  // cluster 1
    message.redirection_hint = false;
    CHECK(machine.router->deliver(message, device, 0) == 2);
    CHECK(machine.receivers(0x50) == 0b11000);
    message.delivery_mode = DeliveryMode::lowest_priority;
    machine.apics[3]->set_tpr(0x10);
    CHECK(machine.router->deliver(message, device, 0) == 1);
    CHECK(machine.receivers(0x50) == 0b10000);
    message.destination_mode = DestinationMode::physical;
    message.destination = 0x10;
    CHECK(machine.router->deliver(message, device, 0) == 1);
    CHECK(machine.receivers(0x50) == 0b01000);
}

TEST_CASE("the ICR as a whole, for the synthetic MSR") {
    ApicMachine machine({0, 1});
    CHECK(machine.apics[0]->write_icr(0x0100'0000'0000'4040, 0));
    CHECK(machine.receivers(0x40) == 0b10);
    CHECK(machine.apics[0]->icr() == 0x0100'0000'0000'4040);
    CHECK_FALSE(machine.apics[0]->write_icr(0x0001'0000'0000'4040, 0));
    CHECK_FALSE(machine.apics[0]->write_icr(0x2040, 0));
    machine.enter_x2apic();
    CHECK(machine.apics[0]->write_icr(0x0000'0001'0000'4040, 0));
    CHECK(machine.receivers(0x40) == 0b10);
}
