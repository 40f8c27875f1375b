#pragma once
// What is looked for in a console's lines: plain text, or after "re:" an ECMAScript regular
// expression.
#include <memory>
#include <regex>
#include <string>
#include <string_view>

namespace hvsim::app {

class Pattern {
  public:
    /// Throws sim::ConfigError (without a place) for a malformed regular expression.
    explicit Pattern(std::string text);

    /// Whether `line` (without its line end) has the pattern somewhere.
    bool found_in(std::string_view line) const;
    const std::string& text() const noexcept { return text_; }

  private:
    std::string text_;
    std::shared_ptr<const std::regex> expression_;
};

}  // namespace hvsim::app
