// Requests, priorities, nesting, EOI (SDM 3A 11.8).
#include "tests/apic/apic_machine.h"

using namespace hvsim::apic::test;

TEST_CASE("the highest vector above the processor priority is delivered first") {
    OneApic one;
    CHECK(one.accept(0x31) == Acceptance::accepted);
    CHECK(one.accept(0x61) == Acceptance::accepted);
    CHECK(one.accept(0x61) == Acceptance::coalesced);
    CHECK(one.accept(0x45) == Acceptance::accepted);
    CHECK(one.apic.highest_pending() == 0x61);
    CHECK(one.apic.acknowledge(0) == 0x61);
    CHECK(one.apic.ppr() == 0x60);
    CHECK_FALSE(one.apic.highest_pending());
    CHECK(one.apic.isr_vector() == 0x61);

    // A higher class nests, the same class does not.
    one.accept(0x6f);
    CHECK_FALSE(one.apic.highest_pending());
    one.accept(0x70);
    CHECK(one.apic.acknowledge(0) == 0x70);
    CHECK(one.apic.ppr() == 0x70);
    one.apic.eoi(0);
    CHECK(one.apic.isr_vector() == 0x61);
    one.apic.eoi(0);
    CHECK(one.apic.acknowledge(0) == 0x6f);
    one.apic.eoi(0);
    CHECK(one.apic.acknowledge(0) == 0x45);
    one.apic.eoi(0);
    CHECK(one.apic.acknowledge(0) == 0x31);
    one.apic.eoi(0);
    CHECK_FALSE(one.apic.isr_vector());
    CHECK(one.apic.ppr() == 0);
    CHECK(one.apic.statistics().acknowledged[0x61] == 1);
    CHECK(one.apic.statistics().coalesced[0x61] == 1);
    CHECK(one.apic.statistics().eois == 5);
}

TEST_CASE("PPR and APR follow the manual's formulas") {
    OneApic one;
    one.write(0x80, 0x35);
    CHECK(one.apic.ppr() == 0x35);
    CHECK(one.read(0xa0) == 0x35);
    CHECK(one.apic.apr() == 0x35);
    one.accept(0x42);
    CHECK(one.apic.apr() == 0x40);
    one.apic.acknowledge(0);
    CHECK(one.apic.ppr() == 0x40);  // in service above the task
    one.apic.set_tpr(0x4b);
    CHECK(one.apic.ppr() == 0x4b);  // same class: the task's sub-class counts
    CHECK(one.apic.apr() == 0x40);
    one.apic.set_tpr(0x5c);
    CHECK(one.apic.ppr() == 0x5c);
    CHECK(one.apic.apr() == 0x5c);
    CHECK(one.read(0x90) == 0x5c);
}

TEST_CASE("the task priority holds back its own class, for every class") {
    for (unsigned tpr = 0; tpr < 256; ++tpr) {
        OneApic one;
        one.apic.set_tpr(static_cast<std::uint8_t>(tpr));
        for (unsigned vector = 16; vector < 256; vector += 15) {
            one.accept(static_cast<std::uint8_t>(vector));
            const bool deliverable = one.apic.highest_pending().has_value();
            CHECK(deliverable == (vector >> 4 > tpr >> 4));
        }
    }
}

TEST_CASE("an acknowledge with nothing deliverable gives the spurious vector and no ISR bit") {
    OneApic one;
    one.accept(0x40);
    one.apic.set_tpr(0x40);
    CHECK(one.apic.acknowledge(0) == 0xff);
    CHECK_FALSE(one.apic.isr_vector());
    CHECK(one.apic.highest_requested() == 0x40);
    CHECK(one.apic.statistics().spurious == 1);
}

TEST_CASE("IRR, ISR and TMR are read 32 vectors at a time") {
    OneApic one;
    one.accept(0x10);
    one.accept(0xff, TriggerMode::level);
    one.accept(0x5f, TriggerMode::level);
    CHECK(one.read(0x200) == 1u << 16);
    CHECK(one.read(0x270) == 1u << 31);
    CHECK(one.read(0x220) == 1u << 31);
    CHECK(one.read(0x1f0) == 1u << 31);
    CHECK(one.read(0x180) == 0);
    one.apic.acknowledge(0);
    CHECK(one.read(0x170) == 1u << 31);
    CHECK(one.read(0x270) == 0);
}

TEST_CASE("only level-triggered vectors broadcast their EOI, and not when suppressed") {
    OneApic one;
    one.accept(0x50, TriggerMode::level);
    one.apic.acknowledge(0);
    one.write(0xb0, 0);
    CHECK(one.wires.eois == std::vector<std::uint8_t>{0x50});
    one.accept(0x50);  // the trigger of the latest request
    one.apic.acknowledge(0);
    one.apic.eoi(0);
    CHECK(one.wires.eois.size() == 1);
    one.write(0xf0, 0x11ff);
    one.accept(0x50, TriggerMode::level);
    one.apic.acknowledge(0);
    one.apic.eoi(0);
    CHECK(one.wires.eois.size() == 1);
    one.apic.eoi(0);  // nothing in service: nothing happens
    CHECK(one.wires.eois.size() == 1);
}

TEST_CASE("auto-EOI vectors leave no ISR bit; the latest request decides") {
    OneApic one;
    one.accept(0xf3, TriggerMode::edge, true);
    CHECK(one.apic.acknowledge(0) == 0xf3);
    CHECK_FALSE(one.apic.isr_vector());
    CHECK(one.apic.ppr() == 0);
    one.accept(0xf3, TriggerMode::edge, true);
    one.accept(0xf3, TriggerMode::edge, false);
    one.apic.acknowledge(0);
    CHECK(one.apic.isr_vector() == 0xf3);
    one.apic.eoi(0);
    one.accept(0xf3, TriggerMode::level, true);
    one.apic.acknowledge(0);
    CHECK(one.wires.eois == std::vector<std::uint8_t>{0xf3});
}

TEST_CASE("EOI assist needs an exit for level triggers and waiting vectors only") {
    OneApic one;
    one.accept(0x80);
    CHECK(one.apic.any_level_or_lower_pending());
    one.apic.acknowledge(0);
    CHECK_FALSE(one.apic.any_level_or_lower_pending());
    one.accept(0x20);
    CHECK(one.apic.any_level_or_lower_pending());
    one.apic.eoi(0);
    one.apic.acknowledge(0);
    one.apic.eoi(0);
    one.accept(0x80, TriggerMode::level);
    one.apic.acknowledge(0);
    CHECK(one.apic.any_level_or_lower_pending());
}

TEST_CASE("a software-disabled APIC keeps what is pending, takes no vectors, masks its LVT") {
    OneApic one;
    one.accept(0x33);
    one.write(0x320, 0x40);
    one.write(0xf0, 0xff);
    CHECK(one.read(0x320) == 0x10040);
    one.write(0x320, 0x41);
    CHECK(one.read(0x320) == 0x10041);  // unmasking is ignored
    CHECK(one.accept(0x44) == Acceptance::dropped);
    CHECK(one.apic.highest_pending() == 0x33);
    InterruptMessage nmi;
    nmi.delivery_mode = DeliveryMode::nmi;
    CHECK(one.apic.accept(nmi, 0) == Acceptance::accepted);
    one.write(0xf0, 0x1ff);
    CHECK(one.read(0x320) == 0x10041);  // stays masked until written
    one.write(0x320, 0x41);
    CHECK(one.read(0x320) == 0x41);
}

TEST_CASE("NMIs: two between two looks, one while another is served") {
    OneApic one;
    InterruptMessage nmi;
    nmi.delivery_mode = DeliveryMode::nmi;
    CHECK(one.apic.accept(nmi, 0) == Acceptance::accepted);
    CHECK(one.apic.accept(nmi, 0) == Acceptance::accepted);
    CHECK(one.apic.accept(nmi, 0) == Acceptance::coalesced);
    CHECK(one.apic.take_nmi());
    CHECK(one.apic.accept(nmi, 0) == Acceptance::coalesced);
    one.apic.nmi_unblocked();
    CHECK(one.apic.take_nmi());
    CHECK_FALSE(one.apic.has_nmi_pending());
    CHECK_FALSE(one.apic.take_nmi());
}

TEST_CASE("INIT and SIPI are latched; a SIPI outside wait-for-SIPI is lost") {
    OneApic one;  // an application processor
    InterruptMessage init;
    init.delivery_mode = DeliveryMode::init;
    InterruptMessage sipi;
    sipi.delivery_mode = DeliveryMode::startup;
    sipi.vector = 0x9a;
    CHECK(one.apic.waits_for_sipi());
    CHECK(one.apic.accept(sipi, 0) == Acceptance::accepted);
    CHECK(one.apic.take_sipi() == 0x9a);
    CHECK_FALSE(one.apic.waits_for_sipi());
    CHECK(one.apic.accept(sipi, 0) == Acceptance::dropped);
    one.accept(0x77);
    CHECK(one.apic.accept(init, 0) == Acceptance::accepted);
    CHECK(one.apic.accept(init, 0) == Acceptance::coalesced);
    sipi.vector = 0;
    CHECK(one.apic.accept(sipi, 0) == Acceptance::accepted);
    CHECK_FALSE(one.apic.take_sipi());  // INIT comes first
    CHECK(one.apic.take_init());
    one.apic.init_reset();
    CHECK_FALSE(one.apic.highest_requested());
    CHECK(one.apic.take_sipi() == 0);
    CHECK_FALSE(one.apic.take_init());

    InterruptMessage deassert = init;
    deassert.trigger = TriggerMode::level;
    deassert.assert_level = false;
    CHECK(one.apic.accept(deassert, 0) == Acceptance::dropped);
    CHECK_FALSE(one.apic.has_init_pending());

    LocalApicConfig boot;
    boot.bootstrap_processor = true;
    OneApic bsp(boot);
    bsp.apic.init_reset();
    CHECK_FALSE(bsp.apic.waits_for_sipi());
}
