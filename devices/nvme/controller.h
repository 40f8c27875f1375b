#pragma once
// The host's disk controller: an NVM Express 1.4 I/O controller (devices/nvme/spec/nvme.h). Its
// registers are a RegisterDevice; queues, data and interrupts go through a DmaPort.
//
// Time. A command is taken from its queue when the doorbell is rung (or as soon as fewer than
// `outstanding` are under way) and completes at a deadline that its kind, its size and what is
// under way set. At the deadline it is checked and executed and its data moves. The completion
// entry is written when the time that the IOMMU and memory take for that is over, and the interrupt
// is sent when the entry's own time is over: nobody learns of a transfer that is still going on.
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "devices/disk_image.h"
#include "devices/dma_port.h"
#include "devices/latency_histogram.h"
#include "devices/nvme/config.h"
#include "devices/nvme/identify.h"
#include "devices/nvme/msix.h"
#include "devices/nvme/prp.h"
#include "devices/nvme/spec/nvme.h"
#include "devices/register_device.h"
#include "sim/clocked.h"
#include "sim/recorder.h"
#include "sim/statistics.h"

namespace hvsim::devices::nvme {

class NvmeController final : public RegisterDevice,
                             public sim::Clocked,
                             public sim::StatisticsSource {
  public:
    /// `namespaces`: NSID 1 and up. Nothing is owned; `recorder` may be null. ConfigError for
    /// values outside of their limits or no namespace.
    NvmeController(const NvmeConfig& config, std::vector<DiskImage*> namespaces, DmaPort& dma,
                   sim::Recorder* recorder);

    /// Reads of any size; parts of no register read as zero.
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    /// Aligned 4 or 8 bytes (3.1); others are ignored and counted.
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 8; }

    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;
    void collect(sim::StatisticsSink& sink) const override;

    const LatencyHistogram& latencies() const noexcept { return latencies_; }
    /// Commands taken from a queue whose completion entry is not yet written.
    std::size_t outstanding() const noexcept { return in_flight_.size() + waiting_; }

  private:
    struct SubmissionQueue {
        std::uint64_t base = 0;
        std::uint32_t size = 0;  ///< entries; 0 = there is no such queue
        std::uint32_t head = 0;
        std::uint32_t tail = 0;
        std::uint16_t completion = 0;
        bool exists() const noexcept { return size != 0; }
    };
    /// A command under way.
    struct Pending {
        spec::Command command;
        std::uint16_t queue = 0;
        sim::Time taken = 0;
        bool id_conflict = false;
    };
    struct Outcome {
        spec::Status status;
        std::uint32_t result = 0;
        bool held = false;  ///< an Async Event Request: it completes some other time
    };
    /// An executed command whose entry is not written yet.
    struct Completion {
        sim::Time due = 0;
        Pending pending;
        Outcome outcome;
        std::uint16_t head = 0;  ///< of the submission queue
    };
    struct CompletionQueue {
        std::uint64_t base = 0;
        std::uint32_t size = 0;
        std::uint32_t head = 0;
        std::uint32_t tail = 0;
        bool phase = true;
        bool interrupts = false;
        std::uint16_t vector = 0;
        std::deque<Completion> waiting;  ///< by `due`; those that are due wait for room
        bool exists() const noexcept { return size != 0; }
        bool full() const noexcept { return (tail + 1) % size == head; }
    };
    using Deadline = std::pair<sim::Time, std::uint64_t>;  // then order of taking
    /// Feature values that Set Features changes (5.21.1), as after reset.
    struct Features {
        std::uint32_t arbitration = 0;
        std::uint32_t power_management = 0;
        std::uint32_t over_temperature = kWarningTemperature;
        std::uint32_t under_temperature = 0;
        std::uint32_t error_recovery = 0;
        bool write_cache = true;
        std::uint16_t queues = 0;  ///< I/O queues granted, not 0's based
        std::uint32_t interrupt_coalescing = 0;
        std::vector<std::uint32_t> vector_configuration;
        std::uint32_t write_atomicity = 0;
        std::uint32_t async_events = 0;
    };
    struct Counts {
        std::uint64_t reads = 0, writes = 0, flushes = 0, other = 0, admin = 0, errors = 0;
        std::uint64_t bytes_read = 0, bytes_written = 0, bytes_deallocated = 0;
        std::uint64_t ignored_accesses = 0, invalid_doorbells = 0, fatal = 0;
    };

    // controller.cpp: registers, queues, time
    std::uint64_t register_value(std::uint32_t offset, sim::Time now) const;
    std::uint32_t read_dword(std::uint64_t offset, sim::Time now) const;
    void write_dword(std::uint64_t offset, std::uint32_t value, sim::Time now);
    void write_configuration(std::uint32_t value, sim::Time now);
    void enable(sim::Time now);
    void reset();
    bool ready(sim::Time now) const noexcept;
    void ring_doorbell(std::uint64_t index, std::uint32_t value, sim::Time now);
    bool move_completion_head(CompletionQueue& queue, std::uint32_t value);
    void report_doorbell_error(std::uint8_t information, sim::Time now);
    void fatal();

    // queues.cpp
    void fetch_commands(sim::Time now);
    bool fetch_one(std::uint16_t queue, DmaContext& dma);
    sim::Time deadline_of(const Pending& pending, sim::Time start);
    void complete(const Pending& pending, const Outcome& outcome, sim::Time now);
    void record_completion(const Pending& pending, const Outcome& outcome, sim::Time now);
    sim::Time next_entry() const noexcept;
    void post(CompletionQueue& queue, sim::Time now);
    void post_all(sim::Time now);
    bool write_entry(CompletionQueue& queue, const Completion& completion, sim::Time now,
                     sim::Duration& delay);
    void send_interrupts();
    void execute(const Pending& pending, sim::Time now);

    // admin.cpp
    Outcome execute_admin(const Pending& pending, DmaContext& dma);
    Outcome create_completion_queue(const spec::Command& command);
    Outcome create_submission_queue(const spec::Command& command);
    Outcome delete_completion_queue(const spec::Command& command);
    Outcome delete_submission_queue(const spec::Command& command, sim::Time now);
    Outcome identify(const spec::Command& command, DmaContext& dma);
    Outcome get_log_page(const spec::Command& command, DmaContext& dma);
    Outcome set_features(const spec::Command& command);
    Outcome set_number_of_queues(std::uint32_t value);
    Outcome get_features(const spec::Command& command);
    Outcome abort(const spec::Command& command, sim::Time now);
    Outcome hold_async_request(const Pending& pending, sim::Time now);
    void deliver_async_events(sim::Time now);
    spec::Status send_data(const spec::Command& command, std::span<const std::uint8_t> data,
                           DmaContext& dma);

    // io.cpp
    Outcome execute_io(const spec::Command& command, DmaContext& dma);
    Outcome transfer(const spec::Command& command, DmaContext& dma);
    Outcome write_zeroes(const spec::Command& command);
    Outcome dataset_management(const spec::Command& command, DmaContext& dma);
    DiskImage* image_of(std::uint32_t nsid) const noexcept;
    std::uint64_t most_bytes() const noexcept;  ///< of one transfer (MDTS)
    static bool has_range(const spec::Command& command) noexcept;
    std::uint64_t transfer_bytes(const spec::Command& command) const noexcept;

    NvmeConfig config_;
    std::vector<DiskImage*> namespaces_;
    DmaPort& dma_;
    sim::Recorder* recorder_;

    // Registers.
    std::uint32_t intms_ = 0;
    std::uint32_t cc_ = 0;
    std::uint32_t aqa_ = 0;
    std::uint64_t asq_ = 0;
    std::uint64_t acq_ = 0;
    bool enabled_ = false;
    bool fatal_status_ = false;
    bool shut_down_ = false;
    sim::Time ready_at_ = sim::kNever;
    MsixTable msix_;

    // Queues by identifier; 0 is the admin queue's.
    std::vector<SubmissionQueue> submission_;
    std::vector<CompletionQueue> completion_;
    std::map<Deadline, Pending> in_flight_;
    std::set<std::pair<std::uint16_t, std::uint16_t>> ids_;  // queue, command identifier
    std::size_t waiting_ = 0;               // completions in all CompletionQueue::waiting
    std::uint64_t taken_ = 0;               // commands, since power-on
    std::uint16_t next_queue_ = 0;          // round robin arbitration (4.13)
    std::vector<sim::Time> interrupt_due_;  // by vector; kNever = none
    // At work: a DMA that the host's addresses lead back to these registers changes nothing.
    bool busy_ = false;

    // When each unit, and the data path, is free.
    std::vector<sim::Time> unit_free_;
    sim::Time path_free_ = 0;

    Features features_;
    std::deque<Pending> async_requests_;
    std::deque<std::uint32_t> async_events_;  // results not yet delivered
    bool error_events_masked_ = false;        // until the error log is read (5.2)
    std::deque<ErrorEntry> errors_;           // newest first

    Counts counts_;
    LatencyHistogram latencies_;
};

}  // namespace hvsim::devices::nvme
