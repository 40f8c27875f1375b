// The root partition's hypercalls enter as a guest's do: control values in registers, the input in
// the root's memory, where it is read anew at every call. Both vendors.
#include "hypervisor-model/stack/winhv.h"

#include <doctest/doctest.h>

#include <functional>

#include "hypervisor-model/host/hypervisor_host.h"
#include "hypervisor-model/partition.h"
#include "hypervisor-model/spec/hypercall_abi.h"
#include "hypervisor-model/spec/registers.h"

using namespace hvsim;
using namespace hvsim::hv;

namespace {

constexpr std::uint64_t kRam = 64u << 20, kReserved = 0x1000;
constexpr std::uint64_t kCodePage = 0x4000, kInput = 0x5000, kOutput = 0x6000;

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

/// The root's software: one step that calls `body`.
struct Once final : cpu::NativeProgram {
    cpu::NativeStep step(cpu::NativeCore& core, sim::Time) override {
        if (body) std::exchange(body, nullptr)(core);
        return {};
    }
    sim::Duration interrupt(cpu::NativeCore&, std::uint8_t, sim::Time) override { return 0; }
    std::function<void(cpu::NativeCore&)> body;
};

struct Machine final : CoreFactory {
    explicit Machine(bool vt_x)
        : intel(vt_x),
          apic(apic_config(), fabric, fabric),
          host(config(vt_x), ram, recorder, timing, *this, pointers()) {}

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
        c.slice = 10 * sim::kMillisecond;
        return c;
    }
    std::unique_ptr<cpu::ExecutionCore> guest_core(const sim::Subject&) override {
        return nullptr;  // there is no child
    }
    std::unique_ptr<cpu::NativeCore> native_core(const sim::Subject& subject) override {
        cpu::NativeCoreConfig c;
        c.model = &cpu::default_model(intel ? cpu::Vendor::intel : cpu::Vendor::amd);
        c.subject = subject;
        auto core = std::make_unique<cpu::NativeCore>(ram, bus, timing, recorder, c);
        core->set_program(&program);
        return core;
    }
    std::vector<apic::LocalApic*>& pointers() { return apics = {&apic}; }
    /// Runs `body` as the root's software.
    void as_root(std::function<void(cpu::NativeCore&)> body) {
        program.body = std::move(body);
        host.processors().front()->run(sim::kMillisecond);
        REQUIRE_FALSE(program.body);
    }

    bool intel;
    sim::Ram ram{kRam};
    sim::Recorder recorder;
    sim::TimingProfile timing;
    NoBus bus;
    NoFabric fabric;
    Once program;
    apic::LocalApic apic;
    std::vector<apic::LocalApic*> apics;
    HypervisorHost host;
};

HvStatus status_of(std::uint64_t result) {
    return static_cast<HvStatus>(HypercallResult::Status::get(result));
}

}  // namespace

TEST_CASE("a hypercall of the root reads its input from memory: a corrupted page gets the status") {
    for (const bool intel : {true, false}) {
        CAPTURE(intel);
        Machine m(intel);
        m.as_root([&](cpu::NativeCore& core) {
            stack::WinHv winhv(core, kInput, kOutput);
            winhv.enable(kCodePage);
            const std::uint32_t name = reg::kRip;
            RegisterValue value;
            REQUIRE(winhv.get_registers(kSelfPartition, 0, {&name, 1}, {&value, 1}) ==
                    HvStatus::success);
            // The library's input still lies there; the same call again, with a part of it changed.
            const std::uint64_t control = HypercallInput::RepCount::set(std::uint64_t{0x50}, 1);
            const auto again = [&] { return status_of(core.hypercall(control, kInput, kOutput)); };
            CHECK(again() == HvStatus::success);
            struct Change {
                std::uint64_t offset;
                std::uint32_t value;
                HvStatus status;
            };
            static constexpr Change kChanges[] = {
                {0, 0x1234, HvStatus::invalid_partition_id},
                {8, 77, HvStatus::invalid_vp_index},
                {12, 0xff, HvStatus::invalid_parameter},
                {16, 0xdead, HvStatus::unknown_register_name},
            };
            for (const Change& change : kChanges) {
                CAPTURE(change.offset);
                std::uint32_t old = 0;
                REQUIRE(m.ram.read(kInput + change.offset, old));
                REQUIRE(m.ram.write(kInput + change.offset, change.value));
                CHECK(again() == change.status);
                REQUIRE(m.ram.write(kInput + change.offset, old));
                CHECK(again() == HvStatus::success);
            }
            CHECK(status_of(core.hypercall(control, kInput + 4, kOutput)) ==
                  HvStatus::invalid_alignment);
            CHECK(status_of(core.hypercall(control | 1u << 30, kInput, kOutput)) ==
                  HvStatus::invalid_hypercall_input);
        });
    }
}
