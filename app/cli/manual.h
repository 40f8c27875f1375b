#pragma once
// The command line's own description of itself, in the forms in which systems keep it.
#include <string>

namespace CLI {
class App;
}

namespace hvsim::app {

/// A script for bash that completes subcommands and options: `source` it, or install it as
/// share/bash-completion/completions/hvsim.
std::string bash_completion(const CLI::App& program);

/// A manual page in roff's man macros: hvsim(1) with an overview of the subcommands, or with
/// `command` that subcommand's page hvsim-command(1). Throws sim::ConfigError when there is none.
std::string manual_page(const CLI::App& program, const std::string& command);

}  // namespace hvsim::app
