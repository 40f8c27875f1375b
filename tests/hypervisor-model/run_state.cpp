// Starting, stopping, INIT and SIPI, EOI assist, registers by name, intercept messages, reset.
#include <doctest/doctest.h>

#include "fixture.h"
#include "hypervisor-model/spec/pages.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

apic::InterruptMessage vector(std::uint8_t number,
                              apic::TriggerMode trigger = apic::TriggerMode::edge) {
    apic::InterruptMessage message;
    message.vector = number;
    message.trigger = trigger;
    return message;
}

struct Assist {
    Machine m;
    VirtualProcessor& vp;
    explicit Assist(const HypervisorConfig& config = Machine::default_config())
        : m(config), vp(*m.make_child().vp(0)) {
        m.enable_apic(vp);
        CHECK_FALSE(vp.write_msr(msr::kVpAssistPage, 0x6'5001, m.now).gp);
    }
    std::uint32_t bits() {
        std::uint32_t value = 0;
        m.ram.read(vp.pages().assist << 12, value);
        return value;
    }
    void guest_takes_offer() { m.ram.write(vp.pages().assist << 12, bits() & ~1u); }
};

template <typename Payload>
Payload payload(const MessageSlot& slot) {
    Payload value;
    std::memcpy(&value, slot.payload.data(), sizeof(value));
    return value;
}

}  // namespace

TEST_CASE("EOI assist: offered, taken, counted as an EOI") {
    Assist t;
    t.vp.receive(vector(0x80), t.m.now);
    CHECK(t.vp.accept_interrupt(t.m.now) == 0x80);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 1);
    t.vp.after_exit(t.m.now);
    CHECK(t.vp.apic().isr_vector() == 0x80);
    t.guest_takes_offer();
    t.vp.after_exit(t.m.now);
    CHECK_FALSE(t.vp.apic().isr_vector());
    CHECK(t.vp.counters().eoi_assists == 1);
    t.vp.after_exit(t.m.now);
    CHECK(t.vp.counters().eoi_assists == 1);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 0);
}

TEST_CASE("EOI assist is not offered where something hangs on the EOI") {
    Assist t;
    t.vp.receive(vector(0x80, apic::TriggerMode::level), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 0);
    t.vp.end_of_interrupt(t.m.now);

    t.vp.receive(vector(0x80), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 1);
    t.vp.receive(vector(0x50), t.m.now);  // a lower one waits now: the offer is taken back
    t.vp.after_exit(t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 0);
    t.vp.mmio_apic_write(0xb0, 4, 0, t.m.now);
    CHECK(t.vp.accept_interrupt(t.m.now) == 0x50);
}

TEST_CASE("EOI assist under nesting: the offer is for one vector only") {
    Assist t;
    t.vp.receive(vector(0x50), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    t.vp.receive(vector(0x90), t.m.now);  // interrupts the handler before it took the offer
    CHECK(t.vp.accept_interrupt(t.m.now) == 0x90);
    CHECK(t.bits() == 0);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 1);
    t.guest_takes_offer();                      // ends 0x90
    t.vp.after_exit(t.m.now);                   // on the exit of ...
    t.vp.mmio_apic_write(0xb0, 4, 0, t.m.now);  // ... the EOI of 0x50
    CHECK_FALSE(t.vp.apic().isr_vector());
    // A guest that writes EOI although it was offered the short way ends one vector, not two.
    t.vp.receive(vector(0x50), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.receive(vector(0x90), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    t.vp.after_exit(t.m.now);
    t.vp.mmio_apic_write(0xb0, 4, 0, t.m.now);
    CHECK(t.vp.apic().isr_vector() == 0x50);
    CHECK(t.bits() == 0);
    t.vp.write_msr(msr::kVpAssistPage, 0, t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.vp.write_msr(msr::kVpAssistPage, 0x6'5003, t.m.now).gp);
}

TEST_CASE("ways to end an interrupt are counted apart") {
    Assist t;
    const auto interrupt = [&] {
        t.vp.receive(vector(0x80), t.m.now);
        t.vp.accept_interrupt(t.m.now);
        t.vp.prepare_entry(t.m.now);
    };
    const VirtualProcessor::Counters& counters = t.vp.counters();
    const std::uint64_t enabling = counters.xapic_accesses;
    interrupt();
    t.guest_takes_offer();
    t.vp.after_exit(t.m.now);
    interrupt();
    t.vp.mmio_apic_write(0xb0, 4, 0, t.m.now);
    interrupt();
    t.vp.write_msr(msr::kEoi, 0, t.m.now);
    CHECK(counters.eoi_assists == 1);
    CHECK(counters.eoi_writes == 2);
    CHECK(counters.auto_eois == 0);
    CHECK(counters.xapic_accesses - enabling == 1);
    CHECK(counters.synthetic_apic_accesses == 1);

    CHECK(t.vp.read_msr(0x80a, t.m.now).gp);  // not in x2APIC mode: no access to a register
    CHECK(counters.x2apic_accesses == 0);
    CHECK_FALSE(t.vp.write_msr(0x1b, 0xfee0'0d00, t.m.now).gp);
    CHECK_FALSE(t.vp.read_msr(0x80a, t.m.now).gp);
    CHECK(counters.x2apic_accesses == 1);

    t.vp.receive(vector(0x80), t.m.now, true);
    CHECK(t.vp.accept_interrupt(t.m.now) == 0x80);
    CHECK_FALSE(t.vp.apic().isr_vector());
    CHECK(counters.auto_eois == 1);
}

TEST_CASE("EOI assist is not offered where the partition has none") {
    HypervisorConfig config = Machine::default_config();
    config.guest_features.eoi_assist = false;
    Assist t(config);
    t.vp.receive(vector(0x80), t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 0);
    CHECK(t.vp.apic().isr_vector() == 0x80);
}

TEST_CASE("a waiting message keeps the EOI visible") {
    Assist t;
    t.m.enable_synic(t.vp);
    MessageSlot message;
    message.type = 1;
    t.vp.synic().post(2, message, 0, t.m.now);
    t.vp.synic().post(2, message, 0, t.m.now);
    t.vp.accept_interrupt(t.m.now);
    t.vp.prepare_entry(t.m.now);
    CHECK(t.bits() == 0);
}

TEST_CASE("INIT and SIPI start an application processor") {
    Machine m;
    Partition& child = m.make_child(2);
    VirtualProcessor& bsp = *child.vp(0);
    VirtualProcessor& ap = *child.vp(1);
    m.enable_apic(bsp);
    ap.apic().set_wait_for_sipi(true);
    CHECK_FALSE(ap.runnable(m.now));
    // xAPIC ICR of processor 0: INIT, then SIPI to processor 1 at 0x9f000.
    bsp.mmio_apic_write(0x310, 4, 1u << 24, m.now);
    bsp.mmio_apic_write(0x300, 4, 0x4500, m.now);
    CHECK(ap.init_pending());
    CHECK(ap.runnable(m.now));
    ap.apply_init(m.now);
    CHECK_FALSE(ap.init_pending());
    CHECK(ap.waits_for_sipi());
    CHECK_FALSE(ap.runnable(m.now));
    bsp.mmio_apic_write(0x300, 4, 0x069f, m.now);
    CHECK(ap.sipi_pending());
    CHECK(ap.runnable(m.now));
    const auto start = ap.take_sipi();
    REQUIRE(start);
    ap.apply_sipi(*start);
    FakeContext& c = m.context(ap);
    CHECK(c.segments[1].base == 0x9f000);
    CHECK(c.segments[1].selector == 0x9f00);
    CHECK(c.rip_ == 0);
    CHECK(c.crs[0] == 0x10);  // CD and NW stay as they were
    CHECK(c.efer_ == 0);
    CHECK(c.rflags_ == 2);
    CHECK(c.gprs[kRdx] == 0x5'0654);
    CHECK(ap.runnable(m.now));
    CHECK(m.recorder.count(sim::EventKind::kIpi) == 2);
}

TEST_CASE("StartVirtualProcessor") {
    Machine m;
    Partition& child =
        m.make_child(2, kGuestPrivileges | mask_of(Privilege::start_virtual_processor));
    VirtualProcessor& bsp = *child.vp(0);
    m.enable_hypercalls(bsp);
    hc::StartVp in;
    in.partition = kSelfPartition;
    in.vp = 1;
    in.context.rip = 0x1000;
    in.context.cr0 = 0x8000'0011;
    in.context.efer = 0x500;
    in.context.cs = {0, 0xffff'ffff, 0x10, 0xa09b};
    CHECK(m.guest_call(bsp, 0x99, in).status == HvStatus::invalid_vp_state);  // runs already
    child.vp(1)->apic().set_wait_for_sipi(true);
    in.target_vtl = 1;
    CHECK(m.guest_call(bsp, 0x99, in).status == HvStatus::invalid_parameter);
    in.target_vtl = 0;
    in.vp = 2;
    CHECK(m.guest_call(bsp, 0x99, in).status == HvStatus::invalid_vp_index);
    in.vp = 1;
    in.context.efer = 0x400;  // LMA without LME
    CHECK(m.guest_call(bsp, 0x99, in).status == HvStatus::invalid_register_value);
    in.context.efer = 0x500;
    CHECK(m.guest_call(bsp, 0x99, in).status == HvStatus::success);
    CHECK(child.vp(1)->runnable(m.now));
    CHECK(m.context(*child.vp(1)).rip_ == 0x1000);
    CHECK(m.context(*child.vp(1)).segments[1].access_rights == 0xa09b);
}

TEST_CASE("registers by name, there and back") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    const auto set = [&](std::uint32_t name, std::uint64_t low, std::uint64_t high = 0) {
        return m.rep(0x51, hc::VpRegisters{child.id(), 0, 0, {}},
                     std::vector<hc::RegisterAssociation>{{name, {}, {low, high}}});
    };
    const auto get = [&](std::uint32_t name) {
        unsigned done = 0;
        const std::vector<std::uint32_t> names{name};
        Machine::require(m.rep(0x50, hc::VpRegisters{child.id(), 0, 0, {}},
                               std::span<const std::uint32_t>(names), done, 1));
        RegisterValue value;
        m.ram.read(Machine::kOutput, value);
        return value;
    };
    struct Row {
        std::uint32_t name;
        RegisterValue value;
    };
    for (const Row& row : {Row{reg::kRax + 15, {5, 0}},
                           Row{reg::kRip, {0x1234, 0}},
                           Row{reg::kRflags, {0x202, 0}},
                           Row{reg::kXmm0 + 15, {1, 2}},
                           Row{reg::kFpMmx0 + 7, {3, 4}},
                           Row{reg::kXmmControlStatus, {9, 0x1f80}},
                           Row{reg::kCr0 + 2, {0x7000, 0}},
                           Row{reg::kCr8, {7, 0}},
                           Row{reg::kXfem, {7, 0}},
                           Row{reg::kDr0 + 5, {0x401, 0}},
                           Row{reg::kGdtr, {0xffff'0000'0000'0000, 0x8000}},
                           Row{reg::kTr, {0x1000, 0x008b'0040'0000'0067}},
                           Row{reg::kLstar, {0xffff'ffff'8100'0000, 0}},
                           Row{reg::kPat, {0x0007'0406'0007'0406, 0}},
                           Row{reg::kMtrrPhysMask0 + 7, {0x800, 0}},
                           Row{reg::kMtrrFix64k + 10, {6, 0}},
                           Row{reg::kSint0 + 2, {0x300f3, 0}},
                           Row{reg::kScontrol, {1, 0}},
                           Row{reg::kStimer0Config + 7, {77, 0}},
                           Row{reg::kGuestOsId, {0x55, 0}},
                           Row{reg::kExplicitSuspend, {1, 0}}}) {
        CAPTURE(row.name);
        CHECK(set(row.name, row.value.low, row.value.high) == HvStatus::success);
        CHECK(get(row.name) == row.value);
    }
    CHECK(vp.explicit_suspend());
    CHECK(vp.apic().tpr() == 0x70);
    CHECK(set(reg::kCr8, 16) == HvStatus::invalid_register_value);
    CHECK(set(reg::kXfem, 6) == HvStatus::invalid_register_value);
    CHECK(set(reg::kXfem, 0xff) == HvStatus::invalid_register_value);
    CHECK(set(reg::kRflags, std::uint64_t{1} << 40) == HvStatus::invalid_register_value);
    CHECK(set(reg::kCr0, 0x8000'0000) == HvStatus::invalid_register_value);
    CHECK(set(reg::kEfer, 2) == HvStatus::invalid_register_value);
    CHECK(set(reg::kPat, 2) == HvStatus::invalid_register_value);
    CHECK(set(reg::kSint0 + 1, 3) == HvStatus::invalid_register_value);
    CHECK(set(reg::kExplicitSuspend, 2) == HvStatus::invalid_register_value);
    CHECK(set(reg::kVpIndex, 1) == HvStatus::operation_denied);
    CHECK(set(0x77'7777, 1) == HvStatus::unknown_register_name);
    CHECK(set(reg::kXmmControlStatus, 0, 0x1'0000) == HvStatus::invalid_register_value);
    // A segment that is not present is unusable, and stays so on the way back.
    CHECK(set(reg::kEs, 0, 0x0000'0000'0000'0000) == HvStatus::success);
    CHECK((m.context(vp).segments[0].access_rights & 1u << 16) != 0);
    CHECK(get(reg::kEs) == RegisterValue{});
    // VTLs other than 0, and processors that are not there.
    CHECK(m.rep(0x51, hc::VpRegisters{child.id(), 0, 0x11, {}},
                std::vector<hc::RegisterAssociation>{{reg::kRax, {}, {}}}) ==
          HvStatus::invalid_parameter);
    CHECK(m.rep(0x51, hc::VpRegisters{child.id(), 3, 0, {}},
                std::vector<hc::RegisterAssociation>{{reg::kRax, {}, {}}}) ==
          HvStatus::invalid_vp_index);
    CHECK(m.rep(0x51, hc::VpRegisters{child.id(), kSelfVp, 0, {}},
                std::vector<hc::RegisterAssociation>{{reg::kRax, {}, {}}}) ==
          HvStatus::invalid_vp_index);
}

TEST_CASE("events injected by the parent") {
    Machine m;
    Partition& child = m.make_child();
    FakeContext& c = m.context(*child.vp(0));
    const auto set = [&](std::uint32_t name, std::uint64_t low, std::uint64_t high = 0) {
        return m.rep(0x51, hc::VpRegisters{child.id(), 0, 0, {}},
                     std::vector<hc::RegisterAssociation>{{name, {}, {low, high}}});
    };
    // #GP(0x50) as a pending interruption: type 3, error code.
    CHECK(set(reg::kPendingInterruption, std::uint64_t{0x50} << 32 | 13u << 16 | 0x10 | 6 | 1) ==
          HvStatus::success);
    REQUIRE(c.injected.size() == 1);
    CHECK(c.injected[0].type == InjectedEvent::Type::hardware_exception);
    CHECK(c.injected[0].vector == 13);
    CHECK(c.injected[0].has_error_code);
    CHECK(c.injected[0].error_code == 0x50);
    CHECK(set(reg::kPendingEvent0, std::uint64_t{2} << 32 | 14u << 16 | 0x100 | 1, 0xabc000) ==
          HvStatus::success);
    CHECK(c.crs[2] == 0xabc000);
    CHECK(c.injected[1].vector == 14);
    CHECK(set(reg::kPendingEvent0, 40u << 16 | 1) == HvStatus::invalid_register_value);
    CHECK(set(reg::kPendingInterruption, 1u << 1 | 1) == HvStatus::invalid_register_value);
    CHECK(set(reg::kPendingInterruption, 0) == HvStatus::success);
    CHECK(c.injected.size() == 2);
}

TEST_CASE("interrupts asserted by the parent") {
    Machine m;
    Partition& child = m.make_child(2);
    for (VirtualProcessor* vp : child.vps()) m.enable_apic(*vp);
    const auto assert_interrupt = [&](hc::InterruptType type, std::uint64_t destination,
                                      std::uint32_t number, std::uint32_t flags = 0) {
        return m.simple(
            0x94,
            hc::AssertInterrupt{
                child.id(), static_cast<std::uint32_t>(type), flags, destination, number, 0, {}});
    };
    using Type = hc::InterruptType;
    CHECK(assert_interrupt(Type::fixed, 1, 0x61) == HvStatus::success);
    CHECK_FALSE(child.vp(0)->pending_vector());
    CHECK(child.vp(1)->pending_vector() == 0x61);
    CHECK(assert_interrupt(Type::fixed, 0xff, 0x62) == HvStatus::success);
    CHECK(child.vp(0)->pending_vector() == 0x62);
    CHECK(assert_interrupt(Type::fixed, 0, 0x0f) == HvStatus::invalid_parameter);
    CHECK(assert_interrupt(Type::fixed, 0, 0x100) == HvStatus::invalid_parameter);
    CHECK(assert_interrupt(Type::remote_read, 0, 0x50) == HvStatus::invalid_parameter);
    CHECK(assert_interrupt(static_cast<Type>(10), 0, 0x50) == HvStatus::invalid_parameter);
    CHECK(assert_interrupt(Type::fixed, std::uint64_t{1} << 32, 0x50) ==
          HvStatus::invalid_parameter);
    CHECK(assert_interrupt(Type::fixed, 0, 0x50, 4) == HvStatus::invalid_parameter);
    CHECK(assert_interrupt(Type::nmi, 0, 0) == HvStatus::success);
    CHECK(child.vp(0)->nmi_pending());
    CHECK(assert_interrupt(Type::ext_int, 0, 0) == HvStatus::success);
    CHECK(child.vp(0)->apic().ext_int_requested());
    CHECK(m.simple(0x56, hc::PartitionOnly{child.id()}) == HvStatus::success);
    CHECK_FALSE(child.vp(0)->apic().ext_int_requested());
    CHECK(child.vp(0)->counters().by_parent == 3);
}

TEST_CASE("intercepts: message, suspension, resumption by the parent") {
    Machine m;
    Partition& child = m.make_child(2);
    VirtualProcessor& vp = *child.vp(1);
    VirtualProcessor& root = m.root_vp(1);
    m.enable_apic(root);
    root.write_msr(msr::kSimp, 0x200'2001, m.now);
    root.write_msr(msr::kSint0, 0x30, m.now);
    root.write_msr(msr::kScontrol, 1, m.now);
    CHECK(m.simple(0x4d, hc::InstallIntercept{child.id(), 3, 0x11, 0x03ff'03f8}) ==
          HvStatus::success);
    CHECK(child.intercepts().io_port(0x3f8, true));
    CHECK(child.intercepts().io_port(0x3ff, false));
    CHECK_FALSE(child.intercepts().io_port(0x400, false));

    FakeContext& c = m.context(vp);
    c.rip_ = 0x1234;
    c.gprs[kRax] = 0x41;
    const std::array<std::uint8_t, 1> bytes{0xee};
    vp.send_io_intercept(0x3f8, 1, true, false, false, {1, bytes}, m.now);
    CHECK(vp.intercept_suspend());
    CHECK_FALSE(vp.runnable(m.now));
    const MessageSlot slot = m.slot(root, 0);
    CHECK(slot.type == 0x8001'0000);
    CHECK(slot.sender == child.id());
    const auto io = payload<IoPortIntercept>(slot);
    CHECK(io.header.vp_index == 1);
    CHECK(io.header.instruction_length_cr8 == 1);
    CHECK(io.header.access == 1);
    CHECK(io.header.execution_state == (ExecutionState::kCr0Pe | ExecutionState::kEferLma));
    CHECK(io.header.rip == 0x1234);
    CHECK(io.header.rflags == 0x202);
    CHECK(io.port == 0x3f8);
    CHECK(io.access_info == 1);
    CHECK(io.rax == 0x41);
    CHECK(io.instruction_bytes[0] == 0xee);
    CHECK(root.pending_vector() == 0x30);

    // The worker advances RIP and lets it go.
    m.waker.wakes.clear();
    CHECK(m.rep(0x51, hc::VpRegisters{child.id(), 1, 0, {}},
                std::vector<hc::RegisterAssociation>{{reg::kRip, {}, {0x1235, 0}},
                                                     {reg::kInterceptSuspend, {}, {0, 0}}}) ==
          HvStatus::success);
    CHECK(vp.runnable(m.now));
    CHECK(m.waker.wakes.back().first == &vp);

    // The slot is still taken: the next message waits, and no intercept is lost.
    vp.send_msr_intercept(0x1234, false, 2, m.now);
    CHECK(m.slot(root, 0).flags == 1);
    m.clear_slot(root, 0);
    root.write_msr(msr::kEom, 0, m.now);
    CHECK(payload<MsrIntercept>(m.slot(root, 0)).msr == 0x1234);

    m.clear_slot(root, 0);
    vp.send_memory_intercept(0xfec0'0000, InterceptAccess::read, 0xffff'c000, true, {}, m.now);
    CHECK(m.slot(root, 0).type == 0x8000'0000);
    CHECK(payload<MemoryIntercept>(m.slot(root, 0)).gpa == 0xfec0'0000);
    CHECK(payload<MemoryIntercept>(m.slot(root, 0)).gva == 0xffff'c000);
    m.clear_slot(root, 0);
    c.gprs[kRax] = 0x4000'0000;
    c.gprs[kRcx] = 0;
    vp.send_cpuid_intercept(2, m.now);
    CHECK(payload<CpuidIntercept>(m.slot(root, 0)).default_rbx == 0x7263'694d);
    m.clear_slot(root, 0);
    vp.send_exception_intercept(14, 2, 0x5000, {}, m.now);
    CHECK(payload<ExceptionIntercept>(m.slot(root, 0)).parameter == 0x5000);
    m.clear_slot(root, 0);
    vp.set_intercept_target(1);
    vp.send_unrecoverable_exception(m.now);
    CHECK(m.slot(root, 0).type == 0x8000'0021);
    CHECK(vp.counters().intercepts == 6);
}

TEST_CASE("an EOI that the parent wants to hear of") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    VirtualProcessor& root = m.root_vp();
    m.enable_apic(vp);
    root.write_msr(msr::kSimp, 0x200'2001, m.now);
    root.write_msr(msr::kSint0, 0x30, m.now);
    root.write_msr(msr::kScontrol, 1, m.now);
    CHECK(m.simple(0x4d, hc::InstallIntercept{child.id(), 2, 0xe, 0}) == HvStatus::success);
    vp.receive(vector(0x70, apic::TriggerMode::level), m.now);
    vp.accept_interrupt(m.now);
    vp.mmio_apic_write(0xb0, 4, 0, m.now);
    CHECK(m.slot(root, 0).type == 0x8001'0004);
    CHECK(payload<ApicEoiMessage>(m.slot(root, 0)).vector == 0x70);
    CHECK_FALSE(vp.intercept_suspend());
}

TEST_CASE("intercepts that cannot be installed") {
    Machine m;
    Partition& child = m.make_child();
    const auto install = [&](std::uint32_t access, std::uint32_t type, std::uint64_t parameter) {
        return m.simple(0x4d, hc::InstallIntercept{child.id(), access, type, parameter});
    };
    CHECK(install(3, 0, 0x1'0000) == HvStatus::invalid_parameter);
    CHECK(install(4, 0, 0x70) == HvStatus::invalid_parameter);
    CHECK(install(3, 0x11, 0x0010'0020) == HvStatus::invalid_parameter);
    CHECK(install(3, 0x11, ~std::uint64_t{0}) == HvStatus::invalid_parameter);
    CHECK(install(4, 3, 2) == HvStatus::invalid_parameter);
    CHECK(install(4, 3, 14) == HvStatus::success);
    CHECK(child.intercepts().exceptions() == (1u << 14));
    CHECK(install(4, 2, 0x4000'0001) == HvStatus::success);
    CHECK(child.intercepts().cpuid(0x4000'0001));
    CHECK(install(1, 0x77, 0) == HvStatus::invalid_parameter);
    // Entries cost memory.
    unsigned done = 0;
    m.rep(0x49, hc::ProximityQuery{child.id(), 0}, std::span<const std::uint64_t>{}, done, 256);
    HvStatus status = HvStatus::success;
    for (std::uint64_t i = 1; i < 400 && status == HvStatus::success; ++i)
        status = install(3, 1, 0x1'0000 + i);
    CHECK(status == HvStatus::insufficient_memory);
    m.deposit(child.id(), 1);
    CHECK(install(3, 1, 0x2'0000) == HvStatus::success);
}

TEST_CASE("reset of a partition") {
    Machine m;
    Partition& child = m.make_child(2);
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    m.enable_synic(vp);
    vp.write_msr(msr::kReferenceTsc, 0x7'0001, m.now);
    vp.write_msr(msr::kVpAssistPage, 0x7'1001, m.now);
    vp.write_msr(0x4000'00b0, 0x1ed9, m.now);
    child.reset(m.now);
    CHECK(child.guest_os_id() == 0);
    for (const std::uint64_t page : {0x50, 0x60, 0x61, 0x70, 0x71})
        CHECK_FALSE(child.gpa_space().is_overlay(page));
    CHECK(vp.synic().sint(2) == 0x10000);
    CHECK(vp.timer(0).config() == 0);
    CHECK(m.context(vp).rip_ == 0xfff0);
    CHECK(m.context(vp).segments[1].base == 0xffff'0000);
    CHECK(vp.runnable(m.now));
    CHECK_FALSE(child.vp(1)->runnable(m.now));  // waits for SIPI
}

TEST_CASE("statistics name what happened") {
    struct Sink final : sim::StatisticsSink {
        std::map<std::string, std::uint64_t> values;
        void add(std::string_view name, std::uint64_t value, std::string_view unit,
                 std::string_view description) override {
            CHECK_FALSE(unit.empty());
            CHECK_FALSE(description.empty());
            CHECK(values.emplace(name, value).second);
        }
    } sink;
    Machine m;
    Partition& child = m.make_child();
    m.enable_apic(*child.vp(0));
    child.vp(0)->receive(vector(0x44), m.now);
    child.vp(0)->accept_interrupt(m.now);
    m.hypervisor.collect(sink);
    CHECK(sink.values.at("hv.partition1.hypercalls.HvCallCreatePartition") == 1);
    CHECK(sink.values.at("hv.partition2.vp0.vector.0x44") == 1);
    CHECK(sink.values.at("hv.partition2.gpa.mapped") == Machine::kChildPages);
}

TEST_CASE("an SMI that nobody takes does not keep a processor awake") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    m.enable_apic(vp);
    vp.mmio_apic_write(0x350, 4, 0x2700, m.now);       // LINT0: ExtINT, active low, unmasked
    vp.mmio_apic_write(0x300, 4, 0x0008'4200, m.now);  // SMI to all
    m.context(vp).halted_ = true;
    CHECK_FALSE(vp.runnable(m.now));
    apic::InterruptMessage nmi;
    nmi.delivery_mode = apic::DeliveryMode::nmi;
    vp.receive(nmi, m.now);
    CHECK(vp.runnable(m.now));
}
