#pragma once
// Sources of console input: the scenario's own typing, a recording, several together.
#include <filesystem>
#include <fstream>
#include <vector>

#include "app/pattern.h"
#include "app/run.h"

namespace hvsim::app {

/// Types the texts of a scenario's [[console.input]]: the byte with index i of a text, from 0,
/// comes pace * (i + 1) after the byte that completed its pattern.
class ScriptedInput : public ConsoleInput {
  public:
    explicit ScriptedInput(const Scenario& scenario);

    /// A byte that the console printed.
    void on_byte(std::size_t console, std::uint8_t byte, sim::Time time);
    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t console) const override;

  private:
    struct Entry {
        Pattern after;
        std::string text;
        sim::Duration pace;
    };
    struct Script {
        std::vector<Entry> entries;
        std::size_t current = 0;      // entry that is waited for or typed
        std::size_t typed = 0;        // bytes of it
        sim::Time due = sim::kNever;  // of the next byte; kNever while waiting
        std::string line;             // printed since the last line end or typed text
    };

    std::vector<Script> scripts_;  // by console
};

/// A recording of keys, as text: a head line, then "TIME CONSOLE BYTE" a line, TIME in picoseconds
/// and BYTE as two hexadecimal digits.
inline constexpr std::string_view kRecordingHead = "hvsim console input 1";

/// Hands on another source's bytes and writes them down.
class RecordingInput : public ConsoleInput {
  public:
    /// `source` is not owned. Throws sim::ConfigError when the file cannot be made.
    RecordingInput(ConsoleInput& source, const std::filesystem::path& file);

    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t console) const override {
        return source_.next_deadline(console);
    }

  private:
    ConsoleInput& source_;
    std::ofstream out_;
};

/// Gives a recording's bytes at their times.
class ReplayedInput : public ConsoleInput {
  public:
    /// Throws sim::ConfigError with the line for a file that is no recording.
    ReplayedInput(const std::filesystem::path& file, std::size_t consoles);

    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t console) const override;
    /// The time of the last byte.
    sim::Time end() const noexcept { return end_; }

  private:
    struct Key {
        sim::Time time;
        std::uint8_t byte;
    };
    struct Queue {
        std::vector<Key> keys;
        std::size_t next = 0;
    };
    std::vector<Queue> queues_;  // by console
    sim::Time end_ = 0;
};

/// Lets a source that cannot say when a byte comes (a keyboard), or a recording of it, be asked
/// each millisecond for console 0. Both need it: when a machine is asked must be the same in both
/// runs.
class PolledInput : public ConsoleInput {
  public:
    static constexpr sim::Duration kPeriod = sim::kMillisecond;

    /// `source` is not owned.
    explicit PolledInput(ConsoleInput& source) : source_(source) {}
    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t console) const override;

  private:
    ConsoleInput& source_;
    sim::Time due_ = 0;
};

/// Asks its sources (not owned) in turn.
class CombinedInput : public ConsoleInput {
  public:
    void add(ConsoleInput& source) { sources_.push_back(&source); }
    std::optional<std::uint8_t> next(std::size_t console, sim::Time now) override;
    sim::Time next_deadline(std::size_t console) const override;

  private:
    std::vector<ConsoleInput*> sources_;
};

}  // namespace hvsim::app
