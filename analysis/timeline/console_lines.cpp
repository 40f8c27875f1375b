#include "analysis/timeline/console_lines.h"

namespace hvsim::analysis {

void Timeline::Consoles::end_line(Console& console) {
    if (console.begun) listener_.on_console_line(console.line);
    console.line.text.clear();
    console.begun = false;
    console.escape = Escape::none;
}

void Timeline::Consoles::on_byte(const sim::Subject& subject, sim::Time time, std::uint8_t byte) {
    const std::uint64_t key =
        std::uint64_t{subject.partition} << 32 | std::uint64_t{subject.lp} << 16 | subject.vp;
    Console& console = consoles_[key];
    if (byte == '\n') return end_line(console);
    if (byte == '\r') return;
    // ECMA-48: ESC, then "[" and parameters up to a final byte, or one byte.
    switch (console.escape) {
        case Escape::begun:
            console.escape = byte == '[' ? Escape::sequence : Escape::none;
            return;
        case Escape::sequence:
            if (byte >= 0x40 && byte <= 0x7e) console.escape = Escape::none;
            return;
        case Escape::none:
            break;
    }
    if (byte == 0x1b) {
        console.escape = Escape::begun;
        return;
    }
    if (!console.begun) {
        console.line.subject = subject;
        console.line.begin = time;
        console.begun = true;
    }
    console.line.end = time;
    console.line.text += static_cast<char>(byte);
    if (console.line.text.size() == kLongestLine) end_line(console);
}

void Timeline::Consoles::finish() {
    for (auto& [key, console] : consoles_) end_line(console);
}

}  // namespace hvsim::analysis
