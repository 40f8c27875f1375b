#include <csignal>

#include <unistd.h>
#include <chrono>
#include <iostream>

#include "app/cli/program.h"

namespace {

// A signal handler can reach nothing else.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int signal) {
    g_interrupted.store(true);
    std::signal(signal, SIG_DFL);  // a second Ctrl-C ends the program at once
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
    std::ios::sync_with_stdio(false);
    const Surroundings surroundings{std::cout,
                                    std::cerr,
                                    {run_machine, trace_names, library_versions},
                                    wall_clock_ns,
                                    ::isatty(STDOUT_FILENO) != 0,
                                    ::isatty(STDERR_FILENO) != 0,
                                    &g_interrupted};
    return run_program({argv + 1, argv + argc}, surroundings);
}
