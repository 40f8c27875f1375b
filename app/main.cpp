#include <csignal>
#include <cstdlib>

#include <unistd.h>
#include <chrono>
#include <iostream>

#include "app/cli/program.h"

namespace {

// A signal handler can reach nothing else.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// For a run that does not come to the place where it looks at the flag.
constexpr unsigned kPatienceSeconds = 10;

extern "C" void on_interrupt(int signal) {
    g_interrupted.store(true);
    std::signal(signal, SIG_DFL);  // a second Ctrl-C ends the program at once
    ::alarm(kPatienceSeconds);
}

extern "C" void on_alarm(int) {
    constexpr char kText[] = "hvsim: the run did not stop when it was interrupted\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
    std::_Exit(hvsim::app::kExitStopped);
}

std::uint64_t wall_clock_ns() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace

int main(int argc, char** argv) {
    using namespace hvsim::app;
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    std::signal(SIGALRM, on_alarm);
    std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit is like a full disk
    std::ios::sync_with_stdio(false);
    std::error_code unknown;
    const Surroundings surroundings{std::cout,
                                    std::cerr,
                                    {run_machine, trace_names, library_versions, processor_text},
                                    wall_clock_ns,
                                    ::isatty(STDOUT_FILENO) != 0,
                                    ::isatty(STDERR_FILENO) != 0,
                                    &g_interrupted,
                                    std::filesystem::read_symlink("/proc/self/exe", unknown)};
    return run_program({argv + 1, argv + argc}, surroundings);
}
