#include "app/machine/test_devices.h"

#include <fmt/format.h>

#include "devices/testing/fw_cfg.h"
#include "devices/testing/hyperv_test_port.h"
#include "devices/testing/test_device.h"

namespace hvsim::app {
namespace {

constexpr std::uint64_t kDebugExitPort = 0xf4, kLatchPort = 0xe0, kFlushPort = 0xe4,
                        kByteLatchPort = 0xe8, kFwCfgPort = 0x510, kInterruptPorts = 0x2000,
                        kHypervTestPort = 0x3000;
constexpr std::uint64_t kTestMemory = 0xff000000;

}  // namespace

struct TestDevices::Mapped {
    Mapped(const char* name, std::unique_ptr<devices::RegisterDevice> registers, const Board& board,
           sim::Duration latency)
        : device(std::move(registers)), target(name, *device, board.time, latency) {}

    std::unique_ptr<devices::RegisterDevice> device;
    devices::tlm_shell::RegisterTarget target;
};

TestDevices::TestDevices(Board& board) : board_(board) {
    for (const TestDeviceConfig& device : board.scenario.test_devices) add(device.kind);
}

TestDevices::~TestDevices() = default;

void TestDevices::map_io(const char* name, std::unique_ptr<devices::RegisterDevice> device,
                         std::uint64_t base, std::uint64_t size) {
    devices_.push_back(std::make_unique<Mapped>(name, std::move(device), board_,
                                                board_.scenario.timing.device_io));
    board_.io_bus.map({name, base, size}, devices_.back()->target.socket);
}

void TestDevices::map_memory(const char* name, std::unique_ptr<devices::RegisterDevice> device,
                             std::uint64_t base, std::uint64_t size) {
    devices_.push_back(std::make_unique<Mapped>(name, std::move(device), board_,
                                                board_.scenario.timing.device_mmio));
    board_.memory_bus.map({name, base, size}, devices_.back()->target.socket);
}

void TestDevices::add(TestDeviceKind kind) {
    const Scenario& scenario = board_.scenario;
    switch (kind) {
        case TestDeviceKind::debug_exit: {
            devices::ExitControl& control = *this;
            return map_io("debug_exit", std::make_unique<devices::DebugExit>(control),
                          kDebugExitPort, devices::DebugExit::kPorts);
        }
        case TestDeviceKind::testdev:
            return add_test_board();
        case TestDeviceKind::fw_cfg: {
            devices::FwCfgConfig config;
            config.processors = static_cast<std::uint16_t>(scenario.host.processors);
            config.ram_bytes = scenario.host.ram;
            return map_io("fw_cfg", std::make_unique<devices::FwCfg>(config), kFwCfgPort,
                          devices::FwCfg::kPorts);
        }
        case TestDeviceKind::hyperv_testdev:
            return map_io("hyperv_testdev", std::make_unique<devices::HypervTestPort>(nullptr),
                          kHypervTestPort, devices::HypervTestPort::kPorts);
    }
}

void TestDevices::add_test_board() {
    std::vector<devices::InterruptLine*> lines;
    for (unsigned pin = 0; pin < board_.io_apic.entries(); ++pin) {
        pins_.push_back(std::make_unique<IoApicPin>(board_.io_apic, pin));
        lines.push_back(pins_.back().get());
    }
    map_io("test_latch", std::make_unique<devices::TestLatch>(4), kLatchPort,
           devices::TestLatch::kPorts);
    map_io("test_flush", std::make_unique<devices::TestFlushPort>(), kFlushPort,
           devices::TestFlushPort::kPorts);
    map_io("test_byte_latch", std::make_unique<devices::TestLatch>(1), kByteLatchPort,
           devices::TestLatch::kPorts);
    const std::size_t ports = lines.size();
    map_io("test_interrupts", std::make_unique<devices::TestInterruptPorts>(std::move(lines)),
           kInterruptPorts, ports);
    map_memory("test_memory", std::make_unique<devices::TestMemory>(), kTestMemory,
               devices::TestMemory::kSize);
}

void TestDevices::exit(std::uint32_t code, sim::Time now) {
    board_.end(MachineEnd::exit, now, fmt::format("exit code {}", code), code);
}

}  // namespace hvsim::app
