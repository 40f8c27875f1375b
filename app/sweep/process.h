#pragma once
// Other programs as child processes.
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hvsim::app {

/// Starts a program (looked up in PATH when its name has no slash) without input, its output and
/// messages into files; an empty name: /dev/null. Throws sim::ConfigError when it cannot be
/// started.
pid_t start_process(const std::vector<std::string>& words, const std::filesystem::path& output,
                    const std::filesystem::path& messages);

/// What waitpid() tells of an ended process: its exit code, or that a signal ended it.
struct ProcessEnd {
    int exit_code = -1;
    std::string reason;  ///< "ended by signal 9 (Killed)"; empty with an exit code
};
ProcessEnd process_end(int status);

/// Runs a program to its end and returns what it printed.
struct ProcessOutput {
    ProcessEnd end;
    std::string output, messages;
};
ProcessOutput run_process(const std::vector<std::string>& words,
                          const std::filesystem::path& folder);

/// The whole file, or nothing when it cannot be read.
std::optional<std::string> text_of(const std::filesystem::path& file);

}  // namespace hvsim::app
