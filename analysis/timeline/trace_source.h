#pragma once
// A trace file's events in this program's own terms. A file carries its own event table, which
// another version of the program may have written: kinds and arguments are found by their names.
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/trace_reader.h"

namespace hvsim::analysis {

/// Reads a trace once, from its beginning to its end, in memory that does not grow with it.
class TraceSource {
  public:
    /// Throws ConfigError when the file is no trace, cannot be opened or has a broken header.
    explicit TraceSource(const std::filesystem::path& file);

    /// The next event in the file's order: `kind` is this program's, arguments stand where its
    /// table has them. Events of kinds that this program does not know are left out.
    std::optional<sim::Event> next();

    /// Scenario, version and start date as the file has them, and its own event table.
    const sim::TraceInfo& info() const noexcept { return reader_.info(); }
    /// Names of argument values, by this program's kinds and arguments.
    const sim::TraceNames& names() const noexcept { return names_; }
    /// The name of a value, or the value as hexadecimal number.
    std::string name_of(sim::EventKind kind, unsigned index, std::uint64_t value) const;
    /// Whether the file can hold events of a kind at all.
    bool has(sim::EventKind kind) const noexcept { return known_[static_cast<std::size_t>(kind)]; }

    /// The run's report as JSON, after the last event; empty: the run did not come to its end.
    const std::string& result() const noexcept { return reader_.result(); }
    sim::TraceStatus status() const noexcept { return reader_.status(); }
    /// What to tell about the end of a trace that has been read: empty when it is whole.
    std::string end_text() const;
    std::uint64_t events() const noexcept { return events_; }    ///< given so far
    std::uint64_t unknown() const noexcept { return unknown_; }  ///< left out so far

  private:
    static constexpr std::uint8_t kNone = 0xff;
    /// Where a kind of the file and its arguments stand in this program's table.
    struct Place {
        std::uint8_t kind = kNone;
        bool same = true;  ///< every argument stands where it stood
        std::array<std::uint8_t, 4> arguments{kNone, kNone, kNone, kNone};
    };
    void map_kinds();

    sim::TraceReader reader_;
    sim::TraceNames names_;
    std::vector<Place> places_;  // by the file's kind
    std::array<bool, static_cast<std::size_t>(sim::EventKind::kCount)> known_{};
    std::uint64_t events_ = 0;
    std::uint64_t unknown_ = 0;
};

}  // namespace hvsim::analysis
