#pragma once
// Counts a run's events while they happen, so that a report needs no trace file.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "analysis/run_result.h"
#include "sim/recorder.h"
#include "sim/trace_names.h"

namespace hvsim::analysis {

class Tally : public sim::EventSink {
  public:
    /// `names` for exit reasons and the like; every event is handed on to `next` when there is one.
    explicit Tally(sim::TraceNames names, sim::EventSink* next = nullptr)
        : names_(std::move(names)), next_(next) {}

    void on_event(const sim::Event& event) override;
    void on_code(const sim::Code& code) override {
        code_ = code;
        if (next_ != nullptr) next_->on_code(code);
    }
    bool wants_code() const noexcept override { return next_ != nullptr && next_->wants_code(); }
    /// Appends the tables and distributions of what was counted; empty ones are left out.
    void add_to(RunResult& result) const;

    /// The first VM entry or instruction of an extension that failed, with its code.
    struct NotedFailure {
        sim::Event event;
        sim::Code code;
    };
    const std::optional<NotedFailure>& first_failure() const noexcept { return first_failure_; }
    /// How many there were.
    std::uint64_t failures() const noexcept { return failures_; }

  private:
    struct ExitCount {
        std::uint64_t count = 0;
        std::uint64_t cost = 0;  // ps in the hypervisor
        std::uint64_t away = 0;  // ps from exits to the entries after them, waiting included
    };
    /// An exit that is not over, and what of it is over: the hypervisor's work ends where the
    /// virtual processor stops running, and goes on where it runs again.
    struct OpenExit {
        sim::Time time = 0, working_since = 0;
        std::uint64_t reason = 0;
        bool working = true;
    };
    struct Runs {
        std::uint64_t count = 0;
        std::uint64_t ran = 0, waited = 0, longest_wait = 0;  // ps
    };
    struct CallCount {
        std::uint64_t count = 0;
        std::uint64_t failed = 0;
        std::uint64_t repetitions = 0;
    };
    struct Channel {
        std::array<std::uint64_t, 2> packets{};  // to host, to guest
        std::array<std::uint64_t, 2> bytes{};
        std::array<std::uint64_t, 2> signals{};
    };
    struct Pending {
        sim::Time time = 0;
        std::uint64_t operation = 0;
    };
    using Counts = std::map<std::uint64_t, std::uint64_t>;
    using Key = std::pair<std::uint64_t, std::uint64_t>;
    using Key3 = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

    void on_exit(const sim::Event& event);
    void on_entry(const sim::Event& event);
    void on_run(const sim::Event& event);
    void on_channel(const sim::Event& event);
    void on_request(const sim::Event& event);
    std::string name_of(sim::EventKind kind, unsigned argument, std::uint64_t value) const;
    Table simple_table(sim::EventKind kind, const Counts& counts, const char* key,
                       const char* title, const char* name_title) const;
    void add_exits(RunResult& result) const;
    void add_hypercalls(RunResult& result) const;
    void add_runs(RunResult& result) const;
    void add_interrupts(RunResult& result) const;
    void add_intercepts(RunResult& result) const;
    void add_vmbus(RunResult& result) const;
    void add_disks(RunResult& result) const;
    void add_dma(RunResult& result) const;

    sim::TraceNames names_;
    sim::EventSink* next_;
    std::map<std::uint64_t, ExitCount> exits_;         // by reason
    std::map<std::uint32_t, OpenExit> outside_;        // by partition and VP
    std::map<Key, Runs> runs_;                         // by partition and VP
    std::map<Key, std::uint64_t> stops_;               // by partition and reason
    std::map<std::uint64_t, CallCount> hypercalls_;    // by code
    std::map<Key, std::uint64_t> interrupts_;          // by vector and source
    std::map<Key3, std::uint64_t> accepted_;           // by partition, vector and cause
    std::map<Key, std::uint64_t> ipis_;                // by vector and mode
    std::map<Key, std::uint64_t> exceptions_;          // by partition and vector
    Counts msrs_, ports_;                              // by MSR, port
    std::map<Key, std::uint64_t> messages_;            // by type and direction
    std::map<Key, Channel> channels_;                  // by partition and channel
    std::map<Key, Pending> scsi_;                      // by partition and transaction
    std::map<std::uint64_t, Pending> disk_;            // by command
    std::map<std::uint64_t, Histogram> scsi_latency_;  // by operation
    std::map<std::uint64_t, Histogram> disk_latency_;  // by opcode
    std::map<Key, std::uint64_t> dma_faults_;          // by source and reason
    std::uint64_t invalidations_ = 0;
    std::uint64_t remap_faults_ = 0;
    std::uint64_t iotlb_misses_ = 0;
    std::uint64_t tlb_fills_ = 0;
    sim::Code code_;  // given last
    std::optional<NotedFailure> first_failure_;
    std::uint64_t failures_ = 0;
};

}  // namespace hvsim::analysis
