#pragma once
// Reads a trace file (sim/trace_format.h). A file is foreign input: nothing in it is believed
// unchecked, and what is wrong with it is a value.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sim/trace_format.h"

namespace hvsim::sim {

enum class TraceProblem : std::uint8_t {
    cannot_open,       ///< no such file, or not readable
    foreign,           ///< not a trace file
    other_version,     ///< a trace file of a version this program does not know
    truncated_header,  ///< ends within its header
    damaged_header,    ///< the header's checksum or form is wrong
};
/// One sentence for people.
std::string_view to_string(TraceProblem problem);

enum class TraceStatus : std::uint8_t {
    reading,    ///< there may be more events
    complete,   ///< all events were given, and the file has its end mark
    truncated,  ///< the file ends early; all whole events before that were given
    damaged,    ///< bytes that no writer writes; events before them were given
};

class TraceReader {
  public:
    static std::variant<TraceReader, TraceProblem> open(const std::filesystem::path& path);
    TraceReader(TraceReader&&) noexcept;
    TraceReader& operator=(TraceReader&&) noexcept;
    ~TraceReader();

    const TraceInfo& info() const noexcept { return info_; }
    /// The next event in the file's order, or nothing: status() then says why. The kind is an index
    /// into info().events, which need not be this program's own table.
    std::optional<Event> next();
    /// The code bytes at the RIP of the event that next() has given last; null where there are
    /// none. Valid until the next call.
    const Code* code() const noexcept { return code_; }
    /// From now on blocks that hold no event in [from, to] are not decompressed. Events outside the
    /// range that share a block with others are still given.
    void limit_to(Time from, Time to) noexcept {
        from_ = from;
        to_ = to;
    }
    TraceStatus status() const noexcept { return status_; }
    /// The run's report as JSON, once status() is `complete`; empty: the file has none.
    const std::string& result() const noexcept { return result_; }

  private:
    struct Decompressor;

    TraceReader(std::ifstream file, std::uint64_t size);
    std::optional<TraceProblem> read_header();
    bool read_exactly(std::size_t size, std::vector<std::uint8_t>& out);
    /// Makes the next wanted block the current one; false at the end or when something is wrong.
    bool next_block();
    bool block_header(std::uint32_t& compressed);
    bool decompress(std::uint32_t compressed);
    bool check_end();
    bool read_result();
    bool stop(TraceStatus status) noexcept;
    bool take_codes();
    const Code* find_code(const Event& event) const;

    TraceInfo info_;
    std::ifstream file_;
    std::uint64_t size_ = 0;    // of the file
    std::uint64_t offset_ = 0;  // of the next byte to read
    std::unique_ptr<Decompressor> decompressor_;
    std::vector<std::uint8_t> input_;
    std::vector<std::uint8_t> block_;
    TraceContext context_;
    std::unordered_map<std::uint64_t, Code> codes_;  // of the current block, by RIP
    const Code* code_ = nullptr;
    std::size_t block_position_ = 0;
    std::uint32_t block_left_ = 0;  // events of the current block not yet given
    bool cut_ = false;              // the current block's frame ends early
    Time block_least_ = 0;
    Time block_greatest_ = 0;
    Time from_ = 0;
    Time to_ = kNever;
    TraceStatus status_ = TraceStatus::reading;
    std::string result_;
};

}  // namespace hvsim::sim
