#pragma once
#include <string>
#include <string_view>

namespace hvsim::app {

/// Text that XML 1.0 (section 2.2) can hold: bytes that are not UTF-8, and characters that may not
/// stand in a document, become U+FFFD. Markup is not touched.
std::string xml_text(std::string_view text);

}  // namespace hvsim::app
