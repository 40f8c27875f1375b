#pragma once
// Where the points of a sweep run: in processes of this machine, or as jobs of a cluster.
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hvsim::app {

/// One run of the program: the report that it is to write, and how it is called.
struct SweepJob {
    std::size_t point = 0;               ///< index of the point
    std::vector<std::string> arguments;  ///< of `hvsim`
    std::filesystem::path report;        ///< that these arguments name
    std::filesystem::path messages;      ///< where its standard error goes
};

/// How a job ended.
struct JobEnd {
    std::size_t job = 0;
    int exit_code = 0;   ///< of the program; -1: it has none
    std::string reason;  ///< why it has no exit code
};

/// What an engine needs to know.
struct EngineOptions {
    std::filesystem::path program;  ///< to run
    std::filesystem::path folder;   ///< for files of its own
    unsigned jobs = 1;              ///< at a time (in processes of this machine)
    /// Set: end what runs and start nothing more. May be null.
    const std::atomic<bool>* interrupted = nullptr;
    /// Called at least a few times a second.
    std::function<void()> tick;

    bool stopped() const { return interrupted != nullptr && interrupted->load(); }
};

class SweepEngine {
  public:
    virtual ~SweepEngine() = default;
    /// Runs all jobs; `ended` is called once for each, in the order in which they end. When it is
    /// interrupted some have not ended. Throws sim::ConfigError when nothing can be started.
    virtual void run(const std::vector<SweepJob>& jobs,
                     const std::function<void(const JobEnd&)>& ended) = 0;
};

std::unique_ptr<SweepEngine> make_local_engine(const EngineOptions& options);
/// A job array of Slurm, by its commands sbatch, squeue and scancel.
std::unique_ptr<SweepEngine> make_slurm_engine(const EngineOptions& options);

}  // namespace hvsim::app
