#pragma once
// What the numbers in a trace are called: exit reasons, hypercall codes, register numbers. The
// tables travel in the trace file, so that a file can be read without the program that wrote it.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sim/event.h"

namespace hvsim::sim {

/// Names of argument values, by (event kind, argument index). Ordered, so a file with the same
/// names has the same bytes.
class TraceNames {
  public:
    struct Argument {
        std::uint8_t kind = 0;   ///< index into the file's event table
        std::uint8_t index = 0;  ///< 0 to 3
        auto operator<=>(const Argument&) const = default;
    };
    using Values = std::map<std::uint64_t, std::string>;

    void add(EventKind kind, unsigned index, std::uint64_t value, std::string_view name) {
        add(Argument{static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(index)}, value,
            name);
    }
    void add(Argument argument, std::uint64_t value, std::string_view name) {
        tables_[argument][value] = name;
    }
    /// The value's name; empty when it has none.
    std::string_view find(std::uint8_t kind, unsigned index, std::uint64_t value) const {
        const auto table = tables_.find(Argument{kind, static_cast<std::uint8_t>(index)});
        if (table == tables_.end()) return {};
        const auto name = table->second.find(value);
        return name == table->second.end() ? std::string_view{} : std::string_view{name->second};
    }
    std::string_view find(EventKind kind, unsigned index, std::uint64_t value) const {
        return find(static_cast<std::uint8_t>(kind), index, value);
    }
    const std::map<Argument, Values>& tables() const noexcept { return tables_; }

    bool operator==(const TraceNames&) const = default;

  private:
    std::map<Argument, Values> tables_;
};

}  // namespace hvsim::sim
