#pragma once
// The parameters of a sweep and the cross product of their values.
#include <string>
#include <string_view>
#include <vector>

#include "analysis/sweep/results.h"

namespace hvsim::app {

/// A key of the scenario and the values it takes.
struct Parameter {
    std::string key;
    std::vector<std::string> values;
};

/// "host.iommu.iotlb_entries=16,64,256". Commas within quotes, brackets or braces part no values.
/// Throws sim::ConfigError where there is no key, no value, or a value twice.
Parameter parse_parameter(std::string_view text);

/// All points, the last parameter's values changing fastest. Throws sim::ConfigError for two
/// parameters of one key, or more than kMostPoints.
inline constexpr std::size_t kMostPoints = 100'000;
std::vector<analysis::Settings> cross_product(const std::vector<Parameter>& parameters);

/// A point's settings as options of --set: "host.processors=4".
std::vector<std::string> options_of(const analysis::Settings& settings);

}  // namespace hvsim::app
