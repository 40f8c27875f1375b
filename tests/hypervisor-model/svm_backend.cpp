// A virtual processor on AMD-V: what the hypervisor puts into the VMCB, and how it reads an exit.
#include <doctest/doctest.h>

#include "hypervisor-model/svm/svm_backend.h"
#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::hv;
namespace svm = hvsim::cpu::svm;
namespace vmcb = hvsim::cpu::svm::vmcb;

namespace {

constexpr std::uint64_t kVmcb = 0x3000, kMsrMap = 0x4000, kIoMap = 0x6000, kNested = 0x9000;

struct Processor final : cpu::HostSoftware {
    Processor() {
        backend.set_efer(cpu::efer::kLME | cpu::efer::kLMA | cpu::efer::kNXE);
        backend.set_cr(4, cpu::cr4::kPAE);
        backend.set_cr(0, cpu::cr0::kPE | cpu::cr0::kPG | cpu::cr0::kET);
        backend.set_segment(SegmentName::cs, {8, 0xffffffff, 0, 0xa09b});
        backend.set_segment(SegmentName::ss, {0x10, 0xffffffff, 0, 0xc093});
        backend.set_rflags(0x202);
        backend.set_rip(0x1000);
    }
    bool on_vm_exit(cpu::ExecutionCore&) override { return false; }

    template <typename T>
    T raw(svm::FieldAt<T> field) const {
        T value{};
        ram.read(kVmcb + field.offset, value);
        return value;
    }
    template <typename T>
    void poke(svm::FieldAt<T> field, std::type_identity_t<T> value) {
        ram.write(kVmcb + field.offset, value);
    }
    /// Enters and leaves by `action`.
    ExitInfo exit(const cpu::Action& action) {
        REQUIRE(backend.enter().entered);
        REQUIRE(core.guest_mode != nullptr);
        REQUIRE(core.guest_mode->intercepts(action));
        core.guest_mode->exit(action, nullptr);
        return backend.exit_info();
    }
    ExitInfo exit(cpu::ActionKind kind, std::uint8_t length = 2) {
        cpu::Action action;
        action.kind = kind;
        action.instruction_length = length;
        return exit(action);
    }

    sim::Ram ram{0x10000};
    cpu::svm::test::RegisterFile core{ram};
    SvmBackend backend{{kVmcb, kMsrMap, kIoMap}, {kNested, 5, 48}, core, *this};
};

cpu::Action hlt() {
    cpu::Action action;
    action.kind = cpu::ActionKind::hlt;
    action.instruction_length = 1;
    return action;
}

bool intercepts_msr(const Processor& p, std::uint32_t msr, bool write) {
    std::uint8_t bits = 0;
    p.ram.read(kMsrMap +
                   (msr >= 0xc0010000   ? 0x1000
                    : msr >= 0xc0000000 ? 0x800
                                        : 0) +
                   (msr & 0x1fff) / 4,
               bits);
    return (bits >> (2 * (msr & 3) + (write ? 1 : 0)) & 1) != 0;
}

}  // namespace

TEST_CASE("all ports and MSRs exit but those that are the guest's own") {
    Processor p;
    for (std::uint64_t byte = 0; byte < svm::kIopmBytes; ++byte) {
        std::uint8_t bits = 0;
        p.ram.read(kIoMap + byte, bits);
        REQUIRE(bits == 0xff);
    }
    unsigned own = 0;
    for (const std::uint32_t base : {0u, 0xc0000000u, 0xc0010000u})
        for (std::uint32_t index = 0; index < 0x2000; ++index) {
            const bool read = intercepts_msr(p, base + index, false);
            REQUIRE(read == intercepts_msr(p, base + index, true));
            if (!read) ++own;
        }
    CHECK(own == 11);
    for (const std::uint32_t msr : {0xc0000081u, 0xc0000082u, 0xc0000083u, 0xc0000084u, 0xc0000100u,
                                    0xc0000101u, 0xc0000102u, 0xc0000103u, 0x174u, 0x175u, 0x176u})
        CHECK_FALSE(intercepts_msr(p, msr, false));
    CHECK(p.raw(vmcb::IOPM_BASE_PA) == kIoMap);
    CHECK(p.raw(vmcb::MSRPM_BASE_PA) == kMsrMap);
    CHECK(p.raw(vmcb::N_CR3) == kNested);
    CHECK(p.raw(vmcb::GUEST_ASID) == 5);
    CHECK(p.raw(vmcb::NESTED_CONTROL) == 1);
}

TEST_CASE("the guest does not see EFER.SVME; VMRUN demands it") {
    Processor p;
    p.backend.set_efer(0);
    CHECK(p.backend.efer() == 0);
    CHECK(p.raw(vmcb::EFER) == cpu::efer::kSVME);
    p.backend.set_cr(0, cpu::cr0::kET);
    CHECK(p.backend.enter().entered);
    CHECK(p.backend.efer() == 0);
    CHECK(p.core.efer() == cpu::efer::kSVME);
}

TEST_CASE("a refused entry says which rule") {
    Processor p;
    p.backend.set_cr(4, 0);
    const EntryReport report = p.backend.enter();
    CHECK_FALSE(report.entered);
    CHECK(report.rule == 109);
    CHECK(report.section == "15.5.1");
    CHECK(report.field == "CR4");
    p.backend.set_cr(4, cpu::cr4::kPAE);
    CHECK(p.backend.enter().entered);
}

TEST_CASE("a guest that spins exits when the pause filter is used up") {
    Processor p;
    p.backend.exit_when_spinning(true);
    REQUIRE(p.backend.enter().entered);
    cpu::Action pause;
    pause.kind = cpu::ActionKind::pause;
    pause.instruction_length = 2;
    for (unsigned i = 0; i < kSpinPauses; ++i) CHECK_FALSE(p.core.guest_mode->intercepts(pause));
    CHECK(p.core.guest_mode->intercepts(pause));
    p.core.guest_mode->exit(pause, nullptr);
    const ExitInfo exit = p.backend.exit_info();
    CHECK(exit.kind == ExitKind::pause_loop);
    CHECK(exit.instruction_length == 2);
    p.backend.exit_when_spinning(false);
    REQUIRE(p.backend.enter().entered);
    for (unsigned i = 0; i < 2 * kSpinPauses; ++i)
        CHECK_FALSE(p.core.guest_mode->intercepts(pause));
}

TEST_CASE("every exit that the hypervisor asked for has its meaning") {
    using cpu::ActionKind;
    Processor p;
    struct Row {
        ActionKind action;
        ExitKind kind;
    };
    for (const Row& row :
         {Row{ActionKind::external_interrupt, ExitKind::external_interrupt},
          Row{ActionKind::nmi, ExitKind::nmi},
          Row{ActionKind::triple_fault, ExitKind::triple_fault},
          Row{ActionKind::cpuid, ExitKind::cpuid}, Row{ActionKind::hlt, ExitKind::hlt},
          Row{ActionKind::invd, ExitKind::cache_control},
          Row{ActionKind::wbinvd, ExitKind::cache_control},
          Row{ActionKind::hypercall, ExitKind::hypercall},
          Row{ActionKind::rdmsr, ExitKind::msr_read},
          Row{ActionKind::wrmsr, ExitKind::msr_write}}) {
        CAPTURE(static_cast<int>(row.kind));
        const ExitInfo exit = p.exit(row.action, 3);
        CHECK(exit.kind == row.kind);
        CHECK(exit.instruction_length == 3);
        CHECK_FALSE(exit.has_vector);
    }
    cpu::Action action;
    action.kind = ActionKind::vmx_instruction;
    for (const std::uint32_t opcode :
         {0x0f01d8u, 0x0f01dau, 0x0f01dbu, 0x0f01dcu, 0x0f01ddu, 0x0f01deu, 0x0f01dfu}) {
        action.opcode = opcode;
        CHECK(p.exit(action).kind == ExitKind::virtualization_instruction);
    }
}

TEST_CASE("ports and nested page faults come with their operands") {
    Processor p;
    cpu::Action action;
    action.kind = cpu::ActionKind::io;
    action.instruction_length = 2;
    action.io.port = 0xcf8;
    action.io.size = 4;
    ExitInfo exit = p.exit(action);
    CHECK(exit.kind == ExitKind::io);
    CHECK(exit.io.port == 0xcf8);
    CHECK(exit.io.size == 4);
    CHECK_FALSE(exit.io.in);
    CHECK(exit.instruction_length == 2);
    action.io.in = action.io.string = action.io.rep = true;
    action.io.size = 2;
    exit = p.exit(action);
    CHECK(exit.io.in);
    CHECK(exit.io.string);
    CHECK(exit.io.rep);
    CHECK(exit.io.size == 2);

    mmu::NestedFault fault{mmu::NestedFaultKind::npt_fault, 0xfee00300, 0x1'0000'0006};
    action = {};
    action.kind = cpu::ActionKind::nested_page_fault;
    action.fault = &fault;
    exit = p.exit(action);
    CHECK(exit.kind == ExitKind::nested_page_fault);
    CHECK(exit.raw_reason == 0x400);
    CHECK(exit.gpa == 0xfee00300);
    CHECK(exit.write);
    CHECK_FALSE(exit.execute);
    CHECK_FALSE(exit.gva_valid);
    fault.information = 0x1'0000'0014;
    exit = p.exit(action);
    CHECK(exit.execute);
    CHECK_FALSE(exit.write);
    // A reserved bit in the nested tables is the hypervisor's fault.
    fault.information = 0x1'0000'000d;
    CHECK(p.exit(action).kind == ExitKind::nested_misconfiguration);
}

TEST_CASE("the interrupt window is a virtual interrupt of highest priority") {
    Processor p;
    REQUIRE(p.backend.enter().entered);
    CHECK_FALSE(p.core.guest_mode->wants_interrupt_window());
    (void)p.core.guest_mode->exit(hlt(), nullptr);
    p.backend.request_interrupt_window(true);
    cpu::Action window;
    window.kind = cpu::ActionKind::interrupt_window;
    CHECK(p.exit(window).kind == ExitKind::interrupt_window);
    CHECK(p.core.injected.empty());
    p.backend.request_interrupt_window(false);
    REQUIRE(p.backend.enter().entered);
    CHECK_FALSE(p.core.guest_mode->wants_interrupt_window());
}

TEST_CASE("CR8 is the virtual APIC's task priority") {
    struct NoWires final : apic::InterruptFabric, apic::EoiSink {
        void send(const apic::InterruptMessage&, apic::InterruptSource, sim::Time) override {}
        void broadcast_eoi(std::uint8_t, sim::Time) override {}
    } wires;
    apic::LocalApic virtual_apic({}, wires, wires);
    Processor p;
    cpu::Action access;
    access.kind = cpu::ActionKind::cr_write;
    access.number = 8;
    access.gpr = cpu::engine::kRax;
    access.instruction_length = 4;
    p.backend.set_gpr(cpu::engine::kRax, 9);
    ExitInfo exit = p.exit(access);
    REQUIRE(exit.kind == ExitKind::cr_access);
    CHECK(exit.instruction_length == 4);
    CHECK(p.backend.emulate_cr_access(exit, virtual_apic));
    CHECK(virtual_apic.tpr() == 0x90);
    p.backend.set_gpr(cpu::engine::kRax, 0x10);
    CHECK_FALSE(p.backend.emulate_cr_access(p.exit(access), virtual_apic));
    CHECK(virtual_apic.tpr() == 0x90);
    access.kind = cpu::ActionKind::cr_read;
    access.gpr = 13;
    CHECK(p.backend.emulate_cr_access(p.exit(access), virtual_apic));
    CHECK(p.backend.gpr(13) == 9);
}

TEST_CASE("the window for an NMI opens with RFLAGS.IF") {
    Processor p;
    const std::uint64_t closed = p.raw(vmcb::VINTR);
    p.backend.set_rflags(2);
    p.backend.request_nmi_window(true);
    CHECK((p.raw(vmcb::VINTR) & svm::vintr::V_IRQ::kMask) != 0);
    p.backend.request_interrupt_window(true);
    p.backend.request_nmi_window(false);
    CHECK((p.raw(vmcb::VINTR) & svm::vintr::V_IRQ::kMask) != 0);
    p.backend.request_interrupt_window(false);
    CHECK(p.raw(vmcb::VINTR) == closed);
    p.backend.set_rflags(0x202);  // it would exit before each instruction
    p.backend.request_nmi_window(true);
    CHECK(p.raw(vmcb::VINTR) == closed);
}

TEST_CASE("events go into EVENTINJ") {
    Processor p;
    p.backend.inject({InjectedEvent::Type::external_interrupt, 0x51, false, 0, 0});
    CHECK(p.raw(vmcb::EVENTINJ) == 0x8000'0051);
    CHECK(p.backend.has_pending_injection());
    p.backend.inject({InjectedEvent::Type::nmi, 2, false, 0, 0});
    CHECK(p.raw(vmcb::EVENTINJ) == 0x8000'0202);
    p.backend.inject({InjectedEvent::Type::hardware_exception, 13, true, 0x58, 0});
    CHECK(p.raw(vmcb::EVENTINJ) == 0x0000'0058'8000'0b0d);
    p.backend.inject({InjectedEvent::Type::software_interrupt, 0x80, false, 0, 2});
    CHECK(p.raw(vmcb::EVENTINJ) == 0x8000'0480);
    CHECK(p.raw(vmcb::NRIP) == 0x1002);
    p.backend.inject({InjectedEvent::Type::software_exception, 3, false, 0, 1});
    CHECK(p.raw(vmcb::EVENTINJ) == 0x8000'0303);
    CHECK(p.raw(vmcb::NRIP) == 0x1001);
    (void)p.exit(cpu::ActionKind::cpuid);
    CHECK_FALSE(p.backend.has_pending_injection());
    REQUIRE(p.core.injected.size() == 1);
    CHECK(p.core.injected[0].type == cpu::EventType::software_exception);
    CHECK(p.core.injected[0].instruction_length == 1);
}

TEST_CASE("registers of the VMCB and of the processor") {
    Processor p;
    for (const SegmentName name :
         {SegmentName::es, SegmentName::cs, SegmentName::ss, SegmentName::ds, SegmentName::fs,
          SegmentName::gs, SegmentName::ldtr, SegmentName::tr}) {
        const Segment segment{static_cast<std::uint16_t>(0x20 + static_cast<unsigned>(name)),
                              0xffff, 0x1234, 0x40f3};
        p.backend.set_segment(name, segment);
        CHECK(p.backend.segment(name) == segment);
    }
    CHECK(p.raw(vmcb::CPL) == 3);  // SS's DPL
    for (unsigned i = 0; i < 16; ++i) p.backend.set_gpr(i, 0x100 + i);
    CHECK(p.raw(vmcb::RAX) == 0x100);
    CHECK(p.raw(vmcb::RSP) == 0x104);
    CHECK(p.core.gpr(cpu::engine::kRcx) == 0x101);
    for (unsigned i = 0; i < 16; ++i) CHECK(p.backend.gpr(i) == 0x100 + i);
    p.backend.set_gdtr({0x7000, 0x7f});
    p.backend.set_idtr({0x8000, 0xfff});
    CHECK(p.backend.gdtr() == TableRegister{0x7000, 0x7f});
    CHECK(p.backend.idtr() == TableRegister{0x8000, 0xfff});
    CHECK(p.backend.write_msr(cpu::msr::kLstar, 0x5555));
    std::uint64_t value = 0;
    CHECK(p.backend.read_msr(cpu::msr::kLstar, value));
    CHECK(value == 0x5555);
    CHECK_FALSE(p.backend.read_msr(0x10, value));
    p.backend.sync();  // VMSAVE
    CHECK(p.raw(vmcb::LSTAR) == 0x5555);
    CHECK(p.raw(vmcb::TR_SELECTOR) == 0x27);
    p.backend.set_interrupt_shadow(true);
    CHECK(p.backend.interrupt_shadow());
    p.backend.skip_instruction(3);
    CHECK_FALSE(p.backend.interrupt_shadow());
    CHECK(p.backend.rip() == 0x1003);
}

TEST_CASE("a guest that has been entered can be read and changed") {
    Processor p;
    REQUIRE(p.backend.enter().entered);
    p.core.set_rip(0x4444);
    CHECK(p.backend.rip() == 0x4444);
    p.backend.set_rip(0x5555);
    CHECK(p.core.rip() == 0x5555);
    p.backend.set_cr(3, 0x6000);
    CHECK(p.core.cr(3) == 0x6000);
}

TEST_CASE("a flush goes with the next VMRUN, or at once when the guest has been entered") {
    Processor p;
    REQUIRE(p.backend.enter().entered);
    p.core.nested_flushes = 0;
    p.backend.flush_tlb();
    CHECK(p.core.nested_flushes == 1);
    (void)p.core.guest_mode->exit(hlt(), nullptr);
    p.backend.flush_tlb();
    CHECK(p.core.nested_flushes == 1);
    REQUIRE(p.backend.enter().entered);
    CHECK(p.core.nested_flushes == 2);
    CHECK(p.raw(vmcb::TLB_CONTROL) == 3);
    (void)p.core.guest_mode->exit(hlt(), nullptr);
    REQUIRE(p.backend.enter().entered);
    CHECK(p.core.nested_flushes == 2);
}

TEST_CASE("the time-stamp counter's offset reaches the guest though intercepts are kept clean") {
    Processor p;
    (void)p.exit(cpu::ActionKind::cpuid);
    p.backend.set_tsc_offset(0x1000);
    REQUIRE(p.backend.enter().entered);
    CHECK(p.core.guest_mode->guest_tsc(5) == 0x1005);
    // What only the hypervisor writes is marked clean at an entry that follows an exit.
    (void)p.core.guest_mode->exit(hlt(), nullptr);
    REQUIRE(p.backend.enter().entered);
    CHECK((p.raw(vmcb::CLEAN) & 7) == 7);
}
