#pragma once
// Which test devices there are, and where on a board each of their parts lies. Whoever has the
// board maps them.
#include <cstdint>
#include <memory>
#include <vector>

#include "devices/interrupt_line.h"
#include "devices/register_device.h"
#include "devices/testing/debug_exit.h"
#include "devices/testing/fw_cfg.h"
#include "devices/testing/hyperv_test_port.h"

namespace hvsim::devices {

enum class TestDeviceKind : std::uint8_t { debug_exit, testdev, fw_cfg, pic, hyperv_testdev, edu };

/// What the devices are wired to; nothing is owned.
struct TestBoard {
    ExitControl* exit = nullptr;
    std::vector<InterruptLine*> lines;  ///< of the interrupt controller, by pin
    FwCfgConfig machine;
    SynicTestControl* synic = nullptr;  ///< nullptr: there is no SynIC
};

/// One part of a test device: a block of ports or of memory.
struct TestPart {
    const char* name = "";
    bool memory = false;
    std::uint64_t base = 0, size = 0;
    std::unique_ptr<RegisterDevice> device;
};

/// Nothing for pic and edu, which are parts of a whole board and not only registers.
std::vector<TestPart> make_test_device(TestDeviceKind kind, const TestBoard& board);

}  // namespace hvsim::devices
