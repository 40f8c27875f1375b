// Taking commands from submission queues, their time, and their completions.
#include <algorithm>
#include <array>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"

namespace hvsim::devices::nvme {

// Round robin with a burst of one command (4.13.1), as long as fewer than `outstanding` are under
// way: a host that rings without end cannot make the controller grow.
void NvmeController::fetch_commands(sim::Time now) {
    DmaContext dma{dma_, now};
    std::size_t idle = 0;
    while (idle < submission_.size() && outstanding() < config_.outstanding && !fatal_status_) {
        const std::uint16_t queue = next_queue_;
        next_queue_ = static_cast<std::uint16_t>((next_queue_ + 1u) % submission_.size());
        idle = fetch_one(queue, dma) ? 0 : idle + 1;
    }
}

bool NvmeController::fetch_one(std::uint16_t queue, DmaContext& dma) {
    SubmissionQueue& from = submission_[queue];
    if (!from.exists() || from.head == from.tail) return false;
    std::array<std::uint8_t, spec::kSubmissionSize> bytes;
    if (!dma.port.read(from.base + from.head * spec::kSubmissionSize, bytes, dma.now, dma.delay)) {
        fatal();
        return false;
    }
    from.head = (from.head + 1) % from.size;
    Pending pending;
    for (std::size_t i = 0; i < pending.command.dword.size(); ++i)
        pending.command.dword[i] = load_le<std::uint32_t>(bytes, i * 4);
    pending.queue = queue;
    pending.taken = dma.now + dma.delay;
    pending.id_conflict = !ids_.insert({queue, pending.command.id()}).second;
    if (recorder_ != nullptr && queue != 0) {
        const spec::Command& command = pending.command;
        const bool ranged = has_range(command);
        recorder_->record(sim::EventKind::kDiskRequest, pending.taken, config_.subject,
                          std::uint64_t{queue} << 16 | command.id(), command.opcode(),
                          ranged ? command.lba() : 0, ranged ? command.blocks() : 0);
    }
    const sim::Time deadline = deadline_of(pending, pending.taken);
    in_flight_.emplace(Deadline{deadline, taken_++}, pending);
    return true;
}

// A command waits for the unit that is free first, spends its latency there, then its bytes pass
// the shared data path in order. The unit is its own until then.
sim::Time NvmeController::deadline_of(const Pending& pending, sim::Time start) {
    if (pending.queue == 0) return start + config_.admin_latency;
    const spec::Command& command = pending.command;
    sim::Duration latency = config_.read_latency;
    switch (static_cast<spec::NvmOpcode>(command.opcode())) {
        case spec::NvmOpcode::flush:
            latency = config_.flush_latency;
            break;
        case spec::NvmOpcode::write:
            latency = config_.write_latency;
            if (command.force_unit_access() || !features_.write_cache)
                latency += config_.flush_latency;
            break;
        case spec::NvmOpcode::write_zeroes:
        case spec::NvmOpcode::dataset_management:
            latency = config_.write_latency;
            break;
        default:
            break;
    }
    const auto unit = std::min_element(unit_free_.begin(), unit_free_.end());
    sim::Time end = std::max(start, *unit) + latency;
    if (const std::uint64_t bytes = transfer_bytes(command); bytes != 0) {
        end = std::max(end, path_free_) + sim::time_of_ticks(bytes, config_.bandwidth);
        path_free_ = end;
    }
    *unit = end;
    return end;
}

void NvmeController::execute(const Pending& pending, sim::Time now) {
    DmaContext dma{dma_, now};
    Outcome outcome;
    if (pending.id_conflict)
        outcome.status = spec::status::kCommandIdConflict;
    else if (pending.command.fused() || pending.command.uses_sgl())
        outcome.status = spec::status::kInvalidField;
    else if (pending.queue == 0)
        outcome = execute_admin(pending, dma);
    else
        outcome = execute_io(pending.command, dma);
    if (recorder_ != nullptr && pending.queue != 0 && dma.delay != 0)
        recorder_->record(sim::EventKind::kDiskTransfer, now, config_.subject,
                          std::uint64_t{pending.queue} << 16 | pending.command.id(),
                          transfer_bytes(pending.command), dma.delay);
    if (!outcome.held) complete(pending, outcome, now + dma.delay);
}

/// The command is over at `now`; from then on its completion entry can be written.
void NvmeController::complete(const Pending& pending, const Outcome& outcome, sim::Time now) {
    const SubmissionQueue& from = submission_[pending.queue];
    std::deque<Completion>& waiting = completion_[from.completion].waiting;
    const auto later = std::upper_bound(
        waiting.begin(), waiting.end(), now,
        [](sim::Time time, const Completion& completion) { return time < completion.due; });
    waiting.insert(later, {now, pending, outcome, static_cast<std::uint16_t>(from.head)});
    ++waiting_;
}

void NvmeController::record_completion(const Pending& pending, const Outcome& outcome,
                                       sim::Time now) {
    const spec::Command& command = pending.command;
    const sim::Duration latency = now - pending.taken;
    if (pending.queue != 0) {
        latencies_.add(latency);
        if (recorder_ != nullptr)
            recorder_->record(sim::EventKind::kDiskComplete, now, config_.subject,
                              std::uint64_t{pending.queue} << 16 | command.id(),
                              outcome.status.field(), latency);
        switch (static_cast<spec::NvmOpcode>(command.opcode())) {
            case spec::NvmOpcode::read:
                ++counts_.reads;
                break;
            case spec::NvmOpcode::write:
                ++counts_.writes;
                break;
            case spec::NvmOpcode::flush:
                ++counts_.flushes;
                break;
            default:
                ++counts_.other;
                break;
        }
    } else {
        ++counts_.admin;
    }
    if (outcome.status.ok()) return;
    ++counts_.errors;
    const bool ranged = pending.queue != 0 && has_range(command);
    errors_.push_front({counts_.errors, pending.queue, command.id(), outcome.status.field(),
                        ranged ? command.lba() : 0, command.nsid()});
    if (errors_.size() > kErrorLogEntries) errors_.pop_back();
}

/// When a completion entry can be written next.
sim::Time NvmeController::next_entry() const noexcept {
    sim::Time next = sim::kNever;
    if (waiting_ == 0 || fatal_status_) return next;
    for (const CompletionQueue& queue : completion_)
        if (!queue.waiting.empty() && !queue.full()) next = std::min(next, queue.waiting[0].due);
    return next;
}

// Writes the completion entries (4.6) that are due while the queue has room.
void NvmeController::post(CompletionQueue& queue, sim::Time now) {
    sim::Duration delay = 0;
    while (!queue.waiting.empty() && queue.waiting[0].due <= now && !queue.full() &&
           !fatal_status_) {
        const Completion completion = queue.waiting.front();
        queue.waiting.pop_front();
        --waiting_;
        const Pending& pending = completion.pending;
        // A command that conflicted never owned its identifier.
        if (!pending.id_conflict) ids_.erase({pending.queue, pending.command.id()});
        record_completion(pending, completion.outcome, now);
        if (!write_entry(queue, completion, now, delay)) {
            fatal();
            return;
        }
        if (!queue.interrupts) continue;
        sim::Time& due = interrupt_due_[queue.vector];
        due = due == sim::kNever ? now + delay : std::max(due, now + delay);
    }
}

void NvmeController::post_all(sim::Time now) {
    for (CompletionQueue& queue : completion_) post(queue, now);
}

/// False: the entry's page was refused.
bool NvmeController::write_entry(CompletionQueue& queue, const Completion& completion,
                                 sim::Time now, sim::Duration& delay) {
    std::array<std::uint8_t, spec::kCompletionSize> entry{};
    store_le<std::uint32_t>(entry, 0, completion.outcome.result);
    store_le<std::uint16_t>(entry, 8, completion.head);
    store_le<std::uint16_t>(entry, 10, completion.pending.queue);
    store_le<std::uint16_t>(entry, 12, completion.pending.command.id());
    store_le<std::uint16_t>(
        entry, 14,
        static_cast<std::uint16_t>(completion.outcome.status.field() << 1 | queue.phase));
    if (!dma_.write(queue.base + queue.tail * spec::kCompletionSize, entry, now, delay))
        return false;
    queue.tail = (queue.tail + 1) % queue.size;
    if (queue.tail == 0) queue.phase = !queue.phase;
    return true;
}

// One message per vector for all that completed at one deadline, after the last of their entries;
// lowest vector first.
void NvmeController::send_interrupts() {
    for (unsigned vector = 0; vector < interrupt_due_.size(); ++vector) {
        if (interrupt_due_[vector] == sim::kNever) continue;
        const sim::Time at = interrupt_due_[vector];
        interrupt_due_[vector] = sim::kNever;
        msix_.raise(vector, dma_, at);
    }
}

}  // namespace hvsim::devices::nvme
