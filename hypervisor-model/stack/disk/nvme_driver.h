#pragma once
// The root partition's driver of the disk controller (NVM Express 1.4; layouts in
// devices/nvme/spec/nvme.h). It is software: it reaches its queues in root memory and the
// controller's registers through its core, and every step runs to completion.
//
// One pair of I/O queues. Requests are taken in the order of submit(); one that needs several
// commands, or finds no free one, waits in the driver, and those behind it wait too.
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "devices/nvme/spec/nvme.h"
#include "hypervisor-model/stack/disk/core_access.h"
#include "hypervisor-model/stack/disk/disk_request.h"
#include "hypervisor-model/stack/disk/transfer_parts.h"
#include "sim/ram.h"
#include "sim/statistics.h"

namespace hvsim::hv::stack {

/// A message-signalled interrupt as the hypervisor gave it to the root.
struct InterruptMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};

struct NvmeDriverConfig {
    std::uint64_t registers = 0;  ///< root guest-physical address of the register block
    /// Root memory of the driver alone: queues, PRP lists, bounce buffers. Page aligned; the size
    /// is at least NvmeDriver::memory_needed().
    std::uint64_t memory = 0;
    std::uint64_t memory_size = 0;
    InterruptMessage interrupt;
    unsigned vector = 1;          ///< MSI-X table entry of the I/O queue; 0 is the admin queue's
    unsigned queue_depth = 128;   ///< entries of the I/O queues, 2 to 4096
    unsigned bounce_buffers = 4;  ///< 1 to 64
    unsigned bounce_pages = 16;   ///< of one bounce buffer, 1 to 512

    // What the driver's work costs its processor, apart from register accesses.
    sim::Duration poll_interval = 10 * sim::kMicrosecond;  ///< while starting; not 0
    sim::Duration command_timeout = 10 * sim::kSecond;     ///< then the controller has lost it
    sim::Duration command_cost = 0;                        ///< building one command
    sim::Duration completion_cost = 0;                     ///< one completion entry
    sim::Duration page_copy_cost = 0;                      ///< 4 KiB to or from a bounce buffer
};

class NvmeDriver final : public sim::StatisticsSource {
  public:
    /// Neither is owned. ConfigError: a value outside of its limits or too little memory.
    NvmeDriver(const NvmeDriverConfig& config, CoreAccess& core, DiskCompletionHandler& handler);

    /// Bytes of root memory for such a configuration.
    static std::uint64_t memory_needed(const NvmeDriverConfig& config);

    /// Resets the controller and begins to set it up; what was under way ends with `not_ready`.
    void start();
    /// The next step of setting it up, each with a look at the controller and, while that has
    /// nothing to show, a wait of the poll interval: to be called until ready(). ConfigError: there
    /// is no controller, it lacks what the driver needs, or it does not get ready in its time.
    void continue_start();
    bool ready() const noexcept { return stage_ == Stage::ready; }

    /// Namespace identifiers of the disks found, rising; valid once ready.
    std::vector<std::uint32_t> disks() const;
    /// `block_size` is 0 where there is no such disk.
    DiskProperties properties(std::uint32_t disk) const;

    /// Segments may lie in any way; those that PRPs cannot express are copied.
    void submit(DiskRequest request, std::uint64_t token);
    /// The I/O queue's interrupt: takes the completions, goes on with what waits.
    void on_interrupt();
    /// Where the interrupt goes from now on.
    void set_interrupt(const InterruptMessage& message);
    /// For a watchdog, which calls it now and then while requests are outstanding. A controller
    /// that has stopped (CSTS.CFS) sends no interrupt, and one that does not answer a command
    /// within `command_timeout` has lost it, or its interrupt: then completions are looked for, and
    /// if there is none the controller is set up anew, as it is after a stop, by start(). False: so
    /// it is; continue_start() goes on.
    bool watch();

    /// Requests that are not over.
    std::size_t outstanding() const noexcept { return requests_.size(); }
    void collect(sim::StatisticsSink& sink) const override;

  private:
    enum class Stage : std::uint8_t {
        off,
        disabling,
        enabling,
        identify_controller,
        request_queues,
        list_namespaces,
        identify_namespace,
        create_completion_queue,
        create_submission_queue,
        ready,
    };
    struct Request {
        DiskRequest request;
        std::uint64_t token = 0;
        std::uint64_t bytes_done = 0;  ///< of the data: in commands issued
        SegmentCursor cursor;          ///< at bytes_done
        std::size_t extent = 0;        ///< discard: the next one
        std::uint64_t extent_done = 0;
        std::uint32_t parts = 0;  ///< commands issued
        std::uint32_t under_way = 0;
        bool issued = false;              ///< nothing is left to issue
        std::uint32_t failed_part = ~0u;  ///< the first, in the request's order
        DiskStatus status = DiskStatus::ok;
    };
    /// A command that the controller has, or room for one. Its index is the command identifier.
    struct Slot {
        bool used = false;
        std::uint64_t request = 0;
        std::uint32_t part = 0;
        SegmentCursor at;          ///< where its data lies, for the copy out of a bounce buffer
        std::uint64_t length = 0;  ///< bytes
        std::uint32_t bounce = kNoBounce;
        sim::Time issued = 0;
    };
    struct Queue {
        std::uint64_t submission = 0, completion = 0;
        std::uint32_t entries = 0;
        std::uint32_t tail = 0, head = 0;
        bool phase = true;
    };
    struct Completion {
        std::uint32_t result = 0;
        std::uint16_t command = 0;
        devices::nvme::spec::Status status;
    };
    struct Finished {
        std::uint64_t token;
        DiskStatus status;
    };
    struct Counts {
        std::uint64_t requests = 0, refused = 0, commands = 0, failed_commands = 0;
        std::uint64_t interrupts = 0, empty_interrupts = 0, doorbells = 0;
        std::uint64_t bounced_bytes = 0, prp_lists = 0, waited = 0, starts = 0;
        std::uint64_t stops = 0, timeouts = 0;
    };
    static constexpr std::uint32_t kNoBounce = ~std::uint32_t{0};
    static constexpr unsigned kIoQueue = 1;

    // nvme_driver.cpp
    bool valid(Request& request) const;
    void pump();
    bool issue_next(std::uint64_t id, Request& request);
    bool issue_transfer(std::uint64_t id, Request& request);
    bool issue_flush(std::uint64_t id, Request& request);
    bool issue_discard(std::uint64_t id, Request& request);
    void set_pages(devices::nvme::spec::Command& command, std::uint32_t slot,
                   const std::vector<std::uint64_t>& pages);
    bool copy(const Request& request, const Slot& slot, bool to_bounce);
    std::uint32_t free_slot() const;
    std::uint32_t free_bounce() const;
    void issue(std::uint32_t slot, devices::nvme::spec::Command command);
    bool take_completions();
    void complete(const Completion& completion);
    bool overdue() const;
    void fail(Request& request, std::uint32_t part, DiskStatus status);
    void finish_if_over(std::uint64_t id);
    void deliver();
    void abandon_all();

    // queue access, shared with the start
    void clear_queue(const Queue& queue);
    void put(Queue& queue, const devices::nvme::spec::Command& command);
    bool take(Queue& queue, Completion& completion);
    void ring_submission(unsigned queue, const Queue& state);
    void ring_completion(unsigned queue, const Queue& state);
    void write_words(std::uint64_t address, std::span<const std::uint64_t> words);
    std::uint64_t list_page(std::uint32_t slot) const;
    std::uint64_t bounce_buffer(std::uint32_t bounce) const;
    std::uint64_t bounce_bytes() const;
    std::uint64_t read_register(std::uint32_t offset, unsigned size);
    void write_register(std::uint32_t offset, unsigned size, std::uint64_t value);

    // nvme_start.cpp
    void enter(Stage stage);
    void wait();
    void enable();
    void ask(Stage stage);
    void answered(const Completion& completion);
    void read_controller_page();
    void read_namespace_list();
    void read_namespace_page();
    void identify_next_namespace();
    std::array<std::uint8_t, sim::kPageSize> identify_page();
    devices::nvme::spec::Command admin_command(Stage stage) const;

    NvmeDriverConfig config_;
    CoreAccess& core_;
    DiskCompletionHandler& handler_;

    Stage stage_ = Stage::off;
    sim::Time give_up_at_ = sim::kNever;
    sim::Duration controller_timeout_ = 0;  ///< CAP.TO
    std::uint64_t most_bytes_ = 0;          ///< of a transfer, as far as the controller limits it
    bool write_cache_ = false, discard_ = false;
    std::vector<std::uint32_t> found_;  ///< namespaces of one list, in order
    std::size_t identifying_ = 0;       ///< index in found_
    std::map<std::uint32_t, DiskProperties> disks_;

    Queue admin_, io_;
    std::uint32_t rung_tail_ = 0;  ///< of the I/O submission queue, as the controller knows it
    std::vector<Slot> slots_;
    std::vector<bool> bounce_used_;
    std::uint64_t next_request_ = 0;
    std::map<std::uint64_t, Request> requests_;  // by order of submission
    std::deque<std::uint64_t> waiting_;          // not wholly issued, in order
    std::deque<Finished> finished_;              // to be told
    bool delivering_ = false;
    Counts counts_;
};

}  // namespace hvsim::hv::stack
