#pragma once
// An event's argument by its name, checked against the event table while compiling:
// argument<EventKind::kVmExit, "reason">(event).
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/event.h"

namespace hvsim::analysis {

/// A string as a template argument.
template <std::size_t size>
struct ArgumentName {
    // NOLINTNEXTLINE: implicit, so that a literal can stand there
    consteval ArgumentName(const char (&literal)[size]) {
        for (std::size_t i = 0; i < size; ++i) text[i] = literal[i];
    }
    constexpr std::string_view view() const { return {text, size - 1}; }
    char text[size]{};
};

/// Position of an event's argument; does not compile when the event has none of that name.
consteval unsigned argument_index(sim::EventKind kind, std::string_view name) {
    const auto& names = sim::describe(kind).arguments;
    for (unsigned i = 0; i < names.size(); ++i)
        if (names[i] == name) return i;
    throw "the event has no argument of this name";
}

/// The argument of an event of that kind; zero where the trace's events of it lack the argument.
template <sim::EventKind kind, ArgumentName name>
constexpr std::uint64_t argument(const sim::Event& event) {
    constexpr unsigned index = argument_index(kind, name.view());
    return event.arguments[index];
}

}  // namespace hvsim::analysis
