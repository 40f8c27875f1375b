#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <thread>

#include "analysis/sweep/results.h"
#include "analysis/sweep/results_table.h"
#include "app/cli/program.h"
#include "app/scenario/reader.h"
#include "app/sweep/engine.h"
#include "app/sweep/parameters.h"
#include "app/sweep/process.h"
#include "app/version.h"
#include "sim/error.h"
#include "sim/recorder.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;
using analysis::PointOutcome;
using analysis::PointStatus;

std::string digest_of(const std::string& text) {
    sim::Digest digest;
    digest.add_bytes(text.data(), text.size());
    return digest.hex();
}

/// A folder beside the results for the runs' reports, gone with this object.
class WorkFolder {
  public:
    explicit WorkFolder(const fs::path& results)
        : path_(fs::absolute(results).string() + fmt::format(".{}.work", ::getpid())) {
        std::error_code error;
        fs::create_directory(path_, error);
        if (error)
            throw sim::ConfigError(
                fmt::format("cannot create {}: {}", path_.string(), error.message()));
    }
    ~WorkFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    const fs::path& path() const noexcept { return path_; }

  private:
    fs::path path_;
};

class Sweep {
  public:
    Sweep(const SweepArguments& arguments, const Surroundings& surroundings)
        : arguments_(arguments), surroundings_(surroundings) {
        std::vector<Parameter> parameters;
        for (const std::string& set : arguments.set) parameters.push_back(parse_parameter(set));
        points_ = cross_product(parameters);
        check_points();
        identity_.scenario = arguments.scenario.string();
        for (const Parameter& parameter : parameters) identity_.keys.push_back(parameter.key);
        identity_.program_version = kVersion;
    }

    int run() {
        analysis::SweepResults results(arguments_.results, identity_);
        results_ = &results;
        choose_points();
        if (!chosen_.empty()) {
            const WorkFolder folder(arguments_.results);
            run_jobs(folder.path());
        }
        clear_progress();
        return report();
    }

  private:
    /// Every point is read before the first one runs: a wrong key or value is found at once.
    void check_points() {
        for (const analysis::Settings& point : points_) {
            const Scenario scenario =
                read_scenario(arguments_.scenario, {options_of(point), arguments_.profiles, true});
            identity_.scenario_digest = digest_of(scenario.text);
        }
    }

    /// Those that have no result yet.
    void choose_points() {
        const auto there = results_->points();
        for (std::size_t i = 0; i < points_.size(); ++i) {
            const auto found = there.find(analysis::to_string(points_[i]));
            const bool done = found != there.end() &&
                              !(arguments_.retry && found->second.status != PointStatus::met);
            if (!done) chosen_.push_back(i);
        }
    }

    SweepJob job_of(std::size_t point, unsigned round, const fs::path& folder) const {
        SweepJob job;
        job.point = point;
        job.report = folder / fmt::format("{}-{}.json", point, round);
        job.messages = folder / fmt::format("{}-{}.txt", point, round);
        job.arguments = {"run",    arguments_.scenario.string(), "--quiet", "--no-report",
                         "--json", job.report.string()};
        for (const std::string& option : options_of(points_[point])) {
            job.arguments.emplace_back("--set");
            job.arguments.push_back(option);
        }
        for (const fs::path& profiles : arguments_.profiles) {
            job.arguments.emplace_back("--profiles");
            job.arguments.push_back(profiles.string());
        }
        if (arguments_.wall_limit > 0) {
            job.arguments.emplace_back("--wall-limit");
            job.arguments.push_back(fmt::format("{}", arguments_.wall_limit));
        }
        return job;
    }

    void run_jobs(const fs::path& folder) {
        rounds_ = arguments_.repeat_check ? 2 : 1;
        for (const std::size_t point : chosen_)
            for (unsigned round = 0; round < rounds_; ++round)
                jobs_.push_back(job_of(point, round, folder));
        EngineOptions options;
        options.program = fs::read_symlink("/proc/self/exe");
        options.folder = folder;
        options.jobs = arguments_.jobs != 0 ? arguments_.jobs
                                            : std::max(1u, std::thread::hardware_concurrency());
        options.interrupted = surroundings_.interrupted;
        options.tick = [this] { print_progress(); };
        start_ns_ = surroundings_.wall_clock_ns();
        const auto engine =
            arguments_.engine == "slurm" ? make_slurm_engine(options) : make_local_engine(options);
        engine->run(jobs_, [this](const JobEnd& end) { on_end(end); });
    }

    /// A point is stored when all of its runs have ended.
    void on_end(const JobEnd& end) {
        ++ended_;
        std::vector<JobEnd>& ends = ends_[jobs_[end.job].point];
        ends.push_back(end);
        if (ends.size() < rounds_) return;
        std::sort(ends.begin(), ends.end(),
                  [](const JobEnd& a, const JobEnd& b) { return a.job < b.job; });
        PointOutcome outcome = outcome_of(ends.front());
        for (const JobEnd& again : ends) compare(outcome, outcome_of(again));
        if (outcome.status != PointStatus::met) ++bad_;
        results_->store(outcome);
        ends_.erase(jobs_[end.job].point);
    }

    PointOutcome outcome_of(const JobEnd& end) const {
        const SweepJob& job = jobs_[end.job];
        PointOutcome outcome;
        outcome.settings = points_[job.point];
        outcome.report = text_of(job.report).value_or("");
        const auto parsed = nlohmann::json::parse(outcome.report, nullptr, false);
        const bool whole = parsed.is_object() && parsed.contains("digest");
        if ((end.exit_code == kExitMet || end.exit_code == kExitUnmet) && whole) {
            outcome.status = end.exit_code == kExitMet ? PointStatus::met : PointStatus::unmet;
            for (const auto& sentence : parsed.at("result").at("unmet"))
                outcome.reason +=
                    (outcome.reason.empty() ? "" : "; ") + sentence.get<std::string>();
            return outcome;
        }
        outcome.report.clear();
        outcome.reason = !end.reason.empty() ? end.reason : first_message(job, end.exit_code);
        return outcome;
    }

    static std::string first_message(const SweepJob& job, int exit_code) {
        std::istringstream messages(text_of(job.messages).value_or(""));
        std::string line;
        std::getline(messages, line);
        return line.empty() ? fmt::format("exit code {}", exit_code) : line;
    }

    static void compare(PointOutcome& first, const PointOutcome& again) {
        if (first.report.empty() || first.status == PointStatus::not_repeatable) return;
        if (again.report.empty()) {
            first = again;
            return;
        }
        const auto digest = [](const PointOutcome& outcome) {
            return nlohmann::json::parse(outcome.report).at("digest").get<std::string>();
        };
        if (digest(first) == digest(again)) return;
        first.status = PointStatus::not_repeatable;
        first.reason =
            fmt::format("the same run twice: digests {} and {}", digest(first), digest(again));
    }

    void print_progress() {
        constexpr std::uint64_t kSecondNs = 1'000'000'000, kPeriodNs = kSecondNs / 5;
        constexpr std::size_t kBar = 30;
        if (!surroundings_.err_is_terminal) return;
        const std::uint64_t now = surroundings_.wall_clock_ns() - start_ns_;
        if (now < next_progress_ns_) return;
        next_progress_ns_ = now + kPeriodNs;
        const std::size_t filled = kBar * ended_ / jobs_.size();
        const std::string left =
            ended_ == 0 ? "?"
                        : fmt::format("{} s", now / ended_ * (jobs_.size() - ended_) / kSecondNs);
        surroundings_.err << fmt::format("\r\033[K[{:#<{}}{:.<{}}] {} of {} runs, {} left", "",
                                         filled, "", kBar - filled, ended_, jobs_.size(), left)
                          << (bad_ != 0 ? fmt::format(", {} points not met", bad_) : std::string())
                          << std::flush;
        progress_shown_ = true;
    }

    void clear_progress() {
        if (progress_shown_) surroundings_.err << "\r\033[K" << std::flush;
    }

    int report() {
        const auto there = results_->points();
        std::vector<analysis::PointRow> rows;
        std::size_t missing = 0, bad = 0;
        for (const analysis::Settings& point : points_) {
            const auto found = there.find(analysis::to_string(point));
            if (found == there.end()) {
                ++missing;
                continue;
            }
            rows.push_back(found->second);
            if (found->second.status != PointStatus::met) ++bad;
        }
        surroundings_.out << analysis::results_table(*results_, identity_.keys, rows,
                                                     arguments_.show);
        surroundings_.out << fmt::format("{} points, {} run now, {} not met; results in {}\n",
                                         points_.size(), chosen_.size() - missing, bad,
                                         arguments_.results.string());
        if (missing != 0) {
            surroundings_.err << fmt::format(
                "hvsim: interrupted with {} points to go; the same command goes on\n", missing);
            return kExitStopped;
        }
        return bad == 0 ? kExitMet : kExitUnmet;
    }

    const SweepArguments& arguments_;
    const Surroundings& surroundings_;
    analysis::SweepIdentity identity_;
    std::vector<analysis::Settings> points_;
    std::vector<std::size_t> chosen_;
    analysis::SweepResults* results_ = nullptr;
    std::vector<SweepJob> jobs_;
    std::map<std::size_t, std::vector<JobEnd>> ends_;  // by point, while some are missing
    std::size_t rounds_ = 1, ended_ = 0, bad_ = 0;
    std::uint64_t start_ns_ = 0, next_progress_ns_ = 0;
    bool progress_shown_ = false;
};

}  // namespace

int sweep_command(const SweepArguments& arguments, const Surroundings& surroundings) {
    return Sweep(arguments, surroundings).run();
}

}  // namespace hvsim::app
