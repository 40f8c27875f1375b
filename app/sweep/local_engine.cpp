#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <map>
#include <thread>

#include "app/sweep/engine.h"
#include "app/sweep/process.h"

namespace hvsim::app {
namespace {

constexpr auto kLookPeriod = std::chrono::milliseconds(20);

class LocalEngine : public SweepEngine {
  public:
    explicit LocalEngine(EngineOptions options) : options_(std::move(options)) {}
    ~LocalEngine() override { end_all(); }

    void run(const std::vector<SweepJob>& jobs,
             const std::function<void(const JobEnd&)>& ended) override {
        std::size_t next = 0;
        while ((next < jobs.size() || !running_.empty()) && !options_.stopped()) {
            while (next < jobs.size() && running_.size() < options_.jobs) start(jobs, next++);
            if (!collect(ended)) std::this_thread::sleep_for(kLookPeriod);
            if (options_.tick) options_.tick();
        }
        end_all();
    }

  private:
    void start(const std::vector<SweepJob>& jobs, std::size_t index) {
        const SweepJob& job = jobs[index];
        std::vector<std::string> words{options_.program.string()};
        words.insert(words.end(), job.arguments.begin(), job.arguments.end());
        running_[start_process(words, {}, job.messages)] = index;
    }

    /// False: no process has ended.
    bool collect(const std::function<void(const JobEnd&)>& ended) {
        bool some = false;
        for (auto process = running_.begin(); process != running_.end();) {
            int status = 0;
            if (::waitpid(process->first, &status, WNOHANG) != process->first) {
                ++process;
                continue;
            }
            const ProcessEnd end = process_end(status);
            const std::size_t job = process->second;
            process = running_.erase(process);
            ended({job, end.exit_code, end.reason});
            some = true;
        }
        return some;
    }

    void end_all() {
        for (const auto& [process, job] : running_) ::kill(process, SIGKILL);
        for (const auto& [process, job] : running_) ::waitpid(process, nullptr, 0);
        running_.clear();
    }

    EngineOptions options_;
    std::map<pid_t, std::size_t> running_;
};

}  // namespace

std::unique_ptr<SweepEngine> make_local_engine(const EngineOptions& options) {
    return std::make_unique<LocalEngine>(options);
}

}  // namespace hvsim::app
