#pragma once
// Text that a guest or a foreign file wrote, for formats that want valid UTF-8.
#include <string>
#include <string_view>

namespace hvsim::analysis {

/// `text` with U+FFFD for each byte that is no part of a valid UTF-8 sequence (RFC 3629) and for
/// control characters other than a tab.
std::string valid_utf8(std::string_view text);

}  // namespace hvsim::analysis
