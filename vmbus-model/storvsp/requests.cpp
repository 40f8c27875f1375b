// SCSI requests of StorVsp: from the packet to the backend and back.
#include <algorithm>
#include <cstring>

#include "sim/error.h"
#include "vmbus-model/storvsp/storvsp.h"

namespace hvsim::vmbus::storvsp {
namespace {

std::uint32_t nt_status(std::uint8_t srb_status) {
    switch (srb_status & ~spec::kSrbAutosenseValid) {
        case spec::kSrbSuccess:
            return spec::kSuccess;
        case spec::kSrbInvalidLun:
            return spec::kDeviceDoesNotExist;
        case spec::kSrbInvalidRequest:
            return spec::kInvalidDeviceRequest;
        case spec::kSrbAborted:
            return spec::kCancelled;
        default:
            return spec::kIoDeviceError;
    }
}

spec::Sense sense_of(DiskOperation operation, DiskOutcome outcome) {
    if (outcome == DiskOutcome::not_ready) return spec::kNotReady;
    if (outcome == DiskOutcome::dma_fault) return spec::kInternalTargetFailure;
    return operation == DiskOperation::read ? spec::kUnrecoveredRead : spec::kWriteError;
}

}  // namespace

void StorVsp::execute_srb(OpenChannel& open, const vmbus::Packet& packet,
                          const spec::Packet& packet_copy) {
    Request request;
    request.channel = open.channel->id();
    request.transaction = packet.transaction_id;
    request.wants_reply = packet.completion_requested;
    request.started = environment_.time();
    std::memcpy(&request.srb, packet_copy.body.data(), sizeof(request.srb));
    const spec::ScsiRequest& srb = request.srb;

    ScsiCommand command;
    std::copy_n(srb.cdb.begin(), command.cdb.size(), command.cdb.begin());
    command.cdb_length = srb.cdb_length;
    command.buffer_length =
        std::min<std::uint64_t>(packet.ranges.byte_count(), srb.data_transfer_length);
    statistics_.requests++;
    environment_.record(sim::EventKind::kScsiRequest, sim::kNoUnit, packet.transaction_id,
                        command.cdb[0], command_lba(command), srb.data_transfer_length);
    environment_.charge(environment_.costs.request);
    if (srb.cdb_length == 0 || srb.cdb_length > command.cdb.size())
        return finish(open, request, {spec::kSrbInvalidRequest, spec::kStatusGood, {}, 0});

    const ScsiAddress address{srb.path, srb.target, srb.lun};
    request.lun = find_lun(address);
    const auto opcode = static_cast<spec::Opcode>(command.cdb[0]);
    if (request.lun == 0 && opcode != spec::Opcode::report_luns &&
        opcode != spec::Opcode::inquiry) {
        statistics_.invalid_luns++;
        return finish(open, request, {spec::kSrbInvalidLun, spec::kStatusGood, {}, 0});
    }
    std::vector<std::uint8_t> parameters(static_cast<std::size_t>(
        std::min<std::uint64_t>(parameter_length(command), command.buffer_length)));
    if (!read_data(packet, parameters))
        return finish(open, request, {spec::kSrbInvalidRequest, spec::kStatusGood, {}, 0});
    command.parameter_list = parameters;
    ScsiResult result = perform(srb, request.lun, command);
    if (result.kind == ScsiResult::Kind::disk)
        submit(open, packet, std::move(request), std::move(result.request));
    else
        finish_now(open, packet, request, command, result);
}

ScsiResult StorVsp::perform(const spec::ScsiRequest& srb, std::uint32_t lun,
                            const ScsiCommand& command) const {
    if (command.cdb[0] == static_cast<std::uint8_t>(spec::Opcode::report_luns)) {
        std::vector<std::uint8_t> luns;
        for (const auto& [key, other] : luns_)
            if (!other.removed && other.address.path == srb.path &&
                other.address.target == srb.target)
                luns.push_back(other.address.lun);
        std::sort(luns.begin(), luns.end());
        return report_luns(command, luns);
    }
    if (lun == 0) return absent_inquiry(command);
    const Lun& unit = luns_.at(lun);
    return execute(unit.identity, unit.backend->geometry(), config_.max_transfer_bytes, command);
}

/// Ends a command that needs no backend: its data, or zeros where Linux would look at them anyway.
void StorVsp::finish_now(OpenChannel& open, const vmbus::Packet& packet, const Request& request,
                         const ScsiCommand& command, const ScsiResult& result) {
    Ending ending;
    if (result.kind == ScsiResult::Kind::check) {
        ending.srb_status = spec::kSrbError;
        ending.scsi_status = spec::kStatusCheckCondition;
        ending.sense = result.sense;
        if (needs_clean_buffer(command.cdb[0])) {
            const std::vector<std::uint8_t> zeros(static_cast<std::size_t>(
                std::min<std::uint64_t>(allocation_length(command), command.buffer_length)));
            write_data(packet, zeros);
        }
        return finish(open, request, ending);
    }
    const auto length = static_cast<std::size_t>(
        std::min<std::uint64_t>(result.data.size(), command.buffer_length));
    ending.bytes = length;
    if (!write_data(packet, std::span(result.data).first(length)))
        ending = {spec::kSrbInvalidRequest, spec::kStatusGood, {}, 0};
    finish(open, request, ending);
}

void StorVsp::submit(OpenChannel& open, const vmbus::Packet& packet, Request request,
                     DiskRequest disk_request) {
    Lun& lun = luns_.at(request.lun);
    DiskBackend& backend = *lun.backend;
    request.operation = disk_request.operation;
    if (disk_request.operation == DiskOperation::read ||
        disk_request.operation == DiskOperation::write) {
        const bool read = disk_request.operation == DiskOperation::read;
        request.bytes = disk_request.extents[0].blocks * backend.geometry().block_size;
        request.latency = read ? LatencyClass::read : LatencyClass::write;
        packet.ranges.segments(request.bytes, disk_request.segments);
        environment_.charge(environment_.costs.page * disk_request.segments.size());
    }
    switch (disk_request.operation) {
        case DiskOperation::read:
            statistics_.reads++;
            break;
        case DiskOperation::write:
            statistics_.writes++;
            break;
        case DiskOperation::flush:
            statistics_.flushes++;
            break;
        case DiskOperation::discard:
            statistics_.discards++;
            break;
    }
    const std::uint64_t token = next_token_++;
    lun.outstanding++;
    open.outstanding++;
    requests_.emplace(token, std::move(request));
    statistics_.most_outstanding =
        std::max<std::uint64_t>(statistics_.most_outstanding, requests_.size());
    // May complete within: nothing of `open` or `lun` may be touched after it.
    backend.submit(environment_.time(), disk_request, token, *this);
}

void StorVsp::disk_complete(sim::Time now, std::uint64_t token, DiskOutcome outcome) {
    environment_.now = now;
    const auto it = requests_.find(token);
    SIM_ASSERT(it != requests_.end());
    const Request request = std::move(it->second);
    requests_.erase(it);

    const Ending ending = ending_of(request, outcome);
    const auto lun = luns_.find(request.lun);
    if (--lun->second.outstanding == 0 && lun->second.removed) luns_.erase(lun);
    const auto open = channels_.find(request.channel);
    open->second.outstanding--;
    finish(open->second, request, ending);
    Channel& channel = *open->second.channel;
    if (open->second.closed) {
        if (open->second.outstanding == 0) {
            channels_.erase(open);
            channel.release();
        }
    } else if (can_receive(channel)) {
        channel.resume();
    }
    if (reset_ && requests_.empty()) finish_reset();
}

void StorVsp::disk_issued(sim::Time now, std::uint64_t token, std::uint32_t command) {
    environment_.now = now;
    const auto it = requests_.find(token);
    SIM_ASSERT(it != requests_.end());
    environment_.record(sim::EventKind::kDiskIssue, sim::kNoUnit, it->second.transaction, command,
                        0, 0);
}

StorVsp::Ending StorVsp::ending_of(const Request& request, DiskOutcome outcome) {
    if (luns_.at(request.lun).removed) {
        statistics_.invalid_luns++;
        return {spec::kSrbInvalidLun, spec::kStatusGood, {}, 0};
    }
    if (outcome == DiskOutcome::ok) {
        if (request.operation == DiskOperation::read) statistics_.bytes_read += request.bytes;
        if (request.operation == DiskOperation::write) statistics_.bytes_written += request.bytes;
        return {spec::kSrbSuccess, spec::kStatusGood, {}, request.bytes};
    }
    statistics_.backend_errors++;
    if (outcome == DiskOutcome::aborted) return {spec::kSrbAborted, spec::kStatusGood, {}, 0};
    return {spec::kSrbError, spec::kStatusCheckCondition, sense_of(request.operation, outcome), 0};
}

void StorVsp::finish(OpenChannel& open, const Request& request, const Ending& ending) {
    latency_[static_cast<std::size_t>(request.latency)].add(environment_.time() - request.started);
    spec::ScsiRequest srb = request.srb;
    srb.length = sizeof(srb);
    srb.srb_status = ending.srb_status;
    srb.scsi_status = ending.scsi_status;
    srb.data_transfer_length = static_cast<std::uint32_t>(ending.bytes);
    const std::uint8_t room = request.srb.sense_length;
    srb.sense_length = 0;
    srb.cdb = {};
    if (ending.sense) {
        statistics_.check_conditions++;
        const auto sense = fixed_sense(*ending.sense);
        const std::size_t length = std::min<std::size_t>(room, sense.size());
        if (length != 0) {
            std::copy_n(sense.begin(), length, srb.cdb.begin());
            srb.sense_length = static_cast<std::uint8_t>(length);
            srb.srb_status |= spec::kSrbAutosenseValid;
        }
    }
    environment_.record(sim::EventKind::kScsiComplete, sim::kNoUnit, request.transaction,
                        srb.srb_status, srb.scsi_status, ending.bytes);
    if (!request.wants_reply) return;
    Reply answer{vmbus::spec::PacketType::completion, request.transaction, {}};
    answer.packet.header = {static_cast<std::uint32_t>(spec::Operation::complete_io), 0,
                            nt_status(srb.srb_status)};
    std::memcpy(answer.packet.body.data(), &srb, sizeof(srb));
    reply(open, answer);
}

bool StorVsp::write_data(const vmbus::Packet& packet, std::span<const std::uint8_t> data) {
    std::vector<GpaSegment> segments;
    packet.ranges.segments(data.size(), segments);
    for (const GpaSegment& segment : segments) {
        if (!environment_.memory.write(segment.gpa, data.first(segment.length))) return false;
        data = data.subspan(segment.length);
    }
    return data.empty();
}

bool StorVsp::read_data(const vmbus::Packet& packet, std::span<std::uint8_t> data) {
    std::vector<GpaSegment> segments;
    packet.ranges.segments(data.size(), segments);
    for (const GpaSegment& segment : segments) {
        if (!environment_.memory.read(segment.gpa, data.first(segment.length))) return false;
        data = data.subspan(segment.length);
    }
    return data.empty();
}

}  // namespace hvsim::vmbus::storvsp
