#include "app/machine/bare_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "app/machine/final_state.h"
#include "cpu/svm/operation.h"
#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/elf_file.h"
#include "devices/firmware/flat_loader.h"
#include "devices/firmware/linux_loader.h"
#include "devices/firmware/multiboot_loader.h"
#include "devices/firmware/pvh_loader.h"
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

constexpr std::string_view kLinuxCommandLine = "console=ttyS0";

/// Reads the files of [boot] and hands them to the loader of its protocol.
class BootLoader {
  public:
    BootLoader(const Board& board, firmware::GuestMemoryWriter& memory, std::uint64_t rsdp)
        : board_(board), boot_(*board.scenario.boot), memory_(memory) {
        firmware::MemoryPlanConfig plan;
        plan.ram_bytes = board.ram.size();
        plan.physical_address_bits = board.model.physical_address_bits;
        plan.where = board.scenario.where("host.ram");
        request_.memory = firmware::plan_memory(plan);
        request_.acpi_rsdp = rsdp;
        request_.kernel_name = boot_.kernel.string();
        request_.where = board.scenario.where("boot.kernel");
        kernel_ = read_file(board.scenario, "boot.kernel", boot_.kernel);
        request_.kernel = kernel_;
    }

    firmware::StartState load() {
        switch (protocol()) {
            case BootProtocol::multiboot:
                read_modules();
                request_.command_line = boot_.command_line.value_or("");
                return firmware::load_multiboot(request_, memory_);
            case BootProtocol::pvh:
                read_modules();
                request_.command_line = boot_.command_line.value_or(std::string(kLinuxCommandLine));
                return firmware::load_pvh(request_, memory_);
            case BootProtocol::flat:
                return load_flat();
            case BootProtocol::automatic:
            case BootProtocol::linux_kernel:
                break;
        }
        return load_linux();
    }

  private:
    BootProtocol protocol() const {
        if (boot_.protocol != BootProtocol::automatic) return boot_.protocol;
        if (firmware::is_linux_kernel(kernel_)) return BootProtocol::linux_kernel;
        if (firmware::has_multiboot_header(kernel_)) return BootProtocol::multiboot;
        if (firmware::is_elf(kernel_)) return BootProtocol::pvh;
        firmware::fail_kernel(request_, "neither a Linux bzImage, a multiboot kernel nor ELF",
                              "for a flat binary say boot.protocol = \"flat\"");
    }

    void read_modules() {
        const Scenario& scenario = board_.scenario;
        const auto read = [&](const std::string& key, const std::filesystem::path& path,
                              std::string words) {
            files_.push_back(read_file(scenario, key, path));
            request_.modules.push_back({files_.back(), path.string(), std::move(words)});
        };
        if (!boot_.initramfs.empty()) read("boot.initramfs", boot_.initramfs, {});
        for (std::size_t i = 0; i < boot_.modules.size(); ++i)
            read(fmt::format("boot.modules[{}]", i), module_file(boot_.modules[i]),
                 module_words(boot_.modules[i]));
    }

    firmware::StartState load_flat() {
        firmware::FlatStart start;
        start.mode = static_cast<firmware::StartMode>(boot_.flat.mode);
        start.load_address = boot_.flat.load;
        start.entry = boot_.flat.entry.value_or(boot_.flat.load);
        for (const std::string& text : boot_.flat.registers)
            if (const auto value = firmware::parse_register(text))
                start.registers.push_back(*value);
        return firmware::load_flat(request_, start, memory_);
    }

    firmware::StartState load_linux() {
        std::vector<std::uint8_t> initramfs;
        if (!boot_.initramfs.empty())
            initramfs = read_file(board_.scenario, "boot.initramfs", boot_.initramfs);
        firmware::LinuxBootRequest request;
        request.kernel = kernel_;
        request.initramfs = initramfs;
        request.command_line = boot_.command_line.value_or(std::string(kLinuxCommandLine));
        request.memory = request_.memory;
        request.acpi_rsdp = request_.acpi_rsdp;
        request.kernel_name = request_.kernel_name;
        request.initramfs_name = boot_.initramfs.string();
        request.where = request_.where;
        return firmware::start_state(firmware::load_linux(request, memory_));
    }

    const Board& board_;
    const BootConfig& boot_;
    firmware::GuestMemoryWriter& memory_;
    firmware::KernelRequest request_;
    std::vector<std::uint8_t> kernel_;
    std::deque<std::vector<std::uint8_t>> files_;
};

/// The extension of the processor's vendor; nullptr: its programs have none.
std::unique_ptr<cpu::Virtualization> make_extension(cpu::Core& core) {
    if (core.model().vendor == cpu::Vendor::amd)
        return std::make_unique<cpu::svm::Operation>(core);
    return nullptr;
}

}  // namespace

BareMachine::BareMachine(Board& board) : board_(board), test_devices_(board) {
    const Scenario& scenario = board.scenario;
    engines_ = std::make_unique<cpu::engine::EngineGroup>(board.ram, scenario.host.code_buffer);
    for (std::uint32_t i = 0; i < scenario.host.processors; ++i) {
        cpu::CoreConfig config;
        config.model = &board.model;
        config.apic_id = i;
        config.processor_count = scenario.host.processors;
        config.virtualization = !scenario.host.disabled(
            board.model.vendor == cpu::Vendor::intel ? Feature::vmx : Feature::svm);
        config.nx = !scenario.host.disabled(Feature::nx);
        config.subject.lp = static_cast<std::uint16_t>(i);
        cores_.push_back(std::make_unique<cpu::Core>(*engines_, board.ram, *board.buses[i],
                                                     board.clock, scenario.timing, board.recorder,
                                                     config, board.apics[i].get()));
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
    const firmware::AcpiImage image = firmware::build_acpi(acpi);
    firmware::write_acpi(image, writer);
    load_state(*cores_[0], BootLoader(board_, writer, image.rsdp()).load());
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

void BareMachine::collect(RunOutcome& outcome) const {
    for (const auto& core : cores_) {
        outcome.code_bytes += core->engine().code_bytes();
        outcome.greatest_overshoot =
            std::max(outcome.greatest_overshoot, core->counters().greatest_overshoot);
    }
}

}  // namespace hvsim::app
