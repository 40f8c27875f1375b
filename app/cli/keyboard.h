#pragma once
// The host's keyboard as console input.
#include <termios.h>
#include <cstdint>
#include <optional>

#include "app/run.h"

namespace hvsim::app {

/// Reads the process's standard input without waiting. A terminal is switched to single keys
/// without echo, Ctrl-C included, for the lifetime of this object. Ctrl-A x sets the quit flag,
/// Ctrl-A Ctrl-A is a single Ctrl-A.
class Keyboard : public ConsoleInput {
  public:
    Keyboard();
    ~Keyboard() override;
    Keyboard(const Keyboard&) = delete;
    Keyboard& operator=(const Keyboard&) = delete;

    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t) const override { return sim::kNever; }
    bool wants_quit() const noexcept { return quit_; }

  private:
    std::optional<termios> saved_;
    bool escape_ = false;
    bool quit_ = false;
    bool closed_ = false;
};

}  // namespace hvsim::app
