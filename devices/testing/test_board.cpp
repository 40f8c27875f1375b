#include "devices/testing/test_board.h"

#include "devices/testing/test_device.h"

namespace hvsim::devices {
namespace {

constexpr std::uint64_t kDebugExitPort = 0xf4, kLatchPort = 0xe0, kFlushPort = 0xe4,
                        kByteLatchPort = 0xe8, kFwCfgPort = 0x510, kInterruptPorts = 0x2000,
                        kHypervTestPort = 0x3000;
constexpr std::uint64_t kTestMemory = 0xff000000;

void add_ports(std::vector<TestPart>& parts, const char* name, std::uint64_t base,
               std::uint64_t size, std::unique_ptr<RegisterDevice> device) {
    parts.push_back({name, false, base, size, std::move(device)});
}

void add_testdev(std::vector<TestPart>& parts, const TestBoard& board) {
    add_ports(parts, "test_latch", kLatchPort, TestLatch::kPorts, std::make_unique<TestLatch>(4));
    add_ports(parts, "test_flush", kFlushPort, TestFlushPort::kPorts,
              std::make_unique<TestFlushPort>());
    add_ports(parts, "test_byte_latch", kByteLatchPort, TestLatch::kPorts,
              std::make_unique<TestLatch>(1));
    add_ports(parts, "test_interrupts", kInterruptPorts, board.lines.size(),
              std::make_unique<TestInterruptPorts>(board.lines));
    parts.push_back(
        {"test_memory", true, kTestMemory, TestMemory::kSize, std::make_unique<TestMemory>()});
}

}  // namespace

std::vector<TestPart> make_test_device(TestDeviceKind kind, const TestBoard& board) {
    std::vector<TestPart> parts;
    switch (kind) {
        case TestDeviceKind::debug_exit:
            add_ports(parts, "debug_exit", kDebugExitPort, DebugExit::kPorts,
                      std::make_unique<DebugExit>(*board.exit));
            break;
        case TestDeviceKind::testdev:
            add_testdev(parts, board);
            break;
        case TestDeviceKind::fw_cfg:
            add_ports(parts, "fw_cfg", kFwCfgPort, FwCfg::kPorts,
                      std::make_unique<FwCfg>(board.machine));
            break;
        case TestDeviceKind::hyperv_testdev:
            add_ports(parts, "hyperv_testdev", kHypervTestPort, HypervTestPort::kPorts,
                      std::make_unique<HypervTestPort>(board.synic));
            break;
        case TestDeviceKind::pic:
        case TestDeviceKind::edu:
            break;
    }
    return parts;
}

}  // namespace hvsim::devices
