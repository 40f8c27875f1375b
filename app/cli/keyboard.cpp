#include "app/cli/keyboard.h"

#include <poll.h>
#include <unistd.h>

namespace hvsim::app {
namespace {

constexpr std::uint8_t kEscape = 1;  // Ctrl-A

}  // namespace

Keyboard::Keyboard() {
    termios mode{};
    if (::tcgetattr(STDIN_FILENO, &mode) != 0) return;
    saved_ = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    mode.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL | INLCR);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

Keyboard::~Keyboard() {
    if (saved_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*saved_);
}

std::optional<std::uint8_t> Keyboard::next(std::size_t console, sim::Time) {
    if (console != 0 || closed_) return std::nullopt;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 0) <= 0) return std::nullopt;
    std::uint8_t byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) != 1) {
        closed_ = true;
        return std::nullopt;
    }
    if (escape_) {
        escape_ = false;
        if (byte == 'x' || byte == 'X') quit_ = true;
        if (byte != kEscape) return std::nullopt;
        return byte;
    }
    if (byte == kEscape) {
        escape_ = true;
        return std::nullopt;
    }
    return byte;
}

}  // namespace hvsim::app
