#pragma once
// What the program's exit codes mean, for each subcommand: docs/ci.md has the table as
// `hvsim --exit-codes` prints it.
#include <array>
#include <string>
#include <string_view>

namespace hvsim::app {

/// Exit codes of the program.
enum ExitCode : int {
    kExitMet = 0,       ///< the run did what the scenario expects; or the command succeeded
    kExitUnmet = 1,     ///< it did not
    kExitConfig = 2,    ///< the command line, a file or the host is wrong
    kExitStopped = 3,   ///< the wall limit or a signal stopped the run
    kExitInternal = 4,  ///< a model's invariant is broken: a bug
};

/// One subcommand's meanings; an empty one: the subcommand never ends so.
struct ExitCodeRow {
    std::string_view command;
    std::array<std::string_view, 5> meanings;  ///< by code
};

inline constexpr std::string_view kWrongInput =
    "the command line, a file or the host is wrong: the message says what and where";
inline constexpr std::string_view kBug = "a model's invariant broke: a bug of hvsim";

inline constexpr std::array kExitCodes{
    ExitCodeRow{
        "run",
        {"the run met the scenario's expectations, and `--golden` if given",
         "it did not meet them, or differs from the golden",
         "the command line, a file or the host is wrong, or the golden is of another version "
         "or of other inputs: the message says what",
         "a signal, `--wall-limit` or the keyboard stopped the run", kBug}},
    ExitCodeRow{"diff",
                {"the runs are the same", "they differ",
                 "a file is wrong, or the runs cannot be compared: the output says why", "", ""}},
    ExitCodeRow{"report", {"the page is written", "", kWrongInput, "", ""}},
    ExitCodeRow{"export", {"written", "", kWrongInput, "", ""}},
    ExitCodeRow{"vmcs", {"printed", "", kWrongInput, "", ""}},
    ExitCodeRow{"sweep",
                {"every point met its expectations", "some points did not; the table says why",
                 kWrongInput, "interrupted; the same command goes on", kBug}},
    ExitCodeRow{"plot", {"drawn, or printed", "", kWrongInput, "", ""}},
    ExitCodeRow{"completion", {"printed", "", kWrongInput, "", ""}},
    ExitCodeRow{"manual", {"printed", "", kWrongInput, "", ""}},
    ExitCodeRow{"trace", {"printed", "", kWrongInput, "", ""}},
    ExitCodeRow{"scenario", {"printed; `--check`: no errors", "", kWrongInput, "", ""}},
};

/// The table as Markdown.
std::string exit_code_table();

}  // namespace hvsim::app
