// What stays in the processor between two VMRUNs, event injection, virtual interrupts, TLB control.
#include <doctest/doctest.h>

#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;
using namespace hvsim::cpu::svm::test;

namespace {

constexpr std::uint64_t kRip = 0x10'0000;

/// After one exit by HLT, so that the processor has something cached.
struct Ran : Bench {
    Ran() {
        intercept(ExitCode::HLT);
        REQUIRE(provoke(ActionKind::hlt, 1));
        core.segment_loads = core.control_loads = core.nested_flushes = 0;
    }
    void run(std::uint32_t clean) {
        put(vmcb::CLEAN, clean);
        REQUIRE(guest.vmrun().entered());
    }
    void leave() {
        Action action;
        action.kind = ActionKind::hlt;
        REQUIRE(guest.intercepts(action));
        guest.exit(action, nullptr);
    }
};

}  // namespace

TEST_CASE("a raw change of one intercept bit is seen after its clean bit is cleared, not before") {
    Ran b;
    Action cpuid;
    cpuid.kind = ActionKind::cpuid;
    b.intercept(ExitCode::CPUID);
    b.run(clean::kAll);
    CHECK_FALSE(b.guest.intercepts(cpuid));
    b.leave();
    b.run(clean::kAll & ~clean::kPermissionMaps);  // another group's bit does not help
    CHECK_FALSE(b.guest.intercepts(cpuid));
    b.leave();
    b.run(clean::kAll & ~clean::kIntercepts);
    CHECK(b.guest.intercepts(cpuid));
}

TEST_CASE("each clean bit keeps its fields in the processor, and they come back at the exit") {
    struct Row {
        std::uint32_t bit;
        FieldAt<std::uint64_t> field;
        std::uint64_t changed;
        std::uint64_t (*seen)(const Ran&);
    };
    static constexpr Row kRows[] = {
        {clean::kControlRegisters, vmcb::CR3, 0x9000, [](const Ran& b) { return b.core.cr(3); }},
        {clean::kDebugRegisters, vmcb::DR7, 0x401, [](const Ran& b) { return b.core.dr(7); }},
        {clean::kDescriptorTables, vmcb::IDTR_BASE, 0x8000,
         [](const Ran& b) { return b.core.idtr().base; }},
        {clean::kSegments, vmcb::DS_BASE, 0x7000,
         [](const Ran& b) { return b.core.segment(SegmentName::ds).base; }},
        {clean::kCr2, vmcb::CR2, 0x6000, [](const Ran& b) { return b.core.cr(2); }},
        {clean::kIntercepts, vmcb::TSC_OFFSET, 0x5000,
         [](const Ran& b) { return b.guest.guest_tsc(0); }},
    };
    for (const Row& row : kRows) {
        CAPTURE(field_name(row.field.offset));
        Ran b;
        const std::uint64_t before = b.get(row.field);
        b.put(row.field, row.changed);
        b.run(clean::kAll);
        CHECK(row.seen(b) == before);
        b.leave();
        // What the processor kept overwrites the change, but not a control, which it never writes.
        CHECK(b.get(row.field) == (row.field.offset < kStateSaveArea ? row.changed : before));
        b.put(row.field, row.changed);
        b.run(clean::kAll & ~row.bit);
        CHECK(row.seen(b) == row.changed);
    }
}

TEST_CASE("RIP, RSP, RAX, RFLAGS, the shadow, EVENTINJ and TLB_CONTROL are read every time") {
    Ran b;
    b.put(vmcb::RIP, 0x1234);
    b.put(vmcb::RSP, 0x2345);
    b.put(vmcb::RAX, 0x3456);
    b.put(vmcb::RFLAGS, 0x46);
    b.put(vmcb::INTERRUPT_SHADOW, 1);
    b.put(vmcb::EVENTINJ, 1u << 31 | 0x30);
    b.put(vmcb::TLB_CONTROL, 3);
    b.run(~std::uint32_t{0});  // reserved bits of the clean word do not keep them either
    CHECK(b.core.rip() == 0x1234);
    CHECK(b.core.gpr(engine::kRsp) == 0x2345);
    CHECK(b.core.gpr(engine::kRax) == 0x3456);
    CHECK(b.core.rflags() == 0x46);
    CHECK(b.core.shadow);
    CHECK(b.core.injected.size() == 1);
    CHECK(b.core.nested_flushes == 1);
    // Nothing else was touched.
    CHECK(b.core.segment_loads == 0);
    CHECK(b.core.control_loads == 0);
}

TEST_CASE("without clean bits only what differs is loaded") {
    Ran b;
    b.run(0);
    CHECK(b.core.segment_loads == 0);
    CHECK(b.core.control_loads == 0);
    CHECK(b.core.nested_flushes == 0);
    b.leave();
    b.put(vmcb::DS_BASE, 0x1000);
    b.put(vmcb::CR3, 0x2000);
    b.run(0);
    CHECK(b.core.segment_loads == 1);
    CHECK(b.core.control_loads == 1);
}

TEST_CASE("a processor that holds nothing of the VMCB reads all of it, whatever is marked clean") {
    Bench b;
    b.put(vmcb::CLEAN, clean::kAll);
    b.intercept(ExitCode::HLT);
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.core.cr(3) == 0x1000);
    CHECK(b.core.segment(SegmentName::cs).selector == 8);
    REQUIRE(b.provoke(ActionKind::hlt));
    b.put(vmcb::CR3, 0x4000);
    b.guest.forget();
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.core.cr(3) == 0x4000);
}

TEST_CASE("translations go with the ASID, the nested tables, and by TLB_CONTROL") {
    Ran b;
    b.run(clean::kAll);
    CHECK(b.core.nested_flushes == 0);
    for (const std::uint8_t control :
         {tlb_control::kFlushAll, tlb_control::kFlushAsid, tlb_control::kFlushAsidNonGlobal}) {
        b.leave();
        b.put(vmcb::TLB_CONTROL, control);
        b.core.nested_flushes = 0;
        b.run(clean::kAll);
        CHECK(b.core.nested_flushes == 1);
    }
    b.put(vmcb::TLB_CONTROL, 0);
    b.leave();
    b.core.nested_flushes = 0;
    b.put(vmcb::GUEST_ASID, 2);
    b.run(clean::kAll);
    CHECK(b.core.nested_flushes == 0);
    b.leave();
    b.run(0);
    CHECK(b.core.nested_flushes == 1);
    b.leave();
    b.put(vmcb::NESTED_CONTROL, 1);
    b.put(vmcb::N_CR3, 0x8000);
    b.run(0);
    CHECK(b.core.nested_flushes == 2);
    REQUIRE(b.guest.second_stage() != nullptr);
    CHECK(b.guest.second_stage()->root == 0x8000);
    CHECK(b.guest.second_stage()->kind == mmu::SecondStageKind::npt);
    CHECK(b.guest.second_stage()->maxphyaddr == 48);
    CHECK(b.core.pat() == kPatReset);
}

TEST_CASE("event injection (APM 2 15.20)") {
    struct Row {
        std::uint64_t info;
        EventType type;
        std::uint8_t vector;
        bool has_code;
        std::uint32_t code;
        std::uint8_t length;
    };
    static constexpr Row kRows[] = {
        {0x8000'0030, EventType::external_interrupt, 0x30, false, 0, 0},
        {0x8000'0202, EventType::nmi, 2, false, 0, 0},
        {0x8000'0306, EventType::hardware_exception, 6, false, 0, 0},
        {0x0000'0058'8000'0b0d, EventType::hardware_exception, 13, true, 0x58, 0},
        {0x0000'0002'8000'0b0e, EventType::hardware_exception, 14, true, 2, 0},
        {0x8000'0303, EventType::software_exception, 3, false, 0, 1},
        {0x8000'0480, EventType::software_interrupt, 0x80, false, 0, 1},
    };
    for (const Row& row : kRows) {
        CAPTURE(row.info);
        Ran b;
        b.core.profile.entry_event_injection = 50;
        b.put(vmcb::EVENTINJ, row.info);
        b.put(vmcb::NRIP, kRip + 1);
        b.put(vmcb::CR2, 0xabc0);
        const sim::Time before = b.core.time;
        b.run(0);
        REQUIRE(b.core.injected.size() == 1);
        const Event& event = b.core.injected[0];
        CHECK(event.type == row.type);
        CHECK(event.vector == row.vector);
        CHECK(event.has_error_code == row.has_code);
        CHECK(event.error_code == row.code);
        CHECK(event.instruction_length == row.length);
        CHECK(event.address == (row.vector == 14 ? 0xabc0 : 0));
        CHECK(b.core.time == before + 50);
        CHECK(b.core.recorder().last_events().back().arguments[0] == (row.info & 0xffffffff));
        CHECK(event::V::test(b.get(vmcb::EVENTINJ)));
        b.leave();
        CHECK(b.get(vmcb::EVENTINJ) == (row.info & ~0x8000'0000ull));
    }
}

TEST_CASE("EXITINTINFO has the event whose delivery was cut short") {
    struct Row {
        Event event;
        std::uint64_t info;
    };
    const Row rows[] = {
        {{EventType::external_interrupt, 0x30, false, 0, 0, 0}, 0x8000'0030},
        {{EventType::nmi, 2, false, 0, 0, 0}, 0x8000'0202},
        {Event::fault(kGP, 0x58), 0x0000'0058'8000'0b0d},
        {Event::page_fault(0x1000, 7), 0x0000'0007'8000'0b0e},
        {{EventType::software_interrupt, 0x80, false, 0, 2, 0}, 0x8000'0480},
        {{EventType::software_exception, 3, false, 0, 1, 0}, 0x8000'0303},
    };
    for (const Row& row : rows) {
        CAPTURE(row.info);
        Bench b;
        const mmu::NestedFault fault{mmu::NestedFaultKind::npt_fault, 0x5000, 1ull << 32};
        Action action;
        action.kind = ActionKind::nested_page_fault;
        action.fault = &fault;
        REQUIRE(b.provoke(action, &row.event));
        CHECK(b.get(vmcb::EXITINTINFO) == row.info);
        REQUIRE(b.provoke(action));
        CHECK(b.get(vmcb::EXITINTINFO) == 0);
    }
}

TEST_CASE("a virtual interrupt that VINTR intercepts is a window; it stays pending") {
    Bench b;
    Action window;
    window.kind = ActionKind::interrupt_window;
    b.intercept(ExitCode::VINTR);
    CHECK_FALSE(b.provoke(window));  // V_IRQ is 0
    const std::uint64_t irq = vintr::V_IRQ::kMask, above = irq | vintr::V_INTR_PRIO::set(0ull, 5);
    struct Row {
        std::uint64_t value;
        bool wanted;
    };
    for (const Row& row : {Row{irq, false},                           // priority 0, TPR 0
                           Row{irq | vintr::V_IGN_TPR::kMask, true},  //
                           Row{above, true}, Row{above | 4, true},    //
                           Row{above | 5, false}, Row{above | 15, false},
                           Row{above | 15 | vintr::V_IGN_TPR::kMask, true}}) {
        CAPTURE(row.value);
        b.put(vmcb::VINTR, row.value);
        b.guest.adopt();
        CHECK(b.guest.wants_interrupt_window() == row.wanted);
        CHECK(b.guest.intercepts(window) == row.wanted);
    }
    REQUIRE(b.provoke(window));
    CHECK(b.exit_code() == 0x64);
    CHECK(vintr::V_IRQ::test(b.get(vmcb::VINTR)));
    CHECK(b.core.injected.empty());
}

TEST_CASE("a virtual interrupt that nothing intercepts is delivered, once") {
    Ran b;
    b.put(vmcb::VINTR,
          vintr::V_IRQ::kMask | vintr::V_IGN_TPR::kMask | vintr::V_INTR_VECTOR::set(0ull, 0x51));
    b.run(clean::kAll & ~clean::kTpr);
    Action window;
    window.kind = ActionKind::interrupt_window;
    const std::size_t exits = b.exits;
    REQUIRE(b.guest.intercepts(window));
    CHECK(b.guest.exit(window, nullptr));
    CHECK(b.exits == exits);
    CHECK(b.guest.in_guest());
    REQUIRE(b.core.injected.size() == 1);
    CHECK(b.core.injected[0].type == EventType::external_interrupt);
    CHECK(b.core.injected[0].vector == 0x51);
    CHECK_FALSE(b.guest.wants_interrupt_window());
    b.leave();
    CHECK_FALSE(vintr::V_IRQ::test(b.get(vmcb::VINTR)));
    CHECK(vintr::V_INTR_VECTOR::get(b.get(vmcb::VINTR)) == 0x51);
}

TEST_CASE("V_INTR_MASKING: CR8 is the virtual TPR, without an exit") {
    Ran b;
    Action access;
    access.kind = ActionKind::cr_write;
    access.number = 8;
    access.gpr = engine::kRdx;
    access.value = 0xb;
    access.instruction_length = 4;
    b.run(clean::kAll);
    CHECK_FALSE(b.guest.intercepts(access));
    b.leave();
    CHECK(vintr::V_TPR::get(b.get(vmcb::VINTR)) == 0xb);  // as well as the APIC's TPR
    b.put(vmcb::VINTR, vintr::V_INTR_MASKING::kMask | 3);
    b.run(0);
    CHECK(b.guest.visible_cr(8, 0) == 3);
    b.core.shadow = true;
    const std::size_t exits = b.exits;
    REQUIRE(b.guest.intercepts(access));
    CHECK(b.guest.exit(access, nullptr));
    CHECK(b.core.rip() == kRip + 4);
    CHECK_FALSE(b.core.shadow);
    access.kind = ActionKind::cr_read;
    CHECK(b.guest.exit(access, nullptr));
    CHECK(b.core.gpr(engine::kRdx) == 0xb);
    CHECK(b.core.rip() == kRip + 8);
    access.kind = ActionKind::cr_write;
    access.value = 0x10;                      // bits 63:4 must be 0
    CHECK_FALSE(b.guest.intercepts(access));  // the core raises #GP
    CHECK(b.exits == exits);
    b.leave();
    CHECK(vintr::V_TPR::get(b.get(vmcb::VINTR)) == 0xb);
    // An intercepted one exits in spite of it.
    b.put(vmcb::INTERCEPT_CR_WRITES, 1u << 8);
    b.put(vmcb::CLEAN, 0);
    REQUIRE(b.provoke(access));
    CHECK(b.exit_code() == 0x18);
}

TEST_CASE("who masks physical interrupts: the guest's IF, or with V_INTR_MASKING the host's") {
    Bench b;
    CHECK_FALSE(b.guest.exits_on_interrupt());
    b.intercept(ExitCode::INTR);
    REQUIRE(b.guest.vmrun({.interrupts = false}).entered());
    CHECK(b.guest.exits_on_interrupt());
    b.core.shadow = true;
    CHECK_FALSE(b.guest.exits_on_interrupt());
    b.core.shadow = false;
    b.core.set_rflags(2);
    CHECK_FALSE(b.guest.exits_on_interrupt());
    Action interrupt;
    interrupt.kind = ActionKind::external_interrupt;
    b.core.set_rflags(0x202);
    REQUIRE(b.provoke(interrupt));
    CHECK(b.exit_code() == 0x60);
    CHECK(b.get(vmcb::EXITINFO1) == 0);
    b.put(vmcb::VINTR, vintr::V_INTR_MASKING::kMask);
    b.put(vmcb::RFLAGS, 2);
    REQUIRE(b.guest.vmrun({.interrupts = false}).entered());
    CHECK_FALSE(b.guest.exits_on_interrupt());
    REQUIRE(b.guest.intercepts(interrupt) == false);
    Action nested;
    const mmu::NestedFault fault{};
    nested.kind = ActionKind::nested_page_fault;
    nested.fault = &fault;
    REQUIRE(b.provoke(nested));
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.guest.exits_on_interrupt());
}

TEST_CASE("sync shows a running guest's state, adopt takes changes over") {
    Ran b;
    b.run(clean::kAll);
    b.core.set_rip(0x4444);
    CHECK(b.get(vmcb::RIP) == kRip);
    b.guest.sync();
    CHECK(b.get(vmcb::RIP) == 0x4444);
    b.put(vmcb::RIP, 0x8888);
    b.put(vmcb::CR3, 0x3000);
    b.guest.adopt();
    CHECK(b.core.rip() == 0x8888);
    CHECK(b.core.cr(3) == 0x3000);
    CHECK(b.guest.in_guest());
    b.leave();
    CHECK(b.get(vmcb::RIP) == 0x8888);
}

TEST_CASE("a core that halted is active again after VMRUN") {
    Ran b;
    b.core.set_activity(ActivityState::hlt);
    b.run(clean::kAll);
    CHECK(b.core.activity() == ActivityState::active);
}

TEST_CASE("host software that enters again inside the exit keeps the core in the guest") {
    Ran b;
    b.run(clean::kAll);
    b.handler = [&b] {
        b.put(vmcb::RIP, b.get(vmcb::NRIP));
        b.put(vmcb::RAX, 0x77);
        return b.guest.vmrun().entered();
    };
    for (unsigned i = 1; i <= 3; ++i) {
        Action action;
        action.kind = ActionKind::hlt;
        action.instruction_length = 1;
        REQUIRE(b.guest.intercepts(action));
        CHECK(b.guest.exit(action, nullptr));
        CHECK(b.core.rip() == kRip + i);
        CHECK(b.core.gpr(engine::kRax) == 0x77);
    }
}

TEST_CASE("an exit that is not followed by an entry still shows the answer to native software") {
    Ran b;
    b.intercept(ExitCode::VMMCALL);
    b.run(0);
    b.handler = [&b] {
        b.put(vmcb::RIP, b.get(vmcb::NRIP));
        b.put(vmcb::RAX, 0x99);
        b.put(vmcb::CR3, 0xa000);
        return false;
    };
    Action call;
    call.kind = ActionKind::hypercall;
    call.instruction_length = 3;
    CHECK_FALSE(b.guest.exit(call, nullptr));
    CHECK(b.core.rip() == kRip + 3);
    CHECK(b.core.gpr(engine::kRax) == 0x99);
    CHECK(b.core.cr(3) == 0x1000);  // only what no clean bit covers
    // A second one of the same step does not undo what the hypervisor wrote.
    CHECK_FALSE(b.guest.exit(call, nullptr));
    CHECK(b.core.rip() == kRip + 6);
    CHECK(b.get(vmcb::CR3) == 0xa000);
}
