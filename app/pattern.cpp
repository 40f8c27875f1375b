#include "app/pattern.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace hvsim::app {
namespace {

constexpr std::string_view kExpressionMark = "re:";
// std::regex recurses once for each character it matches; a line longer than this would endanger
// the stack, and guests write the lines.
constexpr std::size_t kExpressionLine = 2048;

}  // namespace

Pattern::Pattern(std::string text) : text_(std::move(text)) {
    if (text_.empty()) throw sim::ConfigError("an empty pattern would match everything");
    if (text_.find('\n') != std::string::npos)
        throw sim::ConfigError("a pattern is looked for within one line");
    if (!text_.starts_with(kExpressionMark)) return;
    try {
        expression_ = std::make_shared<const std::regex>(text_.substr(kExpressionMark.size()));
    } catch (const std::regex_error& error) {
        throw sim::ConfigError(
            fmt::format("\"{}\" is not a regular expression: {}", text_, error.what()));
    }
}

bool Pattern::completed_by(std::string_view line, bool finished) const {
    if (!expression_) return !finished && line.ends_with(text_);
    if (!finished) return false;
    line = line.substr(0, kExpressionLine);
    try {
        return std::regex_search(line.begin(), line.end(), *expression_);
    } catch (const std::regex_error&) {
        return false;  // too complex for this line
    }
}

}  // namespace hvsim::app
