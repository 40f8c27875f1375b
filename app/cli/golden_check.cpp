#include "app/cli/golden_check.h"

#include <fmt/format.h>

#include "analysis/compare/comparison.h"
#include "analysis/compare/golden.h"
#include "analysis/quantity_text.h"
#include "app/cli/command_text.h"
#include "app/version.h"
#include "app/whole_file.h"

namespace hvsim::app {
namespace {

constexpr std::size_t kNumbersShown = 12;

/// This run's command line, as far as it decides what the run does.
std::vector<std::string> run_words(const RunArguments& arguments) {
    std::vector<std::string> words{"hvsim", "run", arguments.scenario.string()};
    for (const std::string& setting : arguments.set) words.insert(words.end(), {"--set", setting});
    for (const std::filesystem::path& folder : arguments.profiles)
        words.insert(words.end(), {"--profiles", folder.string()});
    if (!arguments.replay.empty())
        words.insert(words.end(), {"--replay", arguments.replay.string()});
    return words;
}

std::string trace_command_text(const RunArguments& arguments, const std::string& trace) {
    std::vector<std::string> words = run_words(arguments);
    words.insert(words.end(), {"--quiet", "--no-report", "--trace", trace});
    return shell_words(words);
}

}  // namespace

GoldenCheck::GoldenCheck(const RunArguments& arguments) : arguments_(arguments) {
    std::error_code error;
    const bool there = std::filesystem::exists(arguments.golden, error);
    if (!there && !arguments.update_golden)
        throw sim::ConfigError(fmt::format("there is no golden {}", arguments.golden.string()),
                               "--update-golden makes it");
    if (!there) return;
    try {
        golden_ = analysis::read_golden(arguments.golden);
    } catch (const sim::ConfigError&) {
        // A golden that cannot be read may be renewed, another file must not be overwritten.
        if (!arguments.update_golden || !analysis::is_golden(arguments.golden)) throw;
    }
}

std::vector<std::string> GoldenCheck::obstacles(const sim::RunInputs& inputs) const {
    if (!golden_ || arguments_.update_golden) return {};
    analysis::RunRecord run;
    run.file = "this run";
    run.program_version = kVersion;
    run.inputs = inputs;
    return analysis::why_not_comparable(*golden_, run);
}

Expectation GoldenCheck::check(const analysis::RunResult& result) {
    const std::string file = arguments_.golden.string();
    Expectation expected{fmt::format("the same as {}", file), {}};
    if (!golden_) return expected;
    const analysis::RunRecord run = analysis::record_of(result, "this run");
    difference_ = analysis::difference_of(*golden_, run);
    if (difference_.same()) return expected;
    std::string text = fmt::format("the run differs from {}", file);
    if (difference_.interval)
        text += fmt::format(", first {}", analysis::interval_text(*difference_.interval));
    else if (difference_.other_digest)
        text += ": the events are the same, registers or memory at its end are not";
    else if (difference_.other_end)
        text += fmt::format(": it ended with {}, the golden's with {}", run.end, golden_->end);
    else
        text += ": the events are the same, statistics are not";
    expected.failures.push_back(std::move(text));
    return expected;
}

std::string GoldenCheck::explanation() const {
    std::string text;
    if (!difference_.numbers.empty())
        text += "statistics that differ, the greatest difference first:\n" +
                analysis::numbers_text(difference_.numbers, "golden", "this run", kNumbersShown);
    if (!difference_.interval) return text;
    text +=
        "to see the event, record it with the program that made the golden, and with this one:\n";
    text +=
        fmt::format("  {}\n  {}\n  hvsim diff golden.trace this.trace\n",
                    trace_command_text(arguments_, "golden.trace"),
                    arguments_.trace.empty()
                        ? trace_command_text(arguments_, "this.trace")
                        : fmt::format("mv {} this.trace", shell_word(arguments_.trace.string())));
    std::vector<std::string> words = run_words(arguments_);
    words.insert(words.end(), {"--golden", arguments_.golden.string(), "--update-golden"});
    return text + fmt::format("if the difference is meant:\n  {}\n", shell_words(words));
}

std::string GoldenCheck::renew(const analysis::RunResult& result) const {
    const std::string file = arguments_.golden.string();
    write_whole_file(arguments_.golden,
                     analysis::golden_text(analysis::record_of(result, "this run")));
    if (!golden_) return fmt::format("{}: written", file);
    if (difference_.same()) return fmt::format("{}: renewed, the run is as it was", file);
    if (difference_.interval)
        return fmt::format("{}: renewed, the run differs first {}", file,
                           analysis::interval_text(*difference_.interval));
    return fmt::format("{}: renewed, the run differs", file);
}

}  // namespace hvsim::app
