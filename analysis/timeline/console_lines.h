#pragma once
// Lines of the guests' serial consoles.
#include <cstdint>
#include <map>

#include "analysis/timeline/timeline.h"

namespace hvsim::analysis {

class Timeline::Consoles {
  public:
    explicit Consoles(TimelineListener& listener) : listener_(listener) {}

    void on_byte(const sim::Subject& subject, sim::Time time, std::uint8_t byte);
    void finish();

  private:
    /// A guest may never end a line; longer ones are cut into several.
    static constexpr std::size_t kLongestLine = 4096;
    enum class Escape : std::uint8_t { none, begun, sequence };
    struct Console {
        ConsoleLine line;
        Escape escape = Escape::none;
        bool begun = false;
    };
    void end_line(Console& console);

    TimelineListener& listener_;
    std::map<std::uint64_t, Console> consoles_;  // by subject
};

}  // namespace hvsim::analysis
