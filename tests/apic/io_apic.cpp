// The I/O APIC with local APICs, and MSI formats.
#include "apic/io_apic.h"

#include "tests/apic/apic_machine.h"

using namespace hvsim;
using namespace hvsim::apic::test;

namespace {

std::uint32_t indirect(IoApic& io_apic, std::uint32_t index) {
    io_apic.mmio_write(0, 4, index, 0);
    return static_cast<std::uint32_t>(io_apic.mmio_read(0x10, 4));
}

}  // namespace

TEST_CASE("indirect registers, reset values, what a guest can and cannot write") {
    ApicMachine machine({0});
    IoApic& io_apic = machine.io_apic;
    CHECK(indirect(io_apic, 0) == 0x01000000);
    CHECK(indirect(io_apic, 1) == 0x00170020);
    CHECK(indirect(io_apic, 2) == 0x01000000);
    CHECK(indirect(io_apic, 3) == 0);
    CHECK(indirect(io_apic, 0x10) == 0x10000);
    CHECK(indirect(io_apic, 0x3f) == 0);
    CHECK(indirect(io_apic, 0x40) == 0);  // beyond the table
    io_apic.mmio_write(0x10, 4, 0xffffffff, 0);
    CHECK(indirect(io_apic, 0xff) == 0);
    io_apic.mmio_write(0, 4, 0, 0);
    io_apic.mmio_write(0x10, 4, 0xffffffff, 0);
    CHECK(indirect(io_apic, 0) == 0x0f000000);
    machine.write_redirection(5, ~std::uint64_t{0});
    CHECK(io_apic.redirection(5) == 0xffff00000001afff);
    CHECK(io_apic.mmio_read(0x10, 1) == 0);
    CHECK(io_apic.mmio_read(0x20, 4) == 0);
    io_apic.mmio_write(0, 1, 0x1234, 0);
    CHECK(io_apic.mmio_read(0, 1) == 0x34);
}

TEST_CASE("an edge sends once per edge; masked edges are lost; polarity turns") {
    ApicMachine machine({0, 1});
    machine.write_redirection(4, 0x0100'0000'0000'0034);
    machine.io_apic.set_pin(4, true, 9);
    CHECK(machine.wires.sent.back().time == 9);
    CHECK(machine.wires.sent.back().source ==
          InterruptSource{InterruptSource::Kind::io_apic, 0xf8});
    CHECK(machine.receivers(0x34) == 0b10);
    machine.io_apic.set_pin(4, true, 0);
    CHECK(machine.receivers(0x34) == 0);
    machine.io_apic.set_pin(4, false, 0);
    machine.write_redirection(4, 0x0100'0000'0001'0034);
    machine.io_apic.set_pin(4, true, 0);
    machine.write_redirection(4, 0x0100'0000'0000'0034);
    CHECK(machine.receivers(0x34) == 0);
    machine.write_redirection(4, 0x0100'0000'0000'2034);  // active low, and the pin is high
    CHECK(machine.receivers(0x34) == 0);
    machine.io_apic.set_pin(4, false, 0);
    CHECK(machine.receivers(0x34) == 0b10);
    CHECK(machine.io_apic.sent()[4] == 2);
}

TEST_CASE("a level waits for its EOI and comes again while asserted") {
    ApicMachine machine({0});
    LocalApic& apic = *machine.apics[0];
    machine.write_redirection(9, 0x8035);
    machine.io_apic.set_pin(9, true, 0);
    CHECK(apic.acknowledge(0) == 0x35);
    CHECK(apic.state().tmr.test(0x35));
    CHECK((machine.io_apic.redirection(9) & 0x4000) != 0);
    machine.io_apic.set_pin(9, true, 0);
    machine.io_apic.set_pin(9, false, 0);
    machine.io_apic.set_pin(9, true, 0);
    CHECK_FALSE(apic.highest_requested());  // remote IRR holds it back
    apic.eoi(0);
    CHECK(apic.acknowledge(0) == 0x35);
    machine.io_apic.set_pin(9, false, 0);
    apic.eoi(0);
    CHECK_FALSE(apic.highest_requested());
    CHECK((machine.io_apic.redirection(9) & 0x4000) == 0);

    // A level asserted while masked is served when unmasked.
    machine.write_redirection(9, 0x18035);
    machine.io_apic.set_pin(9, true, 0);
    CHECK_FALSE(apic.highest_requested());
    machine.write_redirection(9, 0x8035);
    CHECK(apic.acknowledge(0) == 0x35);
    // Remote IRR is read-only; turning to edge and back clears it.
    machine.write_redirection(9, 0x10000 | 0x35);
    CHECK((machine.io_apic.redirection(9) & 0x4000) == 0);
}

TEST_CASE("directed EOI: suppressed broadcast, then the EOI register") {
    ApicMachine machine({0});
    LocalApic& apic = *machine.apics[0];
    apic.mmio_write(0xf0, 4, 0x11ff, 0);
    machine.write_redirection(9, 0x8035);
    machine.io_apic.set_pin(9, true, 0);
    apic.acknowledge(0);
    machine.io_apic.set_pin(9, false, 0);
    apic.eoi(0);
    CHECK((machine.io_apic.redirection(9) & 0x4000) != 0);
    machine.io_apic.mmio_write(0x40, 4, 0x36, 0);  // another vector
    CHECK((machine.io_apic.redirection(9) & 0x4000) != 0);
    machine.io_apic.mmio_write(0x40, 4, 0x35, 0);
    CHECK((machine.io_apic.redirection(9) & 0x4000) == 0);
}

TEST_CASE("two level pins that share a vector both hear the EOI") {
    ApicMachine machine({0});
    LocalApic& apic = *machine.apics[0];
    machine.write_redirection(10, 0x8040);
    machine.write_redirection(11, 0x8040);
    machine.io_apic.set_pin(10, true, 0);
    machine.io_apic.set_pin(11, true, 0);
    apic.acknowledge(0);
    machine.io_apic.set_pin(10, false, 0);
    apic.eoi(0);
    CHECK(apic.acknowledge(0) == 0x40);
    machine.io_apic.set_pin(11, false, 0);
    apic.eoi(0);
    CHECK_FALSE(apic.highest_requested());
}

TEST_CASE("NMI and ExtINT entries, logical lowest priority") {
    ApicMachine machine({0, 1});
    machine.apics[0]->mmio_write(0xd0, 4, 0x01000000, 0);
    machine.apics[1]->mmio_write(0xd0, 4, 0x02000000, 0);
    machine.write_redirection(2, 0x0100'0000'0000'8400);  // NMI is an edge whatever bit 15 says
    machine.io_apic.set_pin(2, true, 0);
    CHECK(machine.apics[1]->take_nmi());
    machine.io_apic.set_pin(2, false, 0);
    machine.io_apic.set_pin(2, true, 0);
    CHECK(machine.apics[1]->has_nmi_pending());
    machine.write_redirection(0, 0x0000'0000'0000'0700);
    machine.io_apic.set_pin(0, true, 0);
    CHECK(machine.apics[0]->ext_int_requested());
    machine.apics[0]->take_ext_int();
    CHECK_FALSE(machine.apics[0]->ext_int_requested());
    machine.apics[0]->set_tpr(0x10);
    machine.write_redirection(3, 0x0300'0000'0000'0950);
    machine.io_apic.set_pin(3, true, 0);
    CHECK(machine.receivers(0x50) == 0b10);
}

TEST_CASE("the message of an entry keeps every bit that interrupt remapping reads") {
    CHECK(IoApic::message_of(0x0200'0000'0000'0931) == MsiMessage{0xfee0200c, 0x4131});
    CHECK(IoApic::message_of(0xff00'0000'0000'8035) == MsiMessage{0xfeeff000, 0xc035});
    // Remappable: handle 14:0 = entry 63:49, handle 15 = entry 11, no subhandle (VT-d 5.1.2.2).
    CHECK(IoApic::message_of(0xabcd'0000'0000'0931) == MsiMessage{0xfeeabcd4, 0x4131});

    struct Catcher final : MsiSink {
        MsiMessage last;
        void write_msi(MsiMessage message, InterruptSource, sim::Time) override { last = message; }
    } catcher;
    IoApic io_apic({.id = 0, .entries = 1, .requester_id = 0}, catcher);
    io_apic.mmio_write(0, 4, 0x11, 0);
    io_apic.mmio_write(0x10, 4, 0xabcd0000, 0);
    io_apic.mmio_write(0, 4, 0x10, 0);
    io_apic.mmio_write(0x10, 4, 0x0031, 0);
    io_apic.set_pin(0, true, 0);
    CHECK(catcher.last == MsiMessage{0xfeeabcd0, 0x4031});
}

TEST_CASE("MSI formats: golden values, round trips, refusals") {
    InterruptMessage message;
    message.destination = 0x5a;
    message.destination_mode = DestinationMode::logical;
    message.delivery_mode = DeliveryMode::lowest_priority;
    message.redirection_hint = true;
    message.vector = 0xc1;
    CHECK(encode_msi(message) == MsiMessage{0xfee5a00c, 0x41c1});
    CHECK(decode_msi({0xfee5a00c, 0x41c1}) == message);
    message.destination = 0x3421;
    message.width = DestinationWidth::x2apic;
    CHECK(encode_msi(message) == MsiMessage{0xfee2168c, 0x41c1});
    CHECK(decode_msi({0xfee2168c, 0x41c1}, true) == message);
    CHECK(decode_msi({0xfee2168c, 0x41c1})->destination == 0x21);
    CHECK_FALSE(decode_msi({0xfee5a01c, 0x41c1}));   // remappable format
    CHECK_FALSE(decode_msi({0xfef00000, 0x41c1}));   // outside
    CHECK_FALSE(decode_msi({0x1fee00000, 0x41c1}));  // 64-bit address elsewhere
    CHECK_FALSE(decode_msi({0xfee00000, 0x300}));    // reserved delivery modes
    CHECK_FALSE(decode_msi({0xfee00000, 0x600}));
    CHECK_FALSE(decode_msi({0xfee00000, 0x8040})->assert_level);
    CHECK(decode_msi({0xfee00000, 0x0040})->assert_level);  // an edge has no level

    Wires wires;
    MsiDecoder decoder(wires, false);
    decoder.write_msi({0xfee00010, 0}, {}, 0);
    CHECK(decoder.rejected() == 1);
    CHECK(wires.sent.empty());
}

TEST_CASE("ICR values round-trip in both layouts") {
    for (const std::uint64_t icr : {0x0500'0000'000c'4641ull, 0xff00'0000'0000'4940ull})
        CHECK(encode_icr(decode_icr(icr, DestinationWidth::xapic)) == icr);
    for (const std::uint64_t icr : {0x1234'5678'0000'4841ull, 0xffff'ffff'0008'4400ull})
        CHECK(encode_icr(decode_icr(icr, DestinationWidth::x2apic)) == icr);
}

TEST_CASE("saving and restoring an I/O APIC") {
    ApicMachine machine({0});
    machine.write_redirection(9, 0x8035);
    machine.io_apic.set_pin(9, true, 0);
    ApicMachine other({0});
    other.io_apic.restore(machine.io_apic.state());
    CHECK(other.io_apic.state() == machine.io_apic.state());
    other.io_apic.broadcast_eoi(0x35, 0);
    CHECK(other.receivers(0x35) == 1);  // still asserted
}
