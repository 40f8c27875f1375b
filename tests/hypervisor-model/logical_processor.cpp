// A logical processor of the hypervisor and what its exit handlers and scheduler do, on both
// vendors' control structures; guests are scripts of what their instructions ask for.
#include <doctest/doctest.h>

#include <functional>
#include <optional>

#include "hypervisor-model/host/hypervisor_host.h"
#include "hypervisor-model/partition.h"
#include "hypervisor-model/spec/hypercall_abi.h"
#include "hypervisor-model/spec/msr.h"
#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::hv;

namespace {

constexpr std::uint64_t kRam = 64u << 20, kReserved = 0x1000;
constexpr sim::Duration kSlice = 10 * sim::kMillisecond;

struct NoBus final : cpu::Bus {
    std::uint64_t read_memory(std::uint64_t, unsigned, sim::Time, sim::Duration&) override {
        return 0;
    }
    void write_memory(std::uint64_t, unsigned, std::uint64_t, sim::Time, sim::Duration&) override {}
    std::uint32_t read_io(std::uint16_t, unsigned, sim::Time, sim::Duration&) override { return 0; }
    void write_io(std::uint16_t, unsigned, std::uint32_t, sim::Time, sim::Duration&) override {}
};

struct NoFabric final : apic::InterruptFabric, apic::EoiSink {
    void send(const apic::InterruptMessage&, apic::InterruptSource, sim::Time) override {}
    void broadcast_eoi(std::uint8_t, sim::Time) override {}
};

/// The root partition's software has nothing to do.
struct Idle final : cpu::NativeProgram {
    cpu::NativeStep step(cpu::NativeCore&, sim::Time) override { return {}; }
    sim::Duration interrupt(cpu::NativeCore&, std::uint8_t, sim::Time) override { return 0; }
};

/// A guest core: `program` says what the next instruction is, and how long those before it take.
struct ScriptedCore final : cpu::svm::test::RegisterFile {
    struct Next {
        cpu::Action action;
        sim::Duration before = 0;
    };
    using RegisterFile::RegisterFile;

    cpu::CoreStop run(sim::Time now, sim::Time deadline) override {
        time = now;
        while (time < deadline) {
            if (interrupted() && !guest_mode->exit(interrupt(), nullptr))
                return cpu::CoreStop::left_guest;
            const std::optional<Next> next = program ? program() : std::nullopt;
            time += next ? next->before : sim::kMicrosecond;
            if (next && guest_mode->intercepts(next->action) &&
                !guest_mode->exit(next->action, nullptr))
                return cpu::CoreStop::left_guest;
        }
        return cpu::CoreStop::deadline;
    }
    bool interrupted() {
        if (local->next_deadline() <= time) local->advance_to(time);
        return local->highest_pending() && guest_mode->exits_on_interrupt();
    }
    static cpu::Action interrupt() {
        cpu::Action action;
        action.kind = cpu::ActionKind::external_interrupt;
        return action;
    }
    apic::LocalApic* local_apic() noexcept override { return local; }
    void set_local_apic(apic::LocalApic* apic) noexcept override { local = apic; }
    sim::Subject& subject() noexcept override { return who; }
    sim::Recorder& recorder() noexcept override { return *shared; }

    std::function<std::optional<Next>()> program;
    sim::Subject who;
    sim::Recorder* shared = nullptr;
    apic::LocalApic* local = nullptr;
};

ScriptedCore::Next pause_after(sim::Duration before) {
    cpu::Action action;
    action.kind = cpu::ActionKind::pause;
    action.instruction_length = 2;
    return {action, before};
}

struct Machine final : CoreFactory {
    explicit Machine(bool intel)
        : recorder(),
          apic(apic_config(), fabric, fabric),
          host(config(intel), ram, recorder, timing, *this, pointers()) {
        child = make_child();
    }

    static apic::LocalApicConfig apic_config() {
        apic::LocalApicConfig c;
        c.bootstrap_processor = true;
        return c;
    }
    static HypervisorHostConfig config(bool intel) {
        HypervisorHostConfig c;
        c.hypervisor.vendor = intel ? Vendor::intel : Vendor::amd;
        c.hypervisor.first_reserved_page = kReserved;
        c.hypervisor.reserved_pages = 512;
        c.model = cpu::find_model(intel ? "intel-cascadelake" : "amd-rome");
        c.slice = kSlice;
        return c;
    }
    std::vector<apic::LocalApic*>& pointers() { return apics = {&apic}; }

    std::unique_ptr<cpu::ExecutionCore> guest_core(const sim::Subject& subject) override {
        auto core = std::make_unique<ScriptedCore>(ram);
        core->who = subject;
        core->shared = &recorder;
        cores.push_back(core.get());
        return core;
    }
    std::unique_ptr<cpu::NativeCore> native_core(const sim::Subject& subject) override {
        cpu::NativeCoreConfig c;
        c.subject = subject;
        auto core = std::make_unique<cpu::NativeCore>(ram, bus, timing, recorder, c);
        core->set_program(&idle);
        return core;
    }

    static void require(HvStatus status) { REQUIRE(status == HvStatus::success); }
    /// Active, in 64-bit mode, with guest pages 0 to 255 on the system pages from 0x800 on.
    Partition* make_child() {
        Hypervisor& hv = host.hypervisor();
        Partition* made = nullptr;
        require(hv.create_partition(hv.root(), made, 0));
        for (std::uint64_t page = 0x2000; page < 0x2080; ++page) made->pool().deposit({page});
        require(made->initialize(0));
        for (std::uint64_t i = 0; i < 256; ++i)
            require(made->gpa_space().map_range(i, {0x800 + i, {true, true, true}, false}, 1));
        return made;
    }
    VirtualProcessor& add_vp(VpIndex index) {
        require(child->create_vp(index, 0));
        VirtualProcessor& vp = *child->vp(index);
        VpContext& c = vp.context();
        c.set_efer(cpu::efer::kLME | cpu::efer::kLMA);
        c.set_cr(4, cpu::cr4::kPAE);
        c.set_cr(0, cpu::cr0::kPE | cpu::cr0::kPG | cpu::cr0::kNE | cpu::cr0::kET);
        for (const SegmentName name :
             {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
            c.set_segment(name, {0x18, 0xffffffff, 0, 0xc093});
        c.set_segment(SegmentName::cs, {0x10, 0xffffffff, 0, 0xa09b});
        c.set_segment(SegmentName::tr, {0x20, 0x67, 0, 0x8b});
        c.set_segment(SegmentName::ldtr, {0, 0, 0, 0x10000});
        c.set_rflags(0x202);
        c.set_rip(0x1000);
        c.set_halted(false);
        vp.apic().set_wait_for_sipi(false);
        vp.set_explicit_suspend(false, 0);
        return vp;
    }
    void run(sim::Time until) { host.processors().front()->run(until); }

    /// How often virtual processors of the child stopped for `reason`.
    struct Stops final : sim::EventSink {
        std::map<std::uint64_t, unsigned> by_reason;
        void on_event(const sim::Event& event) override {
            if (event.kind == sim::EventKind::kVpRun && event.subject.partition != 1 &&
                event.arguments[0] == 0)
                ++by_reason[event.arguments[1]];
        }
        unsigned count(VpRunReason reason) { return by_reason[static_cast<std::uint64_t>(reason)]; }
    };

    sim::Ram ram{kRam};
    sim::Recorder recorder;
    sim::TimingProfile timing;
    NoBus bus;
    NoFabric fabric;
    Idle idle;
    apic::LocalApic apic;
    std::vector<apic::LocalApic*> apics;
    std::vector<ScriptedCore*> cores;
    HypervisorHost host;
    Partition* child = nullptr;
};

}  // namespace

TEST_CASE("a processor that spins gives way to the one that it waits for") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        Machine::Stops stops;
        m.recorder.set_sink(&stops, sim::EventLevel::event);
        m.add_vp(0);
        m.add_vp(1);
        sim::Time released = 0, seen = 0;
        m.cores[0]->program = [&]() -> std::optional<ScriptedCore::Next> {
            if (released != 0) {
                if (seen == 0) seen = m.cores[0]->time;
                return std::nullopt;
            }
            return pause_after(50 * sim::kNanosecond);
        };
        // 20 us of work, at the end of which it lets the other one go.
        unsigned worked = 0;
        m.cores[1]->program = [&]() -> std::optional<ScriptedCore::Next> {
            if (++worked == 20) released = m.cores[1]->time;
            return pause_after(sim::kMicrosecond);  // far apart: no loop
        };
        m.run(kSlice / 2);
        CHECK(released != 0);
        CHECK(released < 40 * sim::kMicrosecond);  // not a slice later
        CHECK(stops.count(VpRunReason::spinning) == 1);
        CHECK(stops.count(VpRunReason::slice) == 0);
        m.run(2 * kSlice);
        CHECK(seen >= released);
        CHECK(stops.count(VpRunReason::slice) >= 1);
    }
}

TEST_CASE("a processor that nobody waits for goes on spinning") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        Machine::Stops stops;
        m.recorder.set_sink(&stops, sim::EventLevel::event);
        m.add_vp(0);
        unsigned pauses = 0;
        m.cores[0]->program = [&]() -> std::optional<ScriptedCore::Next> {
            ++pauses;
            return pause_after(50 * sim::kNanosecond);
        };
        m.run(sim::kMillisecond);
        CHECK(pauses >= 20'000);
        CHECK(stops.by_reason.empty());
        CHECK(m.recorder.count(sim::EventKind::kVmExit) < 10);  // there is nobody to yield to
        // With a second one that sleeps, it exits and goes on.
        m.add_vp(1).context().set_halted(true);
        pauses = 0;
        m.run(2 * sim::kMillisecond);
        CHECK(pauses >= 20'000);
        CHECK(m.recorder.count(sim::EventKind::kVmExit) > 100);
        CHECK(stops.count(VpRunReason::spinning) == 0);
    }
}

TEST_CASE("stores to read-only overlay pages raise #GP; others are the parent's affair") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        VirtualProcessor& vp = m.add_vp(0);
        vp.write_msr(msr::kGuestOsId, 0x8100'0006'0100'0000, 0);
        vp.write_msr(msr::kHypercall, 0x5'0001, 0);
        vp.write_msr(msr::kReferenceTsc, 0x5'1001, 0);
        mmu::NestedFault fault;
        cpu::Action action;
        action.kind = cpu::ActionKind::nested_page_fault;
        action.fault = &fault;
        std::uint64_t gpa = 0;
        bool write = true, done = false;
        m.cores[0]->program = [&]() -> std::optional<ScriptedCore::Next> {
            if (done) return std::nullopt;
            done = true;
            fault.guest_physical = gpa;
            fault.kind =
                intel ? mmu::NestedFaultKind::ept_violation : mmu::NestedFaultKind::npt_fault;
            fault.information = write ? 2 : 1;  // bit 1 says "write" in both formats
            return ScriptedCore::Next{action, 10};
        };
        sim::Time until = 0;
        const auto store = [&](std::uint64_t address) {
            gpa = address;
            done = false;
            m.cores[0]->injected.clear();
            m.run(until += sim::kMicrosecond);
            REQUIRE(done);
        };
        for (const std::uint64_t page : {0x5'0000u, 0x5'1008u}) {
            store(page);
            REQUIRE(m.cores[0]->injected.size() == 1);
            CHECK(m.cores[0]->injected[0].vector == cpu::kGP);
            CHECK(m.cores[0]->injected[0].error_code == 0);
            CHECK_FALSE(vp.intercept_suspend());
            CHECK(vp.context().rip() == 0x1000);
        }
        store(0x5'2000);
        CHECK(m.cores[0]->injected.empty());
        CHECK(vp.intercept_suspend());
    }
}

TEST_CASE("XSETBV: XCR0 changes, or #GP") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        VirtualProcessor& vp = m.add_vp(0);
        bool done = true;
        m.cores[0]->program = [&]() -> std::optional<ScriptedCore::Next> {
            if (done) return std::nullopt;
            done = true;
            cpu::Action action;
            action.kind = cpu::ActionKind::xsetbv;
            action.instruction_length = 3;
            return ScriptedCore::Next{action, 10};
        };
        sim::Time until = 0;
        const auto xsetbv = [&](std::uint64_t index, std::uint64_t value) {
            vp.context().set_gpr(cpu::engine::kRcx, index);
            vp.context().set_gpr(cpu::engine::kRax, value & 0xffffffff);
            vp.context().set_gpr(cpu::engine::kRdx, value >> 32);
            vp.context().set_rip(0x1000);
            done = false;
            m.cores[0]->injected.clear();
            m.run(until += sim::kMicrosecond);
            return m.cores[0]->injected.empty();
        };
        CHECK(xsetbv(0, 3));
        CHECK(vp.context().rip() == 0x1003);
        CHECK(vp.context().xcr0() == 3);
        CHECK(xsetbv(0xffff'ffff'0000'0000, 1));  // ECX counts
        CHECK(vp.context().xcr0() == 1);
        for (const auto& [index, value] : {std::pair<std::uint64_t, std::uint64_t>{0, 0},
                                           {0, 2},
                                           {0, 7},
                                           {0, 1ull << 63},
                                           {1, 1}}) {
            CAPTURE(value);
            CHECK_FALSE(xsetbv(index, value));
            CHECK(m.cores[0]->injected[0].vector == cpu::kGP);
            CHECK(vp.context().rip() == 0x1000);
            CHECK(vp.context().xcr0() == 1);
        }
    }
}

TEST_CASE("vectors with auto-EOI follow each other without any exit of the guest's own") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        VirtualProcessor& vp = m.add_vp(0);
        ScriptedCore& core = *m.cores[0];
        // The guest does nothing but take what it is given.
        core.program = [&]() -> std::optional<ScriptedCore::Next> {
            if (!core.guest_mode->wants_interrupt_window()) return std::nullopt;
            cpu::Action window;
            window.kind = cpu::ActionKind::interrupt_window;
            return ScriptedCore::Next{window, 10};
        };
        REQUIRE(vp.apic().write_msr(0x1b, 0xfee00900, 0));
        vp.apic().mmio_write(0xf0, 4, 0x1ff, 0);
        for (const std::uint8_t vector : {0x51, 0x52, 0x61}) {
            apic::InterruptMessage message;
            message.vector = vector;
            vp.receive(message, 0, true);
        }
        m.run(10 * sim::kMicrosecond);
        std::vector<unsigned> taken;
        for (const cpu::Event& event : core.injected) taken.push_back(event.vector);
        CHECK(taken == std::vector<unsigned>{0x61, 0x52, 0x51});
        CHECK_FALSE(core.guest_mode->wants_interrupt_window());
    }
}

TEST_CASE("an NMI behind another waits for the end of its handler") {
    Machine m(true);
    VirtualProcessor& vp = m.add_vp(0);
    ScriptedCore& core = *m.cores[0];
    core.program = [&]() -> std::optional<ScriptedCore::Next> {
        if (!core.guest_mode->wants_nmi_window() || core.nmi_blocked()) return std::nullopt;
        cpu::Action window;
        window.kind = cpu::ActionKind::nmi_window;
        return ScriptedCore::Next{window, 10};
    };
    apic::InterruptMessage nmi;
    nmi.delivery_mode = apic::DeliveryMode::nmi;
    vp.receive(nmi, 0);
    m.run(5 * sim::kMicrosecond);
    CHECK(core.injected.size() == 1);
    CHECK(core.nmi_blocked());
    vp.receive(nmi, 5 * sim::kMicrosecond);
    m.run(10 * sim::kMicrosecond);
    CHECK(core.injected.size() == 1);
    CHECK(core.guest_mode->wants_nmi_window());
    core.set_nmi_blocked(false);  // IRET
    m.run(20 * sim::kMicrosecond);
    CHECK(core.injected.size() == 2);
    CHECK(core.nmi_blocked());
    CHECK_FALSE(core.guest_mode->wants_nmi_window());
}
