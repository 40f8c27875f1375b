#include "sim/error.h"

#include <fmt/format.h>

#include <cstring>

namespace hvsim::sim {
namespace {

std::string with_location(const SourceLocation& where, const std::string& problem) {
    if (where.file.empty()) return problem;
    if (where.line == 0) return fmt::format("{}: {}", where.file, problem);
    return fmt::format("{}:{}:{}: {}", where.file, where.line, where.column, problem);
}

}  // namespace

ConfigError::ConfigError(SourceLocation where, const std::string& problem, std::string hint)
    : std::runtime_error(with_location(where, problem)),
      where_(std::move(where)),
      hint_(std::move(hint)) {}

void assertion_failed(const char* expression, const char* file, int line) {
    const char* name = std::strrchr(file, '/');
    throw ModelError(fmt::format("model invariant broken: {} ({}:{})", expression,
                                 name ? name + 1 : file, line));
}

}  // namespace hvsim::sim
