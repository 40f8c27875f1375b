#pragma once
#include <string_view>

namespace hvsim::app {

/// The same as the build's project version; a test compares them.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace hvsim::app
