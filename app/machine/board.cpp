#include "app/machine/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "app/scenario/host_model.h"
#include "cpu/models/features.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

/// The execution engine keeps addresses from 32 TiB on to itself; its tables grow with RAM.
constexpr std::uint64_t kLargestRam = std::uint64_t{1} << 40;

/// CPUID.01H:ECX, x2APIC.
constexpr std::uint32_t kX2apic = 1u << 21;

std::uint64_t checked_ram(const Scenario& scenario) {
    if (scenario.host.ram > kLargestRam)
        throw sim::ConfigError(
            scenario.where("host.ram"),
            fmt::format("{} GiB of RAM are more than the host can have", scenario.host.ram >> 30),
            fmt::format("at most {} GiB", kLargestRam >> 30));
    return scenario.host.ram;
}

apic::LocalApicConfig apic_config(const Scenario& scenario, const cpu::Model& model,
                                  std::uint32_t id) {
    apic::LocalApicConfig config;
    config.id = id;
    config.bootstrap_processor = id == 0;
    config.x2apic = (model.features_1_ecx & kX2apic) != 0;
    config.tsc_deadline = (model.features_1_ecx & 1u << 24) != 0;
    config.physical_address_bits = model.physical_address_bits;
    config.timer_hz = scenario.timing.clock_apic_timer_hz;
    config.tsc_hz = scenario.timing.clock_tsc_hz;
    return config;
}

}  // namespace

cpu::Model model_of(const Scenario& scenario) {
    cpu::Model model = host_model(scenario.host);
    if (scenario.host.disabled(Feature::x2apic)) model.features_1_ecx &= ~kX2apic;
    if (scenario.host.disabled(Feature::pcid)) model.features_1_ecx &= ~cpu::features::kPcid;
    if (scenario.host.disabled(Feature::invpcid)) model.features_7_ebx &= ~cpu::features::kInvpcid;
    return model;
}

Board::Board(const Scenario& s, RunOptions& o)
    : scenario(s),
      options(o),
      model(model_of(s)),
      ram(checked_ram(s), kDeviceHole),
      dispatcher("dispatcher", {s.host.quantum, s.expect.deadline}),
      interrupts(recorder, {s.timing.interrupt_ipi, s.timing.interrupt_msi}),
      memory_bus("memory_bus", "bus.memory"),
      io_bus("io_bus", "bus.io"),
      ram_target("ram", ram),
      msi_decoder(interrupts, false),
      io_apic_route(msi_decoder),
      io_apic({.id = 0, .entries = 24, .requester_id = s.host.iommu.io_apic_requester},
              io_apic_route),
      io_apic_window(io_apic),
      io_apic_target("io_apic", io_apic_window, time, s.timing.device_mmio),
      uart_pin(io_apic, 4),
      uart_sink(o, 0),
      uart({}, &uart_sink, &uart_pin, &recorder),
      uart_target("uart", uart, time, s.timing.device_io),
      rtc_pin(io_apic, 8),
      sci_pin(io_apic, 9),
      rtc({s.host.date}, &rtc_pin),
      acpi_pm(devices::PmTimer(32), this, &sci_pin),
      reset_register(0x06, this),
      pci_config(pci_bus, &reset_register),
      rtc_target("rtc", rtc, time, s.timing.device_io),
      acpi_pm_target("acpi_pm", acpi_pm, time, s.timing.device_io),
      pci_config_target("pci_config", pci_config, time, s.timing.device_io) {
    recorder.set_sink(options.sink, options.level);
    std::vector<apic::LocalApic*> pointers;
    for (std::uint32_t i = 0; i < s.host.processors; ++i) {
        apics.push_back(
            std::make_unique<apic::LocalApic>(apic_config(s, model, i), interrupts, interrupts));
        pointers.push_back(apics.back().get());
    }
    interrupts.set_apics(pointers);
    interrupts.add_io_apic(io_apic);
    for (const sim::RamPiece& piece : ram.pieces())
        memory_bus.map({piece.base == 0 ? "ram" : "ram_high", piece.base, piece.length, piece.base},
                       ram_target.socket);
    memory_bus.map({"io_apic", kIoApicAddress, 0x1000}, io_apic_target.socket);
    io_bus.map({"uart", 0x3f8, 8}, uart_target.socket);
    io_bus.map({"rtc", 0x70, 2}, rtc_target.socket);
    io_bus.map({"acpi_pm", 0x400, 0x10}, acpi_pm_target.socket);
    io_bus.map({"pci_config", 0xcf8, devices::pci::ConfigPorts::kPorts}, pci_config_target.socket);
    for (std::uint32_t i = 0; i < s.host.processors; ++i) {
        masters.push_back(std::make_unique<devices::tlm_shell::BusMaster>(
            fmt::format("bus_master_{}", i).c_str()));
        masters.back()->memory.bind(memory_bus.initiators);
        masters.back()->io.bind(io_bus.initiators);
        buses.push_back(std::make_unique<ProcessorBus>(*masters.back(), time, dispatcher));
    }
    interrupts.on_departure = [this] { dispatcher.reconsider(); };
    dispatcher.add(uart);
    dispatcher.add(rtc);
    dispatcher.add(acpi_pm);
    dispatcher.add(interrupts);
    if (s.host.iommu.enabled && model.vendor == cpu::Vendor::intel) add_iommu();
}

Board::~Board() = default;

/// What the unit does is the choice of the software: after reset everything passes.
void Board::add_iommu() {
    iommu::vtd::VtdConfig config;
    config.host_address_width = model.physical_address_bits;
    const std::uint32_t entries = std::max<std::uint32_t>(scenario.host.iommu.iotlb_entries, 1);
    const unsigned ways = std::min<std::uint32_t>(entries, 4);
    config.iotlb = {entries / ways, ways};
    iommu = std::make_unique<iommu::vtd::VtdUnit>(config, ram, interrupts, &recorder);
    sampler.set_iommu(*iommu);
    iommu_shell = std::make_unique<iommu::tlm_shell::IommuShell>("iommu", *iommu, time.at_zero,
                                                                 scenario.timing);
    iommu_shell->memory.bind(memory_bus.initiators);
    memory_bus.map({"iommu", kIommuAddress, 0x1000}, iommu_shell->registers);
    io_apic_route.set_sink(*iommu, scenario.timing.interrupt_remap);
}

void Board::end(MachineEnd how, sim::Time now, std::string detail,
                std::optional<std::uint32_t> exit_code) {
    if (outcome.end != MachineEnd::running) return;
    outcome = {how, now, std::move(detail), exit_code};
    recorder.record(sim::EventKind::kPowerState, now, {}, static_cast<std::uint64_t>(how));
    dispatcher.end();
}

/// Only S5 is defined, with SLP_TYP 0 (the firmware's _S5 object).
void Board::sleep(unsigned sleep_type, sim::Time now) {
    if (sleep_type == 0) end(MachineEnd::poweroff, now);
}

void Board::reset(sim::Time now) {
    end(MachineEnd::reboot, now);
}

std::vector<std::uint8_t> read_file(const Scenario& scenario, const std::string& key,
                                    const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw sim::ConfigError(scenario.where(key), fmt::format("cannot read {}", path.string()),
                               "scripts/make-guest prepares the guest's files");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace hvsim::app
