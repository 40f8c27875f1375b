#include "app/sweep/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sim/error.h"

extern char** environ;

namespace hvsim::app {

pid_t start_process(const std::vector<std::string>& words, const std::filesystem::path& output,
                    const std::filesystem::path& messages) {
    const auto name = [](const std::filesystem::path& file) {
        return file.empty() ? "/dev/null" : file.c_str();
    };
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, name(output), kFlags, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, name(messages), kFlags, 0644);
    // A Ctrl-C at the terminal reaches the parent alone, which then ends its children.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t process = 0;
    const int error =
        ::posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        throw sim::ConfigError(fmt::format("cannot start {}: {}", words[0], std::strerror(error)));
    return process;
}

ProcessEnd process_end(int status) {
    if (WIFEXITED(status)) return {WEXITSTATUS(status), {}};
    const int signal = WTERMSIG(status);
    return {-1, fmt::format("ended by signal {} ({})", signal, ::strsignal(signal))};
}

std::optional<std::string> text_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

ProcessOutput run_process(const std::vector<std::string>& words,
                          const std::filesystem::path& folder) {
    const std::filesystem::path output = folder / "output", messages = folder / "messages";
    const pid_t process = start_process(words, output, messages);
    int status = 0;
    while (::waitpid(process, &status, 0) < 0)
        if (errno != EINTR) throw sim::ConfigError("cannot wait for " + words[0]);
    return {process_end(status), text_of(output).value_or(""), text_of(messages).value_or("")};
}

}  // namespace hvsim::app
