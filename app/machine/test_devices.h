#pragma once
// The devices of [[test_device]] on the board.
#include <memory>
#include <vector>

#include "app/machine/board.h"
#include "devices/testing/debug_exit.h"

namespace hvsim::app {

class TestDevices final : private devices::ExitControl {
  public:
    /// Maps them; before the simulation starts.
    explicit TestDevices(Board& board);
    ~TestDevices() override;

  private:
    struct Mapped;
    void add(TestDeviceKind kind);
    /// Takes a device and maps it at `base`; `name` names its shell and the mapping.
    void map_io(const char* name, std::unique_ptr<devices::RegisterDevice> device,
                std::uint64_t base, std::uint64_t size);
    void map_memory(const char* name, std::unique_ptr<devices::RegisterDevice> device,
                    std::uint64_t base, std::uint64_t size);
    void add_test_board();
    void exit(std::uint32_t code, sim::Time now) override;

    Board& board_;
    std::vector<std::unique_ptr<IoApicPin>> pins_;
    std::vector<std::unique_ptr<Mapped>> devices_;
};

}  // namespace hvsim::app
