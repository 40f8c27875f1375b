#pragma once
// What a scenario demands of a run's statistics: "hv.partition2.vp*.timer_messages > 0".
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/run_result.h"

namespace hvsim::app {

/// A comparison of one statistic, or of a sum of several, with a number.
class StatisticDemand {
  public:
    enum class Comparison : std::uint8_t { equal, unequal, less, at_most, more, at_least };

    /// "NAME COMPARISON NUMBER", COMPARISON one of == != < <= > >=, NUMBER a decimal integer. In
    /// the name `*` stands for any characters but a dot. Throws sim::ConfigError, without a
    /// location, for anything else.
    explicit StatisticDemand(std::string_view text);

    const std::string& name() const noexcept { return name_; }
    /// The sum of the statistics that the name means; nullopt when it means none. A sum beyond 64
    /// bits is the greatest number.
    std::optional<std::uint64_t> found_in(const std::vector<analysis::Statistic>& statistics) const;
    bool holds(std::uint64_t value) const noexcept;

  private:
    std::string name_;
    Comparison comparison_ = Comparison::equal;
    std::uint64_t number_ = 0;
};

/// The statistic whose name is nearest to `name`; empty when none is near enough to be meant.
std::string nearest_statistic(const std::string& name,
                              const std::vector<analysis::Statistic>& statistics);

}  // namespace hvsim::app
