#pragma once
// Three kinds of error: a guest's misbehaviour is a value (each room has its own type), a user's or
// host's is ConfigError, a bug of a model is a failed SIM_ASSERT.
#include <cstdint>
#include <stdexcept>
#include <string>

namespace hvsim::sim {

/// Where in a configuration file something stands; line and column count from 1, 0 = unknown.
struct SourceLocation {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// A wrong configuration, a missing file, a broken image: the user can mend it. Exit code 2.
class ConfigError : public std::runtime_error {
  public:
    /// `problem`: what is wrong and what was expected; `hint`: what to do about it (may be empty).
    ConfigError(SourceLocation where, const std::string& problem, std::string hint = {});
    explicit ConfigError(const std::string& problem, std::string hint = {})
        : ConfigError(SourceLocation{}, problem, std::move(hint)) {}

    const SourceLocation& where() const noexcept { return where_; }
    const std::string& hint() const noexcept { return hint_; }

  private:
    SourceLocation where_;
    std::string hint_;
};

/// A broken invariant of a model; never the guest's doing.
class ModelError : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace hvsim::sim

/// Always on, also in release builds. Throws ModelError: the composition root reports virtual time,
/// unit and the last events.
#define SIM_ASSERT(expression)           \
    ((expression) ? static_cast<void>(0) \
                  : ::hvsim::sim::assertion_failed(#expression, __FILE__, __LINE__))
