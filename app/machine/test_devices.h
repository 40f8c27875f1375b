#pragma once
// The devices of [[test_device]] on the board.
#include <memory>
#include <vector>

#include "app/machine/board.h"
#include "devices/i8259.h"
#include "devices/testing/debug_exit.h"

namespace hvsim::app {

class TestDevices final : private devices::ExitControl {
  public:
    /// Maps them; before the simulation starts.
    explicit TestDevices(Board& board);
    ~TestDevices() override;

    /// What firmware does before it hands over: with an 8259A, the first processor's local APIC is
    /// enabled with LINT0 as its input (virtual wire mode) and LINT1 as NMI.
    void prepare();

  private:
    struct Mapped;
    void add(TestDeviceKind kind);
    void add_pic();
    void add_edu();
    devices::InterruptLine& line(unsigned pin);
    void exit(std::uint32_t code, sim::Time now) override;

    class Lint;
    struct PciBoard;

    Board& board_;
    std::unique_ptr<devices::I8259Pair> pic_;
    std::unique_ptr<Lint> lint_;
    std::unique_ptr<devices::tlm_shell::RegisterTarget> pic_target_;
    std::vector<std::unique_ptr<devices::I8259Input>> pic_inputs_;
    std::vector<std::unique_ptr<IoApicPin>> pins_;
    std::unique_ptr<PciBoard> pci_;
    std::vector<std::unique_ptr<Mapped>> devices_;
};

}  // namespace hvsim::app
