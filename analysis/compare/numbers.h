#pragma once
// A result's numbers by name, so that two results can be held against each other.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/run_result.h"

namespace hvsim::analysis {

enum class NumberGroup : std::uint8_t { total, table, distribution, statistic };

struct Number {
    NumberGroup group = NumberGroup::total;
    std::string name;  ///< "virtual_time", "vm_exits.CPUID.count", "lp0.guest"
    std::uint64_t value = 0;
    std::string unit;
};

/// All of them, in the report's order. The table of what engines' caches do is left out: it is no
/// part of what a run did, and is only there with a trace of level walk.
std::vector<Number> numbers_of(const RunResult& result);

/// Whether a golden keeps the number: totals, how often processors exited, called, faulted and were
/// interrupted, and what the models counted, unless it is zero.
bool is_key_number(const Number& number);

std::string_view to_string(NumberGroup group);

/// A number that two runs do not share; one that a run does not name is zero there.
struct NumberDifference {
    std::string name;
    std::string unit;
    std::uint64_t a = 0, b = 0;
};

/// Numbers of one run, and which of all there are: a golden has the key numbers alone, a trace what
/// can be counted from events.
struct NumberSet {
    std::vector<Number> numbers;
    bool keys_only = false;
    bool events_only = false;
};

/// What has other values, as far as both sides tell of it; the greatest relative difference first.
std::vector<NumberDifference> differing_numbers(const NumberSet& a, const NumberSet& b);

/// "+12.5 %", "new", "gone".
std::string relative_text(const NumberDifference& difference);
/// The distance with its sign, in the number's unit: "+1,234", "-2.500 us".
std::string absolute_text(const NumberDifference& difference);

}  // namespace hvsim::analysis
