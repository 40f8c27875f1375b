#include "app/cli/rerun.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "app/cli/command_text.h"
#include "app/inputs.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Output {
    int status = -1;
    std::string text;
};

/// Runs a command; its output and its messages together.
Output output_of(const std::vector<std::string>& words) {
    struct Closer {
        int* status;
        void operator()(std::FILE* pipe) const { *status = ::pclose(pipe); }
    };
    Output output;
    {
        const std::string command = shell_words(words) + " 2>&1";
        std::unique_ptr<std::FILE, Closer> pipe(::popen(command.c_str(), "r"),
                                                Closer{&output.status});
        if (!pipe) return output;
        std::array<char, 4096> chunk{};
        while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe.get()))
            output.text.append(chunk.data(), size);
    }
    return output;
}

bool is_file(const sim::RunInput& input) {
    return input.role != "processor_model";
}

/// A file that is no longer what it was; empty: all are.
std::string changed_input(const sim::RunInputs& inputs) {
    for (const sim::RunInput& input : inputs.files) {
        if (!is_file(input)) continue;
        try {
            if (sha256_of_file(input.file) != input.sha256)
                return fmt::format("{} is not the file that it was in the run", input.file);
        } catch (const sim::ConfigError& error) {
            return error.what();
        }
    }
    return {};
}

std::vector<std::string> command_of(const analysis::RunRecord& run, const fs::path& program,
                                    std::uint64_t event) {
    std::vector<std::string> words{program.string(), "run"};
    for (const sim::RunInput& input : run.inputs->files) {
        if (input.role == "scenario")
            words.push_back(input.file);
        else if (input.role == "timing_profile")
            words.insert(words.end(), {"--profiles", fs::path(input.file).parent_path().string()});
        else if (input.role == "replay")
            words.insert(words.end(), {"--replay", input.file});
        else if (is_file(input) && input.role.find(".modules[") == std::string::npos)
            words.insert(words.end(),
                         {"--set", fmt::format("{}={}", input.role,
                                               Json(fs::absolute(input.file).string()).dump())});
    }
    for (const std::string& setting : run.inputs->settings)
        words.insert(words.end(), {"--set", setting});
    words.insert(words.end(), {"--quiet", "--no-report", "--state-at", fmt::format("{}", event)});
    return words;
}

bool is_event(const Json& json, const std::optional<sim::Event>& event) {
    return event && json.at("time_ps") == event->time &&
           json.at("event") == sim::describe(event->kind).name &&
           json.at("lp") == event->subject.lp && json.at("partition") == event->subject.partition &&
           json.at("vp") == event->subject.vp && json.at("arguments") == event->arguments;
}

void read_processors(const Json& root, analysis::ReplayedState& state) {
    for (const Json& processor : root.at("processors")) {
        analysis::ProcessorState& read = state.processors.emplace_back();
        read.name = processor.at("name").get<std::string>();
        for (const auto& [name, value] : processor.at("registers").items())
            read.registers.emplace_back(name, value.get<std::uint64_t>());
        read.code = processor.at("code").get<std::vector<std::string>>();
    }
}

std::string first_line(const std::string& text) {
    std::string line = text.substr(0, text.find('\n'));
    constexpr std::string_view kPrefix = "hvsim: ";
    if (line.starts_with(kPrefix)) line.erase(0, kPrefix.size());
    return line.empty() ? "the program did not start" : line;
}

analysis::ReplayedState rerun(const analysis::RunRecord& run,
                              const analysis::TraceDifference& traces, const fs::path& program) {
    analysis::ReplayedState state;
    if (program.empty() || !run.inputs) {
        state.problem = fmt::format("{} does not tell how to run it again", run.file);
        return state;
    }
    state.problem = changed_input(*run.inputs);
    if (!state.problem.empty()) return state;
    const Output output = output_of(command_of(run, program, traces.common + 1));
    const Json root = Json::parse(output.text, nullptr, false);
    if (output.status != 0 || !root.is_object()) {
        state.problem =
            fmt::format("running {} again failed: {}", run.scenario, first_line(output.text));
        return state;
    }
    try {
        if (root.at("digest_before") != traces.common_digest) {
            state.problem = fmt::format(
                "running {} again went another way before this event; name the program that made "
                "the trace (--program-a, --program-b)",
                run.scenario);
            return state;
        }
        const Json& event = root.at("event");
        const bool a = is_event(event, traces.a.event), b = is_event(event, traces.b.event);
        state.matches = a && b ? "A and B" : a ? "A" : b ? "B" : "";
        read_processors(root, state);
    } catch (const Json::exception& error) {
        state = {};
        state.problem = fmt::format("{} has answered with something else", program.string());
    }
    return state;
}

}  // namespace

void add_states(analysis::Comparison& comparison, const fs::path& program_a,
                const fs::path& program_b) {
    const analysis::TraceDifference& traces = *comparison.traces;
    const analysis::RunRecord &a = comparison.a, &b = comparison.b;
    comparison.states.push_back(rerun(a, traces, program_a));
    if (program_a == program_b && a.inputs == b.inputs) return;
    comparison.states.push_back(rerun(b, traces, program_b));
}

}  // namespace hvsim::app
