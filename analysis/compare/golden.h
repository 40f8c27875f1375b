#pragma once
// Goldens: small text files that say how a run came out (docs/golden.md explains the lines).
#include <filesystem>
#include <string>

#include "analysis/compare/run_record.h"

namespace hvsim::analysis {

inline constexpr std::string_view kGoldenMagic = "hvsim-golden";
inline constexpr int kGoldenVersion = 1;

/// The golden's whole text.
std::string golden_text(const RunRecord& run);

/// Whether the file begins as a golden does, whatever follows.
bool is_golden(const std::filesystem::path& file);
/// Throws ConfigError with the line for a file that is no golden, of another version, cut off or
/// malformed.
RunRecord read_golden(const std::filesystem::path& file);
RunRecord parse_golden(std::string_view text, const std::string& file);

}  // namespace hvsim::analysis
