#pragma once
// "Did you mean ...?"
#include <span>
#include <string>
#include <string_view>

namespace hvsim::app {

/// Edits (insert, delete, replace, swap neighbours) between two words.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The word nearest to `word`, the first among equals; empty when none is near enough to be meant
/// (more than a third of the letters, at least two, would have to change).
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

}  // namespace hvsim::app
