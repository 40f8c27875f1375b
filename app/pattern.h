#pragma once
// What is looked for on a console. Plain text counts as soon as its last byte was printed (a prompt
// has no line end); after "re:" stands an ECMAScript regular expression, which is held against
// whole lines once they end.
#include <memory>
#include <regex>
#include <string>
#include <string_view>

namespace hvsim::app {

class Pattern {
  public:
    /// Throws sim::ConfigError (without a place) for a malformed regular expression.
    explicit Pattern(std::string text);

    /// Whether the byte that was just printed completes the pattern. `line`: what was printed since
    /// the last line end; `finished`: the byte was a line end (which is not part of `line`).
    bool completed_by(std::string_view line, bool finished) const;
    const std::string& text() const noexcept { return text_; }

  private:
    std::string text_;
    std::shared_ptr<const std::regex> expression_;
};

}  // namespace hvsim::app
