// What exits under which controls, and what an exit records.
#include "vmx_machine.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::vmx;
using namespace hvsim::cpu::vmx::test;

namespace {

using F = Field;
constexpr std::uint32_t kPrimaryMust = 0x04006172;
constexpr std::uint32_t kBitmaps =
    kPrimaryMust | primary::kIoBitmaps | primary::kMsrBitmaps | primary::kSecondaryControls;
constexpr std::uint32_t kSecondaryBase =
    secondary::kEpt | secondary::kVpid | secondary::kUnrestrictedGuest;

Action act(ActionKind kind) {
    Action action;
    action.kind = kind;
    return action;
}
Action io(std::uint16_t port, std::uint8_t size) {
    Action action = act(ActionKind::io);
    action.io.port = port;
    action.io.size = size;
    return action;
}
Action msr_access(ActionKind kind, std::uint32_t number) {
    Action action = act(kind);
    action.msr = number;
    return action;
}
Action cr(ActionKind kind, unsigned number, std::uint64_t value = 0) {
    Action action = act(kind);
    action.number = static_cast<std::uint8_t>(number);
    action.value = value;
    return action;
}
Action exception(Event event) {
    Action action = act(ActionKind::exception);
    action.event = event;
    return action;
}
void set_bit(VmxMachine& m, std::uint64_t base, unsigned bit) {
    std::uint8_t byte = 0;
    m.ram.read(base + bit / 8, byte);
    m.ram.write(base + bit / 8, static_cast<std::uint8_t>(byte | 1u << (bit & 7)));
}

}  // namespace

TEST_CASE("actions that exit whatever the controls") {
    VmxMachine m;
    m.launch();
    for (const ActionKind kind :
         {ActionKind::cpuid, ActionKind::invd, ActionKind::hypercall, ActionKind::xsetbv,
          ActionKind::triple_fault, ActionKind::task_switch, ActionKind::init, ActionKind::sipi,
          ActionKind::nested_page_fault})
        CHECK(m.guest.intercepts(act(kind)));
    for (const ActionKind kind : {ActionKind::iret, ActionKind::pushf, ActionKind::popf,
                                  ActionKind::software_interrupt, ActionKind::smsw})
        CHECK_FALSE(m.guest.intercepts(act(kind)));
    for (const std::uint32_t opcode : {0x0f01c2u, 0x0f78u, 0x0f3880u}) {
        Action vmx = act(ActionKind::vmx_instruction);
        vmx.opcode = opcode;
        CHECK(m.guest.intercepts(vmx));
    }
    Action svm = act(ActionKind::vmx_instruction);
    svm.opcode = 0x0f01d8;  // VMRUN: #UD, no exit
    CHECK_FALSE(m.guest.intercepts(svm));
}

TEST_CASE("one control each: without it no exit, with it one") {
    const std::pair<ActionKind, std::uint32_t> primaries[] = {
        {ActionKind::hlt, primary::kHltExiting},
        {ActionKind::invlpg, primary::kInvlpgExiting},
        {ActionKind::mwait, primary::kMwaitExiting},
        {ActionKind::rdpmc, primary::kRdpmcExiting},
        {ActionKind::rdtsc, primary::kRdtscExiting},
        {ActionKind::rdtscp, primary::kRdtscExiting},
        {ActionKind::dr_read, primary::kMovDrExiting},
        {ActionKind::dr_write, primary::kMovDrExiting},
        {ActionKind::monitor, primary::kMonitorExiting},
        {ActionKind::pause, primary::kPauseExiting},
        {ActionKind::interrupt_window, primary::kInterruptWindowExiting}};
    VmxMachine m;
    for (const auto& row : primaries) {
        const ActionKind kind = row.first;
        const std::uint32_t control = row.second;
        CAPTURE(control);
        CHECK_FALSE(m.intercepts(act(kind), {{F::PRIMARY_CONTROLS, kBitmaps}}));
        CHECK(m.intercepts(act(kind), {{F::PRIMARY_CONTROLS, kBitmaps | control}}));
    }
    const std::pair<ActionKind, std::uint32_t> secondaries[] = {
        {ActionKind::wbinvd, secondary::kWbinvdExiting},
        {ActionKind::gdtr_idtr_access, secondary::kDescriptorTableExiting},
        {ActionKind::ldtr_tr_access, secondary::kDescriptorTableExiting}};
    for (const auto& [kind, control] : secondaries) {
        CHECK_FALSE(m.intercepts(act(kind), {{F::SECONDARY_CONTROLS, kSecondaryBase}}));
        CHECK(m.intercepts(act(kind), {{F::SECONDARY_CONTROLS, kSecondaryBase | control}}));
    }
    CHECK(m.intercepts(act(ActionKind::nmi), {}));
    CHECK(m.intercepts(act(ActionKind::external_interrupt), {}));
    const Fields none{{F::PIN_BASED_CONTROLS, 0x16}};
    CHECK_FALSE(m.intercepts(act(ActionKind::nmi), none));
    CHECK_FALSE(m.intercepts(act(ActionKind::external_interrupt), none));
}

TEST_CASE("I/O bitmaps: each byte of the access counts, and wrapping around exits") {
    VmxMachine m;
    m.launch();
    CHECK_FALSE(m.guest.intercepts(io(0x60, 1)));
    set_bit(m, kIoBitmapA, 0x61);
    CHECK_FALSE(m.guest.intercepts(io(0x60, 1)));
    CHECK(m.guest.intercepts(io(0x61, 1)));
    CHECK(m.guest.intercepts(io(0x60, 2)));
    CHECK(m.guest.intercepts(io(0x5e, 4)));
    CHECK_FALSE(m.guest.intercepts(io(0x5d, 4)));
    set_bit(m, kIoBitmapB, 0);  // port 0x8000
    CHECK(m.guest.intercepts(io(0x7fff, 2)));
    CHECK_FALSE(m.guest.intercepts(io(0x7fff, 1)));
    CHECK_FALSE(m.guest.intercepts(io(0xffff, 1)));
    CHECK(m.guest.intercepts(io(0xffff, 2)));
    CHECK(m.guest.intercepts(io(0xfffd, 4)));
    CHECK_FALSE(m.guest.intercepts(io(0xfffc, 4)));
}

TEST_CASE("I/O without bitmaps: the unconditional control decides, bitmaps override it") {
    VmxMachine m;
    const std::uint32_t base = kBitmaps & ~primary::kIoBitmaps;
    CHECK_FALSE(m.intercepts(io(0x60, 1), {{F::PRIMARY_CONTROLS, base}}));
    CHECK(m.intercepts(io(0x60, 1),
                       {{F::PRIMARY_CONTROLS, base | primary::kUnconditionalIoExiting}}));
    CHECK_FALSE(m.intercepts(io(0x60, 1),
                             {{F::PRIMARY_CONTROLS, kBitmaps | primary::kUnconditionalIoExiting}}));
}

TEST_CASE("MSR bitmaps: four ranges, everything outside exits") {
    const struct {
        ActionKind kind;
        std::uint32_t msr;
        std::uint64_t base;
    } rows[] = {{ActionKind::rdmsr, 0x10, kMsrBitmaps},
                {ActionKind::rdmsr, 0x1fff, kMsrBitmaps},
                {ActionKind::rdmsr, 0xc0000080, kMsrBitmaps + 1024},
                {ActionKind::wrmsr, 0x10, kMsrBitmaps + 2048},
                {ActionKind::wrmsr, 0xc0001fff, kMsrBitmaps + 3072}};
    for (const auto& row : rows) {
        CAPTURE(row.msr);
        VmxMachine m;
        m.launch();
        const Action action = msr_access(row.kind, row.msr);
        CHECK_FALSE(m.guest.intercepts(action));
        set_bit(m, row.base, row.msr & 0x1fff);
        CHECK(m.guest.intercepts(action));
        const ActionKind other =
            row.kind == ActionKind::rdmsr ? ActionKind::wrmsr : ActionKind::rdmsr;
        CHECK_FALSE(m.guest.intercepts(msr_access(other, row.msr)));
        CHECK_FALSE(m.guest.intercepts(msr_access(row.kind, row.msr ^ 1)));
    }
    VmxMachine m;
    m.launch();
    for (const std::uint32_t outside : {0x2000u, 0x40000000u, 0xbfffffffu, 0xc0002000u, ~0u}) {
        CHECK(m.guest.intercepts(msr_access(ActionKind::rdmsr, outside)));
        CHECK(m.guest.intercepts(msr_access(ActionKind::wrmsr, outside)));
    }
    VmxMachine without;
    CHECK(without.intercepts(msr_access(ActionKind::rdmsr, 0x10),
                             {{F::PRIMARY_CONTROLS, kBitmaps & ~primary::kMsrBitmaps}}));
}

TEST_CASE("CR0 and CR4: masks and shadows") {
    VmxMachine m;
    m.set({{F::CR0_MASK, cr0::kPG | cr0::kTS},
           {F::CR0_READ_SHADOW, cr0::kTS},
           {F::CR4_MASK, cr4::kVMXE},
           {F::CR4_READ_SHADOW, 0}});
    m.launch();
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::cr_write, 0, cr0::kTS | cr0::kPE)));
    CHECK(m.guest.intercepts(cr(ActionKind::cr_write, 0, 0)));
    CHECK(m.guest.intercepts(cr(ActionKind::cr_write, 0, cr0::kTS | cr0::kPG)));
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::cr_write, 4, cr4::kPAE)));
    CHECK(m.guest.intercepts(cr(ActionKind::cr_write, 4, cr4::kVMXE)));
    CHECK(m.guest.intercepts(act(ActionKind::clts)));
    CHECK(m.guest.visible_cr(0, cr0::kPG | cr0::kPE) == (cr0::kTS | cr0::kPE));
    CHECK(m.guest.visible_cr(4, cr4::kVMXE | cr4::kPAE) == cr4::kPAE);
    CHECK(m.guest.visible_cr(3, 0x1234) == 0x1234);
    CHECK(m.guest.written_cr(0, cr0::kPG | cr0::kPE, cr0::kMP) == (cr0::kPG | cr0::kMP));
    CHECK(m.guest.written_cr(4, cr4::kVMXE, cr4::kPAE) == (cr4::kVMXE | cr4::kPAE));
    // LMSW: TS against the shadow; it never clears PE.
    CHECK(m.guest.intercepts(cr(ActionKind::lmsw, 0, 0)));
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::lmsw, 0, cr0::kTS | cr0::kPE)));
    VmxMachine pe;
    pe.set({{F::CR0_MASK, cr0::kPE}, {F::CR0_READ_SHADOW, cr0::kPE}});
    pe.launch();
    CHECK_FALSE(pe.guest.intercepts(cr(ActionKind::lmsw, 0, 0)));
    CHECK_FALSE(pe.guest.intercepts(act(ActionKind::clts)));
}

TEST_CASE("CR3 targets, CR3 and CR8 exiting") {
    VmxMachine m;
    const std::uint32_t cr3 = kBitmaps | primary::kCr3LoadExiting;
    CHECK_FALSE(
        m.intercepts(cr(ActionKind::cr_write, 3, 0x7000), {{F::PRIMARY_CONTROLS, kBitmaps}}));
    CHECK(m.intercepts(cr(ActionKind::cr_write, 3, 0x7000), {{F::PRIMARY_CONTROLS, cr3}}));
    const Fields targets{
        {F::CR3_TARGET_COUNT, 2}, {F::CR3_TARGET_1, 0x7000}, {F::CR3_TARGET_2, 0x9000}};
    CHECK_FALSE(m.intercepts(cr(ActionKind::cr_write, 3, 0x7000), targets));
    CHECK(m.guest.intercepts(cr(ActionKind::cr_write, 3, 0x9000)));  // beyond the count
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::cr_read, 3)));
    CHECK(m.intercepts(cr(ActionKind::cr_read, 3),
                       {{F::PRIMARY_CONTROLS, cr3 | primary::kCr3StoreExiting}}));
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::cr_write, 8)));
    CHECK_FALSE(m.guest.intercepts(cr(ActionKind::cr_read, 8)));
    CHECK(m.intercepts(cr(ActionKind::cr_write, 8),
                       {{F::PRIMARY_CONTROLS, kBitmaps | primary::kCr8LoadExiting}}));
    CHECK(m.intercepts(cr(ActionKind::cr_read, 8),
                       {{F::PRIMARY_CONTROLS, kBitmaps | primary::kCr8StoreExiting}}));
}

TEST_CASE("exception bitmap, and page faults by error code") {
    VmxMachine m;
    const Action ud = exception(Event::fault(kUD));
    CHECK_FALSE(m.intercepts(ud, {}));
    CHECK(m.intercepts(ud, {{F::EXCEPTION_BITMAP, 1u << kUD}}));
    CHECK_FALSE(m.guest.intercepts(exception(Event::fault(kGP))));
    const Action write = exception(Event::page_fault(0, 2)),
                 read = exception(Event::page_fault(0, 4));
    // Equal under the mask: the bit decides; else its inverse.
    CHECK(m.intercepts(write, {{F::EXCEPTION_BITMAP, 1u << kPF},
                               {F::PAGE_FAULT_ERROR_CODE_MASK, 2},
                               {F::PAGE_FAULT_ERROR_CODE_MATCH, 2}}));
    CHECK_FALSE(m.guest.intercepts(read));
    CHECK_FALSE(m.intercepts(write, {{F::EXCEPTION_BITMAP, 0}}));
    CHECK(m.guest.intercepts(read));
}

TEST_CASE("exit qualifications (SDM 3C 28.2.1)") {
    VmxMachine m;
    m.launch();
    const auto recorded = [&m](const Action& action) {
        m.exit(action);
        const std::pair pair{m[F::EXIT_REASON], m[F::EXIT_QUALIFICATION]};
        m.resume();
        return pair;
    };
    using Pair = std::pair<std::uint64_t, std::uint64_t>;
    Action in = io(0x3f8, 1);
    in.io.in = true;
    CHECK(recorded(in) == Pair{30, 0x03f80008});
    Action outs = io(0x1f0, 2);
    outs.io.string = outs.io.rep = true;
    CHECK(recorded(outs) == Pair{30, 0x01f00031});
    Action immediate = io(0x80, 4);
    immediate.io.immediate = true;
    CHECK(recorded(immediate) == Pair{30, 0x00800043});
    Action write = cr(ActionKind::cr_write, 3);
    write.gpr = 9;
    CHECK(recorded(write) == Pair{28, 0x903});
    Action read = cr(ActionKind::cr_read, 8);
    read.gpr = 2;
    CHECK(recorded(read) == Pair{28, 0x218});
    CHECK(recorded(act(ActionKind::clts)) == Pair{28, 0x20});
    CHECK(recorded(cr(ActionKind::lmsw, 0, 0xabcd)) == Pair{28, 0xabcd0030});
    Action dr = act(ActionKind::dr_read);
    dr.number = 7;
    dr.gpr = 15;
    CHECK(recorded(dr) == Pair{29, 0xf17});
    Action invlpg = act(ActionKind::invlpg);
    invlpg.linear = 0xffff800000001000;
    CHECK(recorded(invlpg) == Pair{14, 0xffff800000001000});
    CHECK(recorded(exception(Event::page_fault(0xdead000, 6))) == Pair{0, 0xdead000});
    CHECK(recorded(exception(Event::fault(kUD))) == Pair{0, 0});
    CHECK(recorded(act(ActionKind::triple_fault)) == Pair{2, 0});
    CHECK(recorded(act(ActionKind::hypercall)) == Pair{18, 0});
    mmu::NestedFault fault{mmu::NestedFaultKind::ept_violation, 0x5123, 0x182};
    Action nested = act(ActionKind::nested_page_fault);
    nested.fault = &fault;
    nested.linear = 0x7123;
    CHECK(recorded(nested) == Pair{48, 0x182});
    CHECK(m[F::GUEST_PHYSICAL_ADDRESS] == 0x5123);
    CHECK(m[F::GUEST_LINEAR_ADDRESS] == 0x7123);
    fault.kind = mmu::NestedFaultKind::ept_misconfiguration;
    CHECK(recorded(nested) == Pair{49, 0});
}

TEST_CASE("interruption information, error code and length of exits") {
    VmxMachine m;
    m.launch();
    Action gp = exception(Event::fault(kGP, 0x58));
    gp.instruction_length = 3;
    m.exit(gp);
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0x80000b0d);
    CHECK(m[F::EXIT_INTERRUPTION_ERROR_CODE] == 0x58);
    CHECK(m[F::EXIT_INSTRUCTION_LENGTH] == 3);
    CHECK(m[F::IDT_VECTORING_INFO] == 0);
    m.resume();
    apic::InterruptMessage message;
    message.vector = 0x41;
    m.apic.accept(message, 0);
    m.exit(act(ActionKind::external_interrupt));
    CHECK(m[F::EXIT_REASON] == 1);
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0x80000041);
    CHECK(m.apic.isr_vector() == 0x41);
    m.resume();
    message.delivery_mode = apic::DeliveryMode::nmi;
    m.apic.accept(message, 0);
    m.exit(act(ActionKind::nmi));
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0x80000202);
    CHECK_FALSE(m.apic.has_nmi_pending());
    m.resume();
    m.exit(act(ActionKind::cpuid));
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0);
}

TEST_CASE("without acknowledging, an interrupt stays pending") {
    VmxMachine m;
    m.set({{F::EXIT_CONTROLS, m[F::EXIT_CONTROLS] & ~exit_control::kAcknowledgeInterrupt}});
    m.launch();
    apic::InterruptMessage message;
    message.vector = 0x41;
    m.apic.accept(message, 0);
    m.exit(act(ActionKind::external_interrupt));
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0);
    CHECK(m.apic.highest_pending() == 0x41);
}

TEST_CASE("an exit during delivery records the event that was delivered") {
    VmxMachine m;
    m.launch();
    mmu::NestedFault fault{mmu::NestedFaultKind::ept_violation, 0x5000, 0x81};
    Action nested = act(ActionKind::nested_page_fault);
    nested.fault = &fault;
    const Event page_fault = Event::page_fault(0x1000, 6);
    m.exit(nested, &page_fault);
    CHECK(m[F::IDT_VECTORING_INFO] == 0x80000b0e);
    CHECK(m[F::IDT_VECTORING_ERROR_CODE] == 6);
    CHECK(m[F::EXIT_INTERRUPTION_INFO] == 0);
    m.resume();
    const Event interrupt{EventType::external_interrupt, 0x30, false, 0, 0, 0};
    m.exit(nested, &interrupt);
    CHECK(m[F::IDT_VECTORING_INFO] == 0x80000030);
}

TEST_CASE("injection: the event reaches the core once, the valid bit falls at the exit") {
    VmxMachine m;
    m.core.set_cr(2, 0xabc000);
    m.set({{F::ENTRY_INTERRUPTION_INFO, 0x80000b0e}, {F::ENTRY_EXCEPTION_ERROR_CODE, 7}});
    m.launch();
    REQUIRE(m.core.has_injection());
    CHECK(m.core.injection().vector == kPF);
    CHECK(m.core.injection().error_code == 7);
    CHECK(m.core.injection().address == 0xabc000);
    m.core.cancel_injection();
    m.exit(act(ActionKind::cpuid));
    CHECK(m[F::ENTRY_INTERRUPTION_INFO] == 0x00000b0e);
    m.resume();
    CHECK_FALSE(m.core.has_injection());
    m.exit(act(ActionKind::cpuid));
    m.set({{F::ENTRY_INTERRUPTION_INFO, 0x80000480}, {F::ENTRY_INSTRUCTION_LENGTH, 2}});
    m.resume();
    CHECK(m.core.injection().type == EventType::software_interrupt);
    CHECK(m.core.injection().instruction_length == 2);
}

TEST_CASE("TSC offset, and IA-32e mode following EFER.LMA at an exit") {
    VmxMachine m;
    m.set({{F::TSC_OFFSET, ~std::uint64_t{99}},
           {F::PRIMARY_CONTROLS, kBitmaps | primary::kTscOffsetting}});
    m.launch();
    CHECK(m.guest.guest_tsc(1000) == 900);
    m.core.set_efer(0);
    m.exit(act(ActionKind::cpuid));
    CHECK((m[F::ENTRY_CONTROLS] & entry_control::kIa32eGuest) == 0);
    CHECK(m.recorder.count(sim::EventKind::kVmExit) == 1);
}
