#pragma once
// A trace's events as text: one line each, aligned.
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "sim/trace_format.h"

namespace hvsim::analysis {

/// Whether people count an argument of that name in tens; other numbers are better read in
/// hexadecimal.
bool is_decimal_argument(std::string_view name);

/// Which events are wanted; what is not set lets everything through.
struct TraceFilter {
    sim::Time from = 0;
    sim::Time to = sim::kNever;
    std::optional<std::uint16_t> lp;
    std::optional<std::uint16_t> partition;
    std::optional<std::uint16_t> vp;
    std::set<std::uint8_t> kinds;  ///< indices into the file's event table; empty = all

    bool wants(const sim::Event& event) const;
};

/// Writes events as lines: time in seconds, the distance to the line before in microseconds, who,
/// what, arguments (hexadecimal, by name where the trace names the value; times and sizes decimal).
class TraceText {
  public:
    /// `info` must outlive this object.
    explicit TraceText(const sim::TraceInfo& info);
    /// How code bytes at an RIP are written as an instruction; without it they are not written.
    using Disassembler = std::function<std::string(const sim::Code& code, std::uint64_t rip)>;
    void set_disassembler(Disassembler disassembler) { disassembler_ = std::move(disassembler); }

    /// The two lines above the first event.
    std::string heading() const;
    /// `code`: at the event's RIP; may be null.
    std::string line(const sim::Event& event, const sim::Code* code = nullptr);

  private:
    std::string argument(const sim::Event& event, unsigned index) const;

    const sim::TraceInfo& info_;
    Disassembler disassembler_;
    std::size_t name_width_ = 0;
    std::optional<sim::Time> last_;
};

}  // namespace hvsim::analysis
