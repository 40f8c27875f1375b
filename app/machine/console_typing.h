#pragma once
// What is typed on the bare machine's console.
#include "app/run.h"
#include "devices/uart16550.h"
#include "sim/clocked.h"

namespace hvsim::app {

/// Puts the bytes of a console input on the UART's receive line when their time has come. Owns
/// neither.
class ConsoleTyping final : public sim::Clocked {
  public:
    ConsoleTyping(ConsoleInput& input, devices::Uart16550& uart) : input_(input), uart_(uart) {}

    sim::Time next_deadline() const noexcept override { return input_.next_deadline(kConsole); }
    void advance_to(sim::Time now) override {
        while (const auto byte = input_.next(kConsole, now)) uart_.queue_input({&*byte, 1}, now);
    }

  private:
    static constexpr std::size_t kConsole = 0;
    ConsoleInput& input_;
    devices::Uart16550& uart_;
};

}  // namespace hvsim::app
