#include "app/machine/bare_machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/machine/boot_files.h"
#include "app/machine/final_state.h"
#include "app/machine/processor_state.h"
#include "cpu/svm/operation.h"
#include "cpu/vmx/operation.h"
#include "devices/firmware/acpi_tables.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

namespace firmware = devices::firmware;

class RamWriter final : public firmware::GuestMemoryWriter {
  public:
    explicit RamWriter(sim::Ram& ram) : ram_(ram) {}
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        return ram_.write_bytes(gpa, bytes);
    }

  private:
    sim::Ram& ram_;
};

cpu::Segment segment_of(const firmware::BootSegment& segment) {
    return {segment.selector, segment.limit, segment.base, segment.attributes};
}

void load_state(cpu::Core& core, const firmware::StartState& state) {
    using cpu::SegmentName;
    core.set_efer(state.efer);
    core.set_cr(4, state.cr4);
    core.set_cr(3, state.cr3);
    core.set_cr(0, state.cr0);
    core.set_segment(SegmentName::cs, segment_of(state.cs));
    core.set_segment(SegmentName::ds, segment_of(state.ds));
    core.set_segment(SegmentName::es, segment_of(state.es));
    core.set_segment(SegmentName::ss, segment_of(state.ss));
    core.set_segment(SegmentName::fs, segment_of(state.fs));
    core.set_segment(SegmentName::gs, segment_of(state.gs));
    core.set_segment(SegmentName::tr, segment_of(state.tr));
    core.set_segment(SegmentName::ldtr, segment_of(state.ldtr));
    core.set_gdtr({state.gdt_base, state.gdt_limit});
    core.set_idtr({0, state.idt_limit});
    core.set_rflags(state.rflags);
    core.set_rip(state.rip);
    for (unsigned i = 0; i < firmware::kBootRegisters; ++i) core.set_gpr(i, state.gpr[i]);
}

/// The virtualization extension of the processor's vendor.
std::unique_ptr<cpu::Virtualization> make_extension(cpu::Core& core) {
    if (core.model().vendor == cpu::Vendor::amd) return std::make_unique<cpu::svm::Operation>(core);
    return std::make_unique<cpu::vmx::Operation>(core);
}

}  // namespace

BareMachine::BareMachine(Board& board) : board_(board), test_devices_(board) {
    const Scenario& scenario = board.scenario;
    if (board.options.input != nullptr) {
        typing_ = std::make_unique<ConsoleTyping>(*board.options.input, board.uart);
        board.dispatcher.add(*typing_);
    }
    engines_ = std::make_unique<cpu::engine::EngineGroup>(board.ram, scenario.host.code_buffer);
    for (std::uint32_t i = 0; i < scenario.host.processors; ++i) {
        cpu::CoreConfig config;
        config.model = &board.model;
        config.apic_id = i;
        config.processor_count = scenario.host.processors;
        config.virtualization = !scenario.host.disabled(
            board.model.vendor == cpu::Vendor::intel ? Feature::vmx : Feature::svm);
        config.nx = !scenario.host.disabled(Feature::nx);
        config.slat = !scenario.host.disabled(Feature::slat);
        config.subject.lp = static_cast<std::uint16_t>(i);
        cores_.push_back(std::make_unique<cpu::Core>(*engines_, board.ram, *board.buses[i],
                                                     board.clock, scenario.timing, board.recorder,
                                                     config, board.apics[i].get()));
        board.sampler.add(*cores_[i]);
        cores_[i]->set_watch(board.options.watch);
        if (config.virtualization) {
            extensions_.push_back(make_extension(*cores_[i]));
            cores_[i]->set_virtualization(extensions_.back().get());
        }
        processors_.push_back(std::make_unique<BareProcessor>(*cores_[i], *board.apics[i]));
        board.apics[i]->set_wait_for_sipi(i != 0);
        board.dispatcher.add(*processors_[i]);
    }
    board.interrupts.on_arrival = [this](std::size_t target, sim::Time at) {
        processors_[target]->notice(at);
        board_.dispatcher.reconsider();
    };
}

BareMachine::~BareMachine() = default;

void BareMachine::boot() {
    const Scenario& scenario = board_.scenario;
    SIM_ASSERT(scenario.boot.has_value());
    RamWriter writer(board_.ram);
    firmware::AcpiConfig acpi;
    for (std::uint32_t i = 0; i < scenario.host.processors; ++i) acpi.apic_ids.push_back(i);
    acpi.where = scenario.where("host.processors");
    if (board_.iommu) {
        firmware::AcpiDmarUnit unit;
        unit.registers = kIommuAddress;
        unit.host_address_bits = board_.model.physical_address_bits;
        unit.io_apic_requester = scenario.host.iommu.io_apic_requester;
        acpi.dmar = unit;
    }
    const firmware::AcpiImage image = firmware::build_acpi(acpi);
    firmware::write_acpi(image, writer);
    test_devices_.prepare();
    firmware::MemoryPlanConfig plan;
    plan.ram_bytes = board_.ram.size();
    plan.physical_address_bits = board_.model.physical_address_bits;
    plan.where = scenario.where("host.ram");
    load_state(*cores_[0],
               firmware::load_boot_image(read_boot_files(scenario, *scenario.boot, "boot"),
                                         firmware::plan_memory(plan), image.rsdp(), writer));
}

MachineOutcome BareMachine::idle_outcome() const {
    for (std::size_t i = 0; i < processors_.size(); ++i)
        if (processors_[i]->shut_down())
            return {MachineEnd::triple_fault, processors_[i]->now(),
                    fmt::format("processor {} at RIP {:#x}", i, cores_[i]->rip())};
    return {MachineEnd::halt, board_.dispatcher.now(), {}};
}

void BareMachine::finish() {
    for (const auto& core : cores_) add_registers(board_.recorder.digest(), *core);
    for (const sim::RamPiece& piece : board_.ram.pieces())
        add_memory(board_.recorder.digest(), board_.ram, piece.base, piece.length);
}

std::uint64_t BareMachine::code_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& core : cores_) bytes += core->code_bytes();
    return bytes;
}

std::vector<analysis::ProcessorState> BareMachine::processors() const {
    std::vector<analysis::ProcessorState> states;
    for (std::size_t i = 0; i < cores_.size(); ++i)
        states.push_back(state_of(*cores_[i], fmt::format("processor {}", i)));
    return states;
}

void BareMachine::collect(RunOutcome& outcome) const {
    outcome.code_bytes = code_bytes();
    for (const auto& core : cores_) {
        outcome.instructions += core->instructions();
        outcome.greatest_overshoot =
            std::max(outcome.greatest_overshoot, core->counters().greatest_overshoot);
    }
    analysis::StatisticsList list;
    if (board_.iommu) board_.iommu->collect(list);
    board_.memory_bus.collect(list);
    board_.io_bus.collect(list);
    outcome.statistics = std::move(list.items);
}

}  // namespace hvsim::app
