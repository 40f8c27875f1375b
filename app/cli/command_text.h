#pragma once
// Command lines of this program as text, to be shown or run.
#include <string>
#include <string_view>
#include <vector>

namespace hvsim::app {

/// In single quotes where a shell would take it for anything but one word.
std::string shell_word(std::string_view word);
std::string shell_words(const std::vector<std::string>& words);

}  // namespace hvsim::app
