#pragma once
// The simulated server: memory, buses, interrupt controllers and board devices, with one initiator
// for each logical processor. Whoever runs on it (boot software or the hypervisor) comes on top.
#include <functional>
#include <memory>
#include <vector>

#include "app/machine/dispatcher.h"
#include "app/machine/interrupt_bus.h"
#include "app/machine/processor_bus.h"
#include "app/machine/sampler.h"
#include "app/run.h"
#include "cpu/core.h"
#include "devices/acpi_pm.h"
#include "devices/pci/bus.h"
#include "devices/rtc.h"
#include "devices/tlm/interconnect.h"
#include "devices/tlm/ram_target.h"
#include "devices/tlm/register_target.h"
#include "devices/uart16550.h"
#include "iommu/tlm/iommu_shell.h"
#include "iommu/vtd/vtd_unit.h"
#include "sim/ram.h"
#include "sim/recorder.h"

namespace hvsim::app {

/// Physical addresses of the board's devices.
inline constexpr std::uint64_t kIoApicAddress = 0xfec00000, kIommuAddress = 0xfed90000,
                               kNvmeAddress = 0xfe000000, kNvmeSize = 0x4000;
/// RAM below 4 GiB ends here at the latest; the rest goes on at 4 GiB.
inline constexpr std::uint64_t kDeviceHole = 0xf8000000;

/// PCI requester ids: the I/O APIC is bus 0, device 31, function 0, the disk controller device 4.
inline constexpr iommu::SourceId kIoApicRequester = 0x00f8, kNvmeRequester = 0x0020;

/// Prints a serial port's characters on a console of the run.
class ConsoleSink final : public devices::CharacterSink {
  public:
    ConsoleSink(RunOptions& options, std::size_t console) : options_(options), console_(console) {}
    void put(std::uint8_t byte, sim::Time now) override {
        if (options_.console) options_.console(console_, byte, now);
    }

  private:
    RunOptions& options_;
    std::size_t console_;
};

class Board final : private devices::PowerControl {
  public:
    Board(const Scenario& scenario, RunOptions& options);
    ~Board() override;

    const Scenario& scenario;
    RunOptions& options;
    const cpu::Model model;
    sim::Ram ram;
    sim::Recorder recorder;
    Sampler sampler{recorder};
    cpu::SharedClock clock;
    devices::tlm_shell::TimeBase time;
    Dispatcher dispatcher;
    InterruptBus interrupts;
    std::vector<std::unique_ptr<apic::LocalApic>> apics;

    devices::tlm_shell::Interconnect memory_bus, io_bus;
    devices::tlm_shell::RamTarget ram_target;

    apic::MsiDecoder msi_decoder;
    MsiRoute io_apic_route;
    apic::IoApic io_apic;
    IoApicWindow io_apic_window;
    devices::tlm_shell::RegisterTarget io_apic_target;

    IoApicPin uart_pin;
    ConsoleSink uart_sink;
    devices::Uart16550 uart;
    devices::tlm_shell::RegisterTarget uart_target;

    IoApicPin rtc_pin, sci_pin;
    devices::Rtc rtc;
    devices::AcpiPm acpi_pm;
    devices::ResetRegister reset_register;
    devices::pci::Bus pci_bus;
    devices::pci::ConfigPorts pci_config;
    devices::tlm_shell::RegisterTarget rtc_target, acpi_pm_target, pci_config_target;

    /// Between the devices and memory; null: the host has none.
    std::unique_ptr<iommu::vtd::VtdUnit> iommu;
    std::unique_ptr<iommu::tlm_shell::IommuShell> iommu_shell;

    std::vector<std::unique_ptr<devices::tlm_shell::BusMaster>> masters;
    std::vector<std::unique_ptr<ProcessorBus>> buses;

    /// How the machine ended, when a device said so.
    MachineOutcome outcome;
    void end(MachineEnd how, sim::Time now, std::string detail = {},
             std::optional<std::uint32_t> exit_code = {});

  private:
    void add_iommu();
    void sleep(unsigned sleep_type, sim::Time now) override;
    void reset(sim::Time now) override;
};

/// The processor model as the scenario has it.
cpu::Model model_of(const Scenario& scenario);

/// The whole of a file; throws ConfigError at the place of `key` in the scenario.
std::vector<std::uint8_t> read_file(const Scenario& scenario, const std::string& key,
                                    const std::filesystem::path& path);

}  // namespace hvsim::app
