#pragma once
// Numbers as a report for people writes them.
#include <cstdint>
#include <string>
#include <string_view>

namespace hvsim::analysis {

/// 1234567 -> "1,234,567".
std::string grouped(std::uint64_t value);
/// Four significant digits and a fitting unit, rounded half up: "12.35 us".
std::string duration_text(std::uint64_t picoseconds);
/// "64.00 MiB"; below 1 KiB the exact number: "512 B".
std::string size_text(std::uint64_t bytes);
/// By unit: "ps" as duration, "bytes" as size, "count" and any other grouped.
std::string value_text(std::uint64_t value, std::string_view unit);
/// Seconds with all twelve decimals: "1.234567890123".
std::string exact_seconds(std::uint64_t picoseconds);

}  // namespace hvsim::analysis
