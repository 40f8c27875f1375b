#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "app/sweep/engine.h"
#include "app/sweep/process.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLookPeriod = std::chrono::milliseconds(250);
constexpr auto kAskPeriod = std::chrono::seconds(5);

/// As one word of a POSIX shell.
std::string quoted(const std::string& word) {
    std::string text = "'";
    for (const char c : word)
        if (c == '\'')
            text += "'\\''";
        else
            text += c;
    return text + "'";
}

std::string first_line(const std::string& text) {
    const std::string line = text.substr(0, text.find('\n'));
    return line.empty() ? "it said nothing" : line;
}

class SlurmEngine : public SweepEngine {
  public:
    explicit SlurmEngine(EngineOptions options) : options_(std::move(options)) {}
    ~SlurmEngine() override { cancel(); }

    void run(const std::vector<SweepJob>& jobs,
             const std::function<void(const JobEnd&)>& ended) override {
        if (jobs.empty()) return;
        write_script(jobs);
        submit();
        for (std::size_t i = 0; i < jobs.size(); ++i) open_.insert(i);
        Clock::time_point next_question = Clock::now() + kAskPeriod;
        while (!open_.empty() && !options_.stopped()) {
            std::this_thread::sleep_for(kLookPeriod);
            collect(ended);
            if (options_.tick) options_.tick();
            if (open_.empty() || Clock::now() < next_question) continue;
            next_question = Clock::now() + kAskPeriod;
            if (!is_queued()) give_up(ended);
        }
        if (open_.empty()) job_.clear();
        cancel();
    }

  private:
    std::filesystem::path end_file(std::size_t job) const {
        return options_.folder / fmt::format("{}.exit", job);
    }

    /// Each task of the array runs one job and leaves its exit code in a file that appears whole.
    void write_script(const std::vector<SweepJob>& jobs) {
        std::ofstream script(options_.folder / "job");
        script << "#!/bin/sh\n#SBATCH --job-name=hvsim-sweep\n#SBATCH --ntasks=1\n"
               << "#SBATCH --output=" << (options_.folder / "%a.output").string() << "\n"
               << "case \"$SLURM_ARRAY_TASK_ID\" in\n";
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            script << i << ")\n    " << quoted(options_.program.string());
            for (const std::string& word : jobs[i].arguments) script << ' ' << quoted(word);
            script << " >/dev/null 2>" << quoted(jobs[i].messages.string()) << "\n    ;;\n";
        }
        const std::string folder = quoted(options_.folder.string());
        script << "esac\necho $? >" << folder << "/$SLURM_ARRAY_TASK_ID.part\n"
               << "mv " << folder << "/$SLURM_ARRAY_TASK_ID.part " << folder
               << "/$SLURM_ARRAY_TASK_ID.exit\n";
        last_ = jobs.size() - 1;
        if (!script.flush())
            throw sim::ConfigError(
                fmt::format("cannot write {}", (options_.folder / "job").string()));
    }

    ProcessOutput slurm(const std::vector<std::string>& words) const {
        try {
            return run_process(words, options_.folder);
        } catch (const sim::ConfigError& error) {
            throw sim::ConfigError(fmt::format("Slurm is not there: {}", error.what()),
                                   "Debian's package slurm-client has its commands; without Slurm, "
                                   "leave --engine away");
        }
    }

    void submit() {
        const ProcessOutput sbatch =
            slurm({"sbatch", "--parsable", fmt::format("--array=0-{}", last_),
                   (options_.folder / "job").string()});
        if (sbatch.end.exit_code != 0)
            throw sim::ConfigError(
                fmt::format("Slurm refused the sweep: {}", first_line(sbatch.messages)),
                "sinfo tells the state of the cluster");
        // "--parsable": the job's number, and behind a semicolon the cluster's name.
        job_ = sbatch.output.substr(0, sbatch.output.find_first_of(";\n"));
    }

    void collect(const std::function<void(const JobEnd&)>& ended) {
        for (auto job = open_.begin(); job != open_.end();) {
            const auto text = text_of(end_file(*job));
            if (!text) {
                ++job;
                continue;
            }
            JobEnd end{*job, -1, "its exit code cannot be read"};
            std::istringstream in(*text);
            if (in >> end.exit_code) end.reason.clear();
            // As a shell tells of a program that a signal ended.
            constexpr int kSignalBase = 128;
            if (end.exit_code > kSignalBase) {
                end.reason = process_end(end.exit_code - kSignalBase).reason;
                end.exit_code = -1;
            }
            job = open_.erase(job);
            ended(end);
        }
    }

    /// Whether Slurm still knows of tasks that wait or run. An error of squeue for a job that it
    /// has forgotten means no; one of the controller, which may be busy, yes.
    bool is_queued() const {
        const ProcessOutput squeue = slurm({"squeue", "--noheader", "--jobs", job_});
        if (squeue.end.exit_code != 0)
            return squeue.messages.find("Invalid job id") == std::string::npos;
        return !squeue.output.empty();
    }

    void give_up(const std::function<void(const JobEnd&)>& ended) {
        std::this_thread::sleep_for(kLookPeriod);
        collect(ended);  // what ended between the two questions
        for (const std::size_t job : open_)
            ended({job, -1,
                   fmt::format("Slurm's task {}_{} ended without a result: {}", job_, job,
                               first_line(text_of(options_.folder / fmt::format("{}.output", job))
                                              .value_or("")))});
        open_.clear();
    }

    void cancel() {
        if (job_.empty()) return;
        const std::string job = std::exchange(job_, {});
        try {
            slurm({"scancel", job});
        } catch (const sim::ConfigError&) {
            // It was there a moment ago; what it runs ends by itself.
        }
    }

    EngineOptions options_;
    std::size_t last_ = 0;
    std::string job_;  // number, while tasks may be running
    std::set<std::size_t> open_;
};

}  // namespace

std::unique_ptr<SweepEngine> make_slurm_engine(const EngineOptions& options) {
    return std::make_unique<SlurmEngine>(options);
}

}  // namespace hvsim::app
