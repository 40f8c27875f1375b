#include "app/machine/test_devices.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/machine/disk_controller.h"
#include "devices/pci/edu.h"
#include "devices/testing/test_board.h"

namespace hvsim::app {
namespace {

constexpr std::uint64_t kPicMasterPort = 0x20, kPicSlavePort = 0xa0, kEdgeLevelPort = 0x4d0;
constexpr std::uint8_t kPicMasterVector = 0x08, kPicSlaveVector = 0x70;  // as PC firmware sets them
constexpr std::uint64_t kPciWindow = kDeviceHole, kPciWindowSize = kNvmeAddress - kDeviceHole;
constexpr devices::pci::DeviceFunction kHostBridge = 0x00, kEdu = 0x28;  // 00:00.0, 00:05.0
constexpr std::uint8_t kEduInterruptLine = 10;

}  // namespace

struct TestDevices::Mapped {
    Mapped(const char* name, std::unique_ptr<devices::RegisterDevice> registers, const Board& board,
           sim::Duration latency)
        : device(std::move(registers)), target(name, *device, board.time, latency) {}

    std::unique_ptr<devices::RegisterDevice> device;
    devices::tlm_shell::RegisterTarget target;
};

/// The 8259A's output at LINT0 of the first processor.
class TestDevices::Lint final : public devices::InterruptLine {
  public:
    explicit Lint(Board& board) : board_(board) {}
    void set(bool level, sim::Time now) override {
        apic::LocalApic& apic = *board_.apics.front();
        apic.set_lint(0, level, now);
        if (apic.ext_int_requested() && board_.interrupts.on_arrival)
            board_.interrupts.on_arrival(0, now);
    }

  private:
    Board& board_;
};

/// The host bridge as PCI function 00:00.0, the edu device and their shells.
struct TestDevices::PciBoard {
    class HostBridge final : public devices::pci::Function {
      public:
        HostBridge() : Function({0x8086, 0x29c0, 0, 0x060000}) {}  // Intel 82G33, as Q35 boards
    };

    PciBoard(Board& board, devices::InterruptLine& line)
        : window(board.pci_bus, kPciWindow),
          window_target("pci_window", window, board.time, board.scenario.timing.device_mmio),
          dma("edu_dma", board.time),
          edu({}, dma, line),
          msi_window(board.msi_decoder),
          msi_target("msi_window", msi_window, board.time) {
        edu.assign(kPciWindow, kEduInterruptLine);
        board.pci_bus.add(kHostBridge, bridge);
        board.pci_bus.add(kEdu, edu);
        board.memory_bus.map({"pci_window", kPciWindow, kPciWindowSize}, window_target.socket);
        board.memory_bus.map({"msi", MsiWindow::kBase, MsiWindow::kSize}, msi_target.socket);
        board.dispatcher.add(edu);
    }

    HostBridge bridge;
    devices::pci::MemoryWindow window;
    devices::tlm_shell::RegisterTarget window_target;
    devices::tlm_shell::DmaInitiator dma;
    devices::pci::Edu edu;
    MsiWindow msi_window;
    devices::tlm_shell::RegisterTarget msi_target;
};

TestDevices::TestDevices(Board& board) : board_(board) {
    if (board.scenario.test_devices.empty()) return;
    const auto has = [&](TestDeviceKind kind) {
        return std::any_of(board.scenario.test_devices.begin(), board.scenario.test_devices.end(),
                           [&](const TestDeviceConfig& device) { return device.kind == kind; });
    };
    if (has(TestDeviceKind::pic)) add_pic();  // others are wired to it
    for (const TestDeviceConfig& device : board.scenario.test_devices) add(device.kind);
}

TestDevices::~TestDevices() = default;

void TestDevices::add(TestDeviceKind kind) {
    if (kind == TestDeviceKind::edu) return add_edu();
    devices::TestBoard wiring;
    wiring.exit = this;
    wiring.machine = {static_cast<std::uint16_t>(board_.scenario.host.processors),
                      board_.scenario.host.ram};
    if (kind == TestDeviceKind::testdev)
        for (unsigned pin = 0; pin < board_.io_apic.entries(); ++pin)
            wiring.lines.push_back(&line(pin));
    const sim::TimingProfile& timing = board_.scenario.timing;
    for (devices::TestPart& part : devices::make_test_device(kind, wiring)) {
        const sim::Duration latency = part.memory ? timing.device_mmio : timing.device_io;
        devices_.push_back(
            std::make_unique<Mapped>(part.name, std::move(part.device), board_, latency));
        auto& bus = part.memory ? board_.memory_bus : board_.io_bus;
        bus.map({part.name, part.base, part.size}, devices_.back()->target.socket);
    }
}

/// A wire to the I/O APIC's pin and, where there is one of that number, to the 8259A's input.
devices::InterruptLine& TestDevices::line(unsigned pin) {
    pins_.push_back(std::make_unique<IoApicPin>(board_.io_apic, pin));
    if (pin < pic_inputs_.size()) pins_.back()->set_branch(pic_inputs_[pin].get());
    return *pins_.back();
}

void TestDevices::add_pic() {
    lint_ = std::make_unique<Lint>(board_);
    pic_ = std::make_unique<devices::I8259Pair>(kPicMasterVector, kPicSlaveVector, lint_.get());
    for (unsigned input = 0; input < devices::I8259Pair::kInputs; ++input)
        pic_inputs_.push_back(std::make_unique<devices::I8259Input>(*pic_, input));
    for (IoApicPin* pin : {&board_.uart_pin, &board_.rtc_pin, &board_.sci_pin})
        pin->set_branch(pic_inputs_[pin->pin()].get());
    pic_target_ = std::make_unique<devices::tlm_shell::RegisterTarget>(
        "pic", *pic_, board_.time, board_.scenario.timing.device_io);
    using devices::I8259Pair;
    board_.io_bus.map({"pic_master", kPicMasterPort, 2, I8259Pair::kMaster}, pic_target_->socket);
    board_.io_bus.map({"pic_slave", kPicSlavePort, 2, I8259Pair::kSlave}, pic_target_->socket);
    board_.io_bus.map({"pic_edge_level", kEdgeLevelPort, 2, I8259Pair::kEdgeLevel},
                      pic_target_->socket);
    board_.buses.front()->on_acknowledge = [this](sim::Time now) { return pic_->acknowledge(now); };
}

void TestDevices::prepare() {
    if (pic_ == nullptr) return;
    constexpr std::uint32_t kSpurious = 0xf0, kLint0 = 0x350, kLint1 = 0x360;
    apic::LocalApic& apic = *board_.apics.front();
    apic.mmio_write(kSpurious, 4, 0x1ff, 0);
    apic.mmio_write(kLint0, 4, static_cast<std::uint32_t>(apic::DeliveryMode::ext_int) << 8, 0);
    apic.mmio_write(kLint1, 4, static_cast<std::uint32_t>(apic::DeliveryMode::nmi) << 8, 0);
}

void TestDevices::add_edu() {
    pci_ = std::make_unique<PciBoard>(board_, line(kEduInterruptLine));
    if (board_.iommu_shell)
        board_.iommu_shell->add_device(kEdu, pci_->dma.socket);
    else
        pci_->dma.socket.bind(board_.memory_bus.initiators);
}

void TestDevices::exit(std::uint32_t code, sim::Time now) {
    board_.end(MachineEnd::exit, now, fmt::format("exit code {}", code), code);
}

}  // namespace hvsim::app
