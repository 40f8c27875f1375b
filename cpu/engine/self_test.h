#pragma once

namespace hvsim::cpu::engine {

/// Runs once a process: proves on a scratch engine that the library reports what the engine layer
/// relies on. Throws ConfigError naming the library's version and the first thing that differs.
void prove_library();

}  // namespace hvsim::cpu::engine
