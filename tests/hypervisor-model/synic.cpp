// SynIC: message slots, pending flag and EOM, event flags, SINTs, ports and connections between
// partitions.
#include <doctest/doctest.h>

#include "fixture.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

constexpr std::uint8_t kVector = 0xf3;

MessageSlot message(std::uint32_t type, std::uint8_t byte = 0) {
    MessageSlot slot;
    slot.type = type;
    slot.payload_size = 8;
    slot.payload[0] = byte;
    return slot;
}
hc::PostMessage post(std::uint32_t connection, std::uint8_t byte = 0) {
    hc::PostMessage in{.connection = connection, .type = 1, .payload_size = 16};
    in.payload[0] = byte;
    return in;
}

/// A child with its SynIC and APIC on, and VMBus-like ports: message port 10 and event port 11 of
/// the root, connections 1 and 2 of the child.
struct Wired {
    Machine m;
    Partition& child = m.make_child(2);
    VirtualProcessor& vp = *child.vp(0);
    VirtualProcessor& root = m.root_vp();

    Wired() {
        m.enable_hypercalls(vp);
        m.enable_synic(vp);
        m.enable_apic(vp);
        m.enable_apic(root);
        root.write_msr(msr::kSimp, 0xa00'0000 >> 4 | 1, m.now);
        root.write_msr(msr::kSiefp, 0x200'1001, m.now);
        root.write_msr(msr::kSint0 + 5, 0x55, m.now);
        root.write_msr(msr::kScontrol, 1, m.now);
        Machine::require(create(10, PortType::message));
        Machine::require(create(11, PortType::event, 64, 8));
        Machine::require(connect(1, 10, PortType::message));
        Machine::require(connect(2, 11, PortType::event));
    }
    HvStatus create(PortId id, PortType type, std::uint16_t base = 0, std::uint16_t count = 0,
                    std::uint32_t sint = 5, VpIndex target = 0) {
        return m.simple(0x95, hc::CreatePort{.port_partition = kSelfPartition,
                                             .port = id,
                                             .connection_partition = child.id(),
                                             .info = {.type = static_cast<std::uint32_t>(type),
                                                      .target_sint = sint,
                                                      .target_vp = target,
                                                      .base_flag_number = base,
                                                      .flag_count = count}});
    }
    HvStatus connect(ConnectionId id, PortId port, PortType type) {
        return m.simple(0x96, hc::ConnectPort{.connection_partition = child.id(),
                                              .connection = id,
                                              .port_partition = kSelfPartition,
                                              .port = port,
                                              .info = {.type = static_cast<std::uint32_t>(type)}});
    }
    HvStatus signal(std::uint32_t connection, std::uint16_t flag) {
        return m.raw(vp, 0x1005d, connection | std::uint64_t{flag} << 32, 0).status;
    }
    bool root_flag(unsigned flag) {
        std::uint8_t byte = 0;
        m.ram.read((root.pages().siefp << 12) + 5 * kEventFlagsBytes + flag / 8, byte);
        return sim::bit(byte, flag % 8);
    }
};

}  // namespace

TEST_CASE("a message goes into the empty slot and raises its SINT") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    m.enable_synic(vp);
    m.enable_apic(vp);
    m.waker.wakes.clear();
    vp.synic().post(2, message(1, 0xaa), 0, m.now);
    const MessageSlot slot = m.slot(vp, 2);
    CHECK(slot.type == 1);
    CHECK(slot.flags == 0);
    CHECK(slot.payload[0] == 0xaa);
    CHECK(vp.pending_vector() == kVector);
    REQUIRE(m.waker.wakes.size() == 1);
    CHECK(m.waker.wakes[0].second == m.now);
    // The guest sees it through its own page.
    std::array<std::uint8_t, 4> type{};
    CHECK(child.gpa_space().read(0x6'0200, type).ok());
    CHECK(type[0] == 1);
}

TEST_CASE("taken slot: pending flag, EOM, order, nothing lost") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    m.enable_synic(vp);
    m.enable_apic(vp);
    for (std::uint8_t i = 1; i <= 5; ++i) vp.synic().post(2, message(1, i), 0, m.now);
    for (std::uint8_t i = 1; i <= 5; ++i) {
        const MessageSlot slot = m.slot(vp, 2);
        CHECK(slot.payload[0] == i);
        CHECK(slot.flags == (i < 5 ? 1 : 0));
        CHECK(vp.accept_interrupt(m.now) == kVector);
        vp.end_of_interrupt(m.now);
        // EOM before the slot is empty delivers nothing.
        vp.write_msr(msr::kEom, 0, m.now);
        CHECK(m.slot(vp, 2).payload[0] == i);
        CHECK_FALSE(vp.pending_vector());
        m.clear_slot(vp, 2);
        vp.write_msr(msr::kEom, 0, m.now);
    }
    CHECK_FALSE(vp.pending_vector());
    CHECK_FALSE(vp.synic().anything_queued());
    CHECK(vp.synic().counters().messages == 5);
}

TEST_CASE("EOI tries again as well") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    m.enable_synic(vp);
    m.enable_apic(vp);
    vp.synic().post(2, message(1, 1), 0, m.now);
    vp.synic().post(2, message(1, 2), 0, m.now);
    vp.accept_interrupt(m.now);
    m.clear_slot(vp, 2);
    vp.mmio_apic_write(0xb0, 4, 0, m.now);
    CHECK(m.slot(vp, 2).payload[0] == 2);
}

TEST_CASE("messages wait for SCONTROL, SIMP and the mask") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    m.enable_apic(vp);
    vp.synic().post(2, message(1, 7), 0, m.now);
    CHECK(m.slot(vp, 2).type == 0);
    vp.write_msr(msr::kScontrol, 1, m.now);
    vp.write_msr(msr::kSint0 + 2, kVector, m.now);
    CHECK(m.slot(vp, 2).type == 0);
    vp.write_msr(msr::kSimp, 0x6'0001, m.now);  // the page starts empty, then the message comes
    CHECK(m.slot(vp, 2).payload[0] == 7);
    m.clear_slot(vp, 2);
    vp.write_msr(msr::kSint0 + 2, 0x10000, m.now);
    vp.synic().post(2, message(1, 8), 0, m.now);
    CHECK(m.slot(vp, 2).type == 0);
    vp.write_msr(msr::kSint0 + 2, kVector, m.now);
    CHECK(m.slot(vp, 2).payload[0] == 8);
}

TEST_CASE("auto-EOI and polling SINTs") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    m.enable_synic(vp, kVector | msr::Sint::kAutoEoi);
    m.enable_apic(vp);
    vp.synic().post(2, message(1), 0, m.now);
    CHECK(vp.accept_interrupt(m.now) == kVector);
    CHECK_FALSE(vp.apic().isr_vector());
    m.clear_slot(vp, 2);
    vp.write_msr(msr::kSint0 + 2, kVector | msr::Sint::kPolling, m.now);
    vp.synic().post(2, message(1, 3), 0, m.now);
    CHECK(m.slot(vp, 2).payload[0] == 3);
    CHECK_FALSE(vp.pending_vector());
}

TEST_CASE("SINT registers refuse bad values and keep the others") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    const auto write = [&](std::uint64_t value) {
        return vp.write_msr(msr::kSint0 + 3, value, m.now).gp;
    };
    CHECK(vp.read_msr(msr::kSint0 + 3, m.now).value == 0x10000);
    CHECK(write(0x0f));
    CHECK(write(0));
    CHECK_FALSE(write(0x10));
    CHECK_FALSE(write(0x1000f));
    CHECK_FALSE(write(0x4000f));  // polling
    CHECK(write(0x200000));
    CHECK(write(std::uint64_t{1} << 32 | 0x50));
    CHECK(write(0x150));
    CHECK(vp.read_msr(msr::kSint0 + 3, m.now).value == 0x4000f);
}

TEST_CASE("event flags: set once, one interrupt, kept while off") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    CHECK(vp.synic().signal(2, 2047, m.now) == Synic::Signal::kept);
    m.enable_synic(vp);
    m.enable_apic(vp);
    std::uint8_t byte = 0;
    const std::uint64_t area = (vp.pages().siefp << 12) + 2 * kEventFlagsBytes;
    m.ram.read(area + 255, byte);
    CHECK(byte == 0x80);
    vp.synic().signal(2, 9, m.now);
    CHECK(vp.pending_vector() == kVector);
    vp.accept_interrupt(m.now);
    vp.end_of_interrupt(m.now);
    CHECK(vp.synic().signal(2, 9, m.now) == Synic::Signal::already_set);
    CHECK_FALSE(vp.pending_vector());
    m.ram.write(area + 1, std::uint8_t{0});
    CHECK(vp.synic().signal(2, 9, m.now) == Synic::Signal::newly_set);
    CHECK(vp.pending_vector() == kVector);
    m.ram.read(area + 1, byte);
    CHECK(byte == 2);
}

TEST_CASE("guest to root: messages and events through ports") {
    Wired w;
    CHECK(w.m.guest_call(w.vp, 0x5c, post(1, 0x42)).status == HvStatus::success);
    const MessageSlot slot = w.m.slot(w.root, 5);
    CHECK(slot.type == 1);
    CHECK(slot.sender == 10);
    CHECK(slot.payload_size == 16);
    CHECK(slot.payload[0] == 0x42);
    CHECK(w.root.pending_vector() == 0x55);
    CHECK(w.signal(2, 7) == HvStatus::success);
    CHECK(w.root_flag(71));
    CHECK(w.signal(2, 8) == HvStatus::invalid_parameter);
    CHECK(w.signal(1, 0) == HvStatus::invalid_connection_id);  // a message connection
    CHECK(w.signal(3, 0) == HvStatus::invalid_connection_id);
    CHECK(w.m.guest_call(w.vp, 0x5c, post(2)).status == HvStatus::invalid_connection_id);
    hc::Value64 count;
    CHECK(w.m.simple_out(0x5a, hc::PortProperty{kSelfPartition, 10, 0, 0, 0}, count) ==
          HvStatus::success);
    CHECK(count.value == 1);
}

TEST_CASE("hostile messages") {
    Wired w;
    hc::PostMessage in = post(1);
    in.payload_size = 241;
    CHECK(w.m.guest_call(w.vp, 0x5c, in).status == HvStatus::invalid_parameter);
    in = post(1);
    in.type = 0;
    CHECK(w.m.guest_call(w.vp, 0x5c, in).status == HvStatus::invalid_parameter);
    in.type = 0x8000'0010;
    CHECK(w.m.guest_call(w.vp, 0x5c, in).status == HvStatus::invalid_parameter);
    in = post(0x0100'0001);
    CHECK(w.m.guest_call(w.vp, 0x5c, in).status == HvStatus::invalid_connection_id);
    // Bytes behind the payload do not leak.
    in = post(1);
    in.payload.fill(0xee);
    in.payload_size = 3;
    CHECK(w.m.guest_call(w.vp, 0x5c, in).status == HvStatus::success);
    CHECK(w.m.slot(w.root, 5).payload[2] == 0xee);
    CHECK(w.m.slot(w.root, 5).payload[3] == 0);
}

TEST_CASE("sixteen messages wait, the next is refused, a delivered one makes room") {
    Wired w;
    CHECK(w.m.guest_call(w.vp, 0x5c, post(1, 0)).status == HvStatus::success);  // in the slot
    for (std::uint8_t i = 1; i <= 16; ++i)
        CHECK(w.m.guest_call(w.vp, 0x5c, post(1, i)).status == HvStatus::success);
    CHECK(w.m.guest_call(w.vp, 0x5c, post(1, 17)).status == HvStatus::insufficient_buffers);
    w.m.clear_slot(w.root, 5);
    w.root.write_msr(msr::kEom, 0, w.m.now);
    CHECK(w.m.slot(w.root, 5).payload[0] == 1);
    CHECK(w.m.guest_call(w.vp, 0x5c, post(1, 17)).status == HvStatus::success);
}

TEST_CASE("creating and ending ports and connections") {
    Wired w;
    const std::uint64_t used = w.m.root().pool().in_use();
    CHECK(w.create(10, PortType::message) == HvStatus::invalid_port_id);
    CHECK(w.create(0, PortType::message) == HvStatus::invalid_port_id);
    CHECK(w.create(0x0100'0000, PortType::message) == HvStatus::invalid_port_id);
    CHECK(w.create(12, PortType::message, 0, 0, 16) == HvStatus::invalid_parameter);
    CHECK(w.create(12, PortType::message, 0, 0, 5, 7) == HvStatus::invalid_vp_index);
    CHECK(w.create(12, PortType::event, 0, 0) == HvStatus::invalid_parameter);
    CHECK(w.create(12, PortType::event, 2047, 2) == HvStatus::invalid_parameter);
    CHECK(w.create(12, PortType::monitor) == HvStatus::invalid_parameter);
    CHECK(w.create(12, static_cast<PortType>(9)) == HvStatus::invalid_parameter);
    CHECK(w.create(12, PortType::message, 0, 0, 5, kAnyVp) == HvStatus::success);
    CHECK(w.m.root().pool().in_use() == used + 1);
    CHECK(w.connect(1, 12, PortType::message) == HvStatus::invalid_connection_id);
    CHECK(w.connect(4, 99, PortType::message) == HvStatus::invalid_port_id);
    CHECK(w.connect(4, 12, PortType::event) == HvStatus::invalid_parameter);
    CHECK(w.connect(4, 12, PortType::message) == HvStatus::success);
    CHECK(w.m.guest_call(w.vp, 0x5c, post(4, 9)).status == HvStatus::success);
    CHECK(w.m.slot(w.root, 5).payload[0] == 9);
    // Queued behind the slot: gone with the port, which leaves a dead connection.
    CHECK(w.m.guest_call(w.vp, 0x5c, post(4, 10)).status == HvStatus::success);
    CHECK(w.m.simple(0x58, hc::PortOnly{kSelfPartition, 12, 0}) == HvStatus::success);
    CHECK(w.m.simple(0x58, hc::PortOnly{kSelfPartition, 12, 0}) == HvStatus::invalid_port_id);
    CHECK_FALSE(w.root.synic().anything_queued());
    CHECK(w.m.root().pool().in_use() == used);
    CHECK(w.m.guest_call(w.vp, 0x5c, post(4)).status == HvStatus::invalid_connection_id);
    CHECK(w.m.simple(0x5b, hc::PortOnly{w.child.id(), 4, 0}) == HvStatus::success);
    CHECK(w.m.simple(0x5b, hc::PortOnly{w.child.id(), 4, 0}) == HvStatus::invalid_connection_id);
    // The child has no CreatePort.
    CHECK(w.m.guest_call(w.vp, 0x58, hc::PortOnly{kSelfPartition, 10, 0}).status ==
          HvStatus::access_denied);
}

TEST_CASE("a port for one partition is closed to another") {
    Wired w;
    Partition& other = w.m.hypervisor.root();
    CHECK(w.m.simple(0x96, hc::ConnectPort{.connection_partition = other.id(),
                                           .connection = 7,
                                           .port_partition = kSelfPartition,
                                           .port = 10,
                                           .info = {.type = 1}}) == HvStatus::invalid_port_id);
}

TEST_CASE("messages end with the partition that receives them") {
    Wired w;
    CHECK(w.m.simple(0x42, hc::PartitionOnly{w.child.id()}) == HvStatus::success);
    CHECK(w.child.pool().in_use() == 0);
    CHECK(w.child.connections().empty());
}

TEST_CASE("direct messages and events to a child") {
    Wired w;
    hc::PostMessageDirect in{.partition = w.child.id(), .vp = 0, .sint = 2};
    MessageSlot slot = message(1, 0x31);
    slot.flags = 0xff;
    slot.sender = 5;
    std::memcpy(in.message.data(), &slot, sizeof(slot));
    CHECK(w.m.simple(0xc1, in) == HvStatus::success);
    CHECK(w.m.slot(w.vp, 2).payload[0] == 0x31);
    CHECK(w.m.slot(w.vp, 2).flags == 0);
    CHECK(w.m.slot(w.vp, 2).sender == 5);
    for (int i = 0; i < 16; ++i) CHECK(w.m.simple(0xc1, in) == HvStatus::success);
    CHECK(w.m.simple(0xc1, in) == HvStatus::insufficient_buffers);
    in.sint = 16;
    CHECK(w.m.simple(0xc1, in) == HvStatus::invalid_parameter);
    in.sint = 2;
    in.vp = 5;
    CHECK(w.m.simple(0xc1, in) == HvStatus::invalid_vp_index);

    hc::SignalEventDirectOut out;
    hc::SignalEventDirect event{
        .partition = w.child.id(), .vp = 0, .vtl = 0, .sint = 2, .flag = 100};
    CHECK(w.m.simple_out(0xc0, event, out) == HvStatus::success);
    CHECK(out.newly_signaled == 1);
    CHECK(w.m.simple_out(0xc0, event, out) == HvStatus::success);
    CHECK(out.newly_signaled == 0);
    event.flag = 2048;
    CHECK(w.m.simple(0xc0, event) == HvStatus::invalid_parameter);
    CHECK(w.m.guest_call(w.vp, 0x8b, hc::PortRingEmpty{16, 0}).status ==
          HvStatus::invalid_parameter);
    CHECK(w.m.guest_call(w.vp, 0x8b, hc::PortRingEmpty{2, 0}).status == HvStatus::success);
}

TEST_CASE("a message to a port of any processor goes to one that is ready") {
    Wired w;
    w.m.enable_synic(*w.child.vp(1), kVector, 0x70);
    w.vp.write_msr(msr::kSint0 + 2, 0x10000, w.m.now);  // processor 0 masks it
    CHECK(w.m.simple(0x95,
                     hc::CreatePort{.port_partition = w.child.id(),
                                    .port = 3,
                                    .connection_partition = kSelfPartition,
                                    .info = {.type = 1, .target_sint = 2, .target_vp = kAnyVp}}) ==
          HvStatus::success);
    CHECK(w.m.simple(0x96, hc::ConnectPort{.connection_partition = kSelfPartition,
                                           .connection = 3,
                                           .port_partition = w.child.id(),
                                           .port = 3,
                                           .info = {.type = 1}}) == HvStatus::success);
    CHECK(w.m.simple(0x5c, post(3, 0x66)) == HvStatus::success);
    CHECK(w.m.slot(*w.child.vp(1), 2).payload[0] == 0x66);
}

TEST_CASE("messages that wait for a deleted processor free their port's buffers") {
    Wired w;
    CHECK(w.m.simple(0x95,
                     hc::CreatePort{.port_partition = w.child.id(),
                                    .port = 3,
                                    .connection_partition = kSelfPartition,
                                    .info = {.type = 1, .target_sint = 4, .target_vp = kAnyVp}}) ==
          HvStatus::success);
    CHECK(w.m.simple(0x96, hc::ConnectPort{.connection_partition = kSelfPartition,
                                           .connection = 3,
                                           .port_partition = w.child.id(),
                                           .port = 3,
                                           .info = {.type = 1}}) == HvStatus::success);
    CHECK(w.m.simple(0x5c, post(3)) == HvStatus::success);  // SINT4 is masked everywhere
    CHECK(w.child.port(3)->waiting == 1);
    CHECK(w.m.simple(0x4f, hc::VpOnly{w.child.id(), 0, 0}) == HvStatus::success);
    CHECK(w.child.port(3)->waiting == 0);
    CHECK(w.m.simple(0x4f, hc::VpOnly{w.child.id(), 1, 0}) == HvStatus::success);
    CHECK(w.m.simple(0x5c, post(3)) == HvStatus::invalid_vp_state);
}
