// Admin commands (NVM Express 1.4, chapter 5).
#include <algorithm>
#include <optional>

#include "devices/nvme/controller.h"

namespace hvsim::devices::nvme {

namespace status = spec::status;
using spec::Command;

namespace {

/// Fields of Create I/O Submission and Completion Queue.
struct QueueFields {
    using QID = sim::Bits<15, 0>;     // dword 10
    using QSIZE = sim::Bits<31, 16>;  // dword 10, from 0
    using PC = sim::Bits<0>;          // dword 11
    using IEN = sim::Bits<1>;         // dword 11
    using HIGH = sim::Bits<31, 16>;   // dword 11: interrupt vector or completion queue
};

}  // namespace

NvmeController::Outcome NvmeController::execute_admin(const Pending& pending, DmaContext& dma) {
    const Command& command = pending.command;
    const sim::Time now = dma.now;
    switch (static_cast<spec::AdminOpcode>(command.opcode())) {
        case spec::AdminOpcode::delete_io_sq:
            return delete_submission_queue(command, now);
        case spec::AdminOpcode::create_io_sq:
            return create_submission_queue(command);
        case spec::AdminOpcode::get_log_page:
            return get_log_page(command, dma);
        case spec::AdminOpcode::delete_io_cq:
            return delete_completion_queue(command);
        case spec::AdminOpcode::create_io_cq:
            return create_completion_queue(command);
        case spec::AdminOpcode::identify:
            return identify(command, dma);
        case spec::AdminOpcode::abort:
            return abort(command, now);
        case spec::AdminOpcode::set_features:
            return set_features(command);
        case spec::AdminOpcode::get_features:
            return get_features(command);
        case spec::AdminOpcode::async_event_request:
            return hold_async_request(pending, now);
    }
    return {status::kInvalidOpcode};
}

// 5.3
NvmeController::Outcome NvmeController::create_completion_queue(const Command& command) {
    const std::uint64_t id = QueueFields::QID::get(command.dword[10]);
    const std::uint64_t entries = QueueFields::QSIZE::get(command.dword[10]) + 1;
    const std::uint64_t vector = QueueFields::HIGH::get(command.dword[11]);
    if (id == 0 || id > features_.queues || completion_[id].exists())
        return {status::kInvalidQueueIdentifier};
    if (entries < 2 || entries > config_.queue_entries ||
        spec::Cc::IOCQES::get(cc_) != spec::kCompletionSizeLog2)
        return {status::kInvalidQueueSize};
    if (!QueueFields::PC::test(command.dword[11])) return {status::kInvalidField};
    if (command.prp1() % sim::kPageSize != 0) return {status::kPrpOffsetInvalid};
    const bool interrupts = QueueFields::IEN::test(command.dword[11]);
    if (interrupts && vector >= msix_.vectors()) return {status::kInvalidInterruptVector};
    CompletionQueue queue;
    queue.base = command.prp1();
    queue.size = static_cast<std::uint32_t>(entries);
    queue.interrupts = interrupts;
    queue.vector = static_cast<std::uint16_t>(interrupts ? vector : 0);
    completion_[id] = std::move(queue);
    return {};
}

// 5.4
NvmeController::Outcome NvmeController::create_submission_queue(const Command& command) {
    const std::uint64_t id = QueueFields::QID::get(command.dword[10]);
    const std::uint64_t entries = QueueFields::QSIZE::get(command.dword[10]) + 1;
    const std::uint64_t completion = QueueFields::HIGH::get(command.dword[11]);
    if (completion == 0 || completion > features_.queues) return {status::kInvalidQueueIdentifier};
    if (!completion_[completion].exists()) return {status::kCompletionQueueInvalid};
    if (id == 0 || id > features_.queues || submission_[id].exists())
        return {status::kInvalidQueueIdentifier};
    if (entries < 2 || entries > config_.queue_entries ||
        spec::Cc::IOSQES::get(cc_) != spec::kSubmissionSizeLog2)
        return {status::kInvalidQueueSize};
    if (!QueueFields::PC::test(command.dword[11])) return {status::kInvalidField};
    if (command.prp1() % sim::kPageSize != 0) return {status::kPrpOffsetInvalid};
    submission_[id] = {command.prp1(), static_cast<std::uint32_t>(entries), 0, 0,
                       static_cast<std::uint16_t>(completion)};
    return {};
}

// 5.5
NvmeController::Outcome NvmeController::delete_completion_queue(const Command& command) {
    const std::uint64_t id = QueueFields::QID::get(command.dword[10]);
    if (id == 0 || id >= completion_.size() || !completion_[id].exists())
        return {status::kInvalidQueueIdentifier};
    for (const SubmissionQueue& queue : submission_)
        if (queue.exists() && queue.completion == id) return {status::kInvalidQueueDeletion};
    for (const Completion& dropped : completion_[id].waiting)
        if (!dropped.pending.id_conflict)
            ids_.erase({dropped.pending.queue, dropped.pending.command.id()});
    waiting_ -= completion_[id].waiting.size();
    completion_[id] = {};
    return {};
}

// 5.6: what the queue has under way is completed as aborted, in order of taking, before the
// deletion itself completes.
NvmeController::Outcome NvmeController::delete_submission_queue(const Command& command,
                                                                sim::Time now) {
    const std::uint64_t id = QueueFields::QID::get(command.dword[10]);
    if (id == 0 || id >= submission_.size() || !submission_[id].exists())
        return {status::kInvalidQueueIdentifier};
    std::map<std::uint64_t, Pending> aborted;
    for (auto at = in_flight_.begin(); at != in_flight_.end();) {
        if (at->second.queue == id) {
            aborted.emplace(at->first.second, at->second);
            at = in_flight_.erase(at);
        } else {
            ++at;
        }
    }
    // Nothing of the queue comes after the deletion: what was executed ends now.
    std::deque<Completion>& waiting = completion_[submission_[id].completion].waiting;
    for (Completion& completion : waiting)
        if (completion.pending.queue == id) completion.due = std::min(completion.due, now);
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Completion& a, const Completion& b) { return a.due < b.due; });
    for (const auto& [order, pending] : aborted)
        complete(pending, {status::kAbortedSqDeletion}, now);
    submission_[id] = {};
    return {};
}

spec::Status NvmeController::send_data(const Command& command, std::span<const std::uint8_t> data,
                                       DmaContext& dma) {
    std::vector<DataSegment> segments;
    const spec::Status status =
        resolve_prps(command.prp1(), command.prp2(), data.size(), dma, segments);
    return status.ok() ? write_to_host(segments, data, dma) : status;
}

// 5.15
NvmeController::Outcome NvmeController::identify(const Command& command, DmaContext& dma) {
    enum class Structure : std::uint8_t {
        name_space = 0x00,
        controller = 0x01,
        active_namespaces = 0x02,
        descriptors = 0x03,
    };
    const auto count = static_cast<std::uint32_t>(namespaces_.size());
    const std::uint32_t nsid = command.nsid();
    const DiskImage* const image = image_of(nsid);
    const auto structure = static_cast<Structure>(sim::Bits<7, 0>::get(command.dword[10]));
    switch (structure) {
        case Structure::controller:
            return {send_data(command, identify_controller(config_, count), dma)};
        case Structure::active_namespaces:
            if (nsid >= spec::kAllNamespaces - 1) return {status::kInvalidNamespace};
            return {send_data(command, identify_active_list(count, nsid), dma)};
        case Structure::name_space:
            if (image == nullptr) return {status::kInvalidNamespace};
            return {send_data(command, identify_namespace(config_, nsid, *image), dma)};
        case Structure::descriptors:
            if (image == nullptr) return {status::kInvalidNamespace};
            return {send_data(command, identify_descriptors(config_, nsid), dma)};
    }
    return {status::kInvalidField};
}

// 5.14
NvmeController::Outcome NvmeController::get_log_page(const Command& command, DmaContext& dma) {
    const auto page = static_cast<std::uint8_t>(sim::Bits<7, 0>::get(command.dword[10]));
    const bool retain_event = sim::Bits<15>::test(command.dword[10]);
    const std::uint64_t dwords = (sim::Bits<31, 16>::get(command.dword[10]) |
                                  sim::Bits<15, 0>::get(command.dword[11]) << 16) +
                                 1;
    const std::uint64_t offset = command.quad(12);
    if (command.nsid() != 0 && command.nsid() != spec::kAllNamespaces)
        return {status::kInvalidField};  // LPA bit 0: no log is a namespace's own
    std::vector<std::uint8_t> log;
    switch (page) {
        case spec::kErrorLog:
            log = error_log({errors_.begin(), errors_.end()});
            break;
        case spec::kHealthLog:
            log = health_log({counts_.bytes_read, counts_.bytes_written, counts_.reads,
                              counts_.writes, counts_.errors, dma.now});
            break;
        case spec::kFirmwareLog:
            log = firmware_log(config_);
            break;
        default:
            return {status::kInvalidLogPage};
    }
    if (offset % 4 != 0 || offset > log.size()) return {status::kInvalidField};
    // Longer than the log is undefined (5.14); zeros follow here, within the transfer limit.
    if (dwords * 4 > most_bytes()) return {status::kInvalidField};
    std::vector<std::uint8_t> part(log.begin() + static_cast<std::ptrdiff_t>(offset), log.end());
    part.resize(dwords * 4);
    const spec::Status sent = send_data(command, part, dma);
    if (sent.ok() && page == spec::kErrorLog && !retain_event) error_events_masked_ = false;
    return {sent};
}

// 5.21. The Save bit needs ONCS bit 4, which the controller does not have.
NvmeController::Outcome NvmeController::set_features(const Command& command) {
    const auto feature = static_cast<spec::Feature>(sim::Bits<7, 0>::get(command.dword[10]));
    const std::uint32_t value = command.dword[11];
    if (sim::Bits<31>::test(command.dword[10])) return {status::kFeatureNotSaveable};
    const bool one_namespace = command.nsid() != 0 && command.nsid() != spec::kAllNamespaces;
    if (one_namespace && feature != spec::Feature::error_recovery)
        return {status::kFeatureNotPerNamespace};
    switch (feature) {
        case spec::Feature::arbitration:
            features_.arbitration = value;
            return {};
        case spec::Feature::power_management:
            if (sim::Bits<4, 0>::test(value)) return {status::kInvalidField};  // one state only
            features_.power_management = value;
            return {};
        case spec::Feature::temperature_threshold: {
            const std::uint64_t sensor = sim::Bits<19, 16>::get(value);
            const std::uint64_t which = sim::Bits<21, 20>::get(value);
            if (which > 1 || (sensor != 0 && sensor != 0xf)) return {status::kInvalidField};
            (which == 0 ? features_.over_temperature : features_.under_temperature) =
                static_cast<std::uint32_t>(sim::Bits<15, 0>::get(value));
            return {};
        }
        case spec::Feature::error_recovery:
            if (command.nsid() != spec::kAllNamespaces && image_of(command.nsid()) == nullptr)
                return {status::kInvalidNamespace};
            features_.error_recovery = value;
            return {};
        case spec::Feature::volatile_write_cache:
            features_.write_cache = sim::Bits<0>::test(value);
            return {};
        case spec::Feature::number_of_queues:
            return set_number_of_queues(value);
        case spec::Feature::interrupt_coalescing:
            features_.interrupt_coalescing = value & 0xffff;
            return {};
        case spec::Feature::interrupt_vector: {
            const std::uint64_t vector = sim::Bits<15, 0>::get(value);
            if (vector >= msix_.vectors()) return {status::kInvalidField};
            features_.vector_configuration[vector] = value;
            return {};
        }
        case spec::Feature::write_atomicity:
            features_.write_atomicity = value & 1;
            return {};
        case spec::Feature::async_event:
            features_.async_events = value;
            return {};
    }
    return {status::kInvalidField};
}

// 5.21.1.7
NvmeController::Outcome NvmeController::set_number_of_queues(std::uint32_t value) {
    for (std::size_t i = 1; i < submission_.size(); ++i)
        if (submission_[i].exists() || completion_[i].exists())
            return {status::kCommandSequenceError};
    const std::uint64_t submission = sim::Bits<15, 0>::get(value);
    const std::uint64_t completion = sim::Bits<31, 16>::get(value);
    if (submission == 0xffff || completion == 0xffff) return {status::kInvalidField};
    // Queues come in pairs of one identifier: as many as the greater wish, if there are.
    const std::uint64_t wish = std::max(submission, completion) + 1;
    features_.queues = static_cast<std::uint16_t>(std::min<std::uint64_t>(wish, config_.io_queues));
    const std::uint32_t granted = features_.queues - 1u;
    return {{}, granted << 16 | granted};
}

// 5.9
NvmeController::Outcome NvmeController::get_features(const Command& command) {
    const auto feature = static_cast<spec::Feature>(sim::Bits<7, 0>::get(command.dword[10]));
    const std::uint32_t value = command.dword[11];
    if (sim::Bits<10, 8>::test(command.dword[10])) return {status::kInvalidField};  // SEL
    switch (feature) {
        case spec::Feature::arbitration:
            return {{}, features_.arbitration};
        case spec::Feature::power_management:
            return {{}, features_.power_management};
        case spec::Feature::temperature_threshold: {
            const std::uint64_t which = sim::Bits<21, 20>::get(value);
            if (which > 1 || sim::Bits<19, 16>::test(value)) return {status::kInvalidField};
            return {{}, which == 0 ? features_.over_temperature : features_.under_temperature};
        }
        case spec::Feature::error_recovery:
            if (image_of(command.nsid()) == nullptr) return {status::kInvalidNamespace};
            return {{}, features_.error_recovery};
        case spec::Feature::volatile_write_cache:
            return {{}, features_.write_cache ? 1u : 0u};
        case spec::Feature::number_of_queues: {
            const std::uint32_t granted = features_.queues - 1u;
            return {{}, granted << 16 | granted};
        }
        case spec::Feature::interrupt_coalescing:
            return {{}, features_.interrupt_coalescing};
        case spec::Feature::interrupt_vector: {
            const std::uint64_t vector = sim::Bits<15, 0>::get(value);
            if (vector >= msix_.vectors()) return {status::kInvalidField};
            const std::uint32_t stored = features_.vector_configuration[vector];
            return {{}, sim::Bits<15, 0>::set(stored, vector)};
        }
        case spec::Feature::write_atomicity:
            return {{}, features_.write_atomicity};
        case spec::Feature::async_event:
            return {{}, features_.async_events};
    }
    return {status::kInvalidField};
}

// 5.1: bit 0 of the result says that nothing was aborted.
NvmeController::Outcome NvmeController::abort(const Command& command, sim::Time now) {
    const auto queue = static_cast<std::uint16_t>(sim::Bits<15, 0>::get(command.dword[10]));
    const auto id = static_cast<std::uint16_t>(sim::Bits<31, 16>::get(command.dword[10]));
    std::optional<Pending> found;
    for (auto at = in_flight_.begin(); at != in_flight_.end() && !found; ++at) {
        if (at->second.queue != queue || at->second.command.id() != id) continue;
        if (at->second.id_conflict) continue;
        found = at->second;
        in_flight_.erase(at);
        break;
    }
    for (auto at = async_requests_.begin(); at != async_requests_.end() && !found; ++at) {
        if (queue != 0 || at->command.id() != id) continue;
        found = *at;
        async_requests_.erase(at);
        break;
    }
    if (!found) return {{}, 1};
    complete(*found, {status::kAbortRequested}, now);
    return {{}, 0};
}

// 5.2
NvmeController::Outcome NvmeController::hold_async_request(const Pending& pending, sim::Time now) {
    if (async_requests_.size() >= kAsyncEventLimit) return {status::kAsyncLimitExceeded};
    async_requests_.push_back(pending);
    deliver_async_events(now);
    Outcome outcome;
    outcome.held = true;
    return outcome;
}

void NvmeController::deliver_async_events(sim::Time now) {
    while (!async_events_.empty() && !async_requests_.empty()) {
        const Pending request = async_requests_.front();
        async_requests_.pop_front();
        const std::uint32_t result = async_events_.front();
        async_events_.pop_front();
        complete(request, {{}, result}, now);
    }
}

}  // namespace hvsim::devices::nvme
