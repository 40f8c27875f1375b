#pragma once
// Statistics are plain counters in the models; a model lists them, with unit and description, when
// a report asks. The order of the list is the order in the report.
#include <cstdint>
#include <string_view>

namespace hvsim::sim {

class StatisticsSink {
  public:
    virtual ~StatisticsSink() = default;
    /// `name`: dotted path ("hv.exits.cpuid"); `unit`: "count", "bytes", "ps", ...
    virtual void add(std::string_view name, std::uint64_t value, std::string_view unit,
                     std::string_view description) = 0;
};

/// Something that has statistics to list.
class StatisticsSource {
  public:
    virtual ~StatisticsSource() = default;
    virtual void collect(StatisticsSink& sink) const = 0;
};

}  // namespace hvsim::sim
