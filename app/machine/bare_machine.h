#pragma once
// The server without a hypervisor: boot software on the logical processors themselves.
#include "app/machine/bare_processor.h"
#include "app/machine/board.h"
#include "app/machine/console_typing.h"
#include "app/machine/test_devices.h"

namespace hvsim::app {

class BareMachine {
  public:
    explicit BareMachine(Board& board);
    ~BareMachine();

    /// Loads the kernel as [boot] says, state of the first processor included.
    void boot();
    void collect(RunOutcome& outcome) const;
    std::uint64_t code_bytes() const;
    /// All processors wait for something that will not come, or are shut down.
    MachineOutcome idle_outcome() const;
    std::vector<analysis::ProcessorState> processors() const;
    /// Final registers and memory go into the digest.
    void finish();

  private:
    Board& board_;
    TestDevices test_devices_;
    std::unique_ptr<ConsoleTyping> typing_;
    std::unique_ptr<cpu::engine::EngineGroup> engines_;
    std::vector<std::unique_ptr<cpu::Core>> cores_;
    std::vector<std::unique_ptr<cpu::Virtualization>> extensions_;
    std::vector<std::unique_ptr<BareProcessor>> processors_;
};

}  // namespace hvsim::app
