#include "vmbus-model/storvsp/storvsp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/error.h"

namespace hvsim::vmbus::storvsp {
namespace {

template <typename T>
T body_of(const spec::Packet& packet) {
    T value;
    std::memcpy(&value, packet.body.data(), sizeof(value));
    return value;
}

template <typename T>
void set_body(spec::Packet& packet, const T& value) {
    std::memcpy(packet.body.data(), &value, sizeof(value));
}

}  // namespace

StorVsp::StorVsp(sim::Time now, Environment& environment, VmbusServer& server, StorVspConfig config)
    : environment_(environment), server_(server), config_(std::move(config)) {
    if (config_.max_transfer_bytes == 0 || config_.max_transfer_bytes % 4096 != 0)
        throw sim::ConfigError(
            fmt::format("{}: max_transfer_bytes is {}", config_.name, config_.max_transfer_bytes),
            "it must be a multiple of 4096 and not 0");
    if (config_.max_outstanding == 0)
        throw sim::ConfigError(config_.name + ": max_outstanding is 0", "it must be 1 or more");
    Offer offer;
    offer.type = vmbus::spec::kScsiType;
    offer.instance = config_.instance;
    offer.flags = vmbus::spec::kOfferEnumerateInterface;
    offer_ = server_.offer(now, offer, *this);
}

void StorVsp::remove(sim::Time now) {
    server_.rescind(now, offer_);
}

void StorVsp::add_lun(sim::Time now, ScsiAddress address, DiskBackend& backend,
                      DiskIdentity identity) {
    environment_.now = now;
    const auto where = fmt::format("{}: disk at path {}, target {}, LUN {}", config_.name,
                                   address.path, address.target, address.lun);
    if (address.path > spec::kMaxPath || address.target > spec::kMaxTarget)
        throw sim::ConfigError(where, "paths are 0..7, targets 0..1");
    if (find_lun(address) != 0)
        throw sim::ConfigError(where + ": there is one already", "give it another LUN");
    const DiskGeometry geometry = backend.geometry();
    if (geometry.blocks == 0 || geometry.block_size < 512 ||
        (geometry.block_size & (geometry.block_size - 1)) != 0)
        throw sim::ConfigError(
            fmt::format("{}: {} blocks of {} bytes", where, geometry.blocks, geometry.block_size),
            "a disk has at least one block; its size is a power of two, 512 or more");
    luns_[next_lun_++] = {address, &backend, std::move(identity), 0, false};
    notify_guest(spec::Operation::enumerate_bus);
}

void StorVsp::remove_lun(sim::Time now, ScsiAddress address) {
    environment_.now = now;
    const auto it = luns_.find(find_lun(address));
    if (it == luns_.end()) return;
    it->second.removed = true;
    if (it->second.outstanding == 0) luns_.erase(it);
    notify_guest(spec::Operation::remove_device);
}

bool StorVsp::uses(const DiskBackend& backend) const {
    return std::any_of(luns_.begin(), luns_.end(),
                       [&](const auto& entry) { return entry.second.backend == &backend; });
}

std::uint32_t StorVsp::find_lun(ScsiAddress address) const {
    for (const auto& [key, lun] : luns_)
        if (lun.address == address && !lun.removed) return key;
    return 0;
}

std::uint32_t StorVsp::channel_opened(Channel& channel) {
    if (channel.subchannel_index() == 0) {
        state_ = State::begin;
        subchannels_created_ = false;
    }
    channels_[channel.id()] = {&channel, false, 0, {}};
    return vmbus::spec::kStatusSuccess;
}

bool StorVsp::can_receive(Channel& channel) {
    const OpenChannel& open = channels_.at(channel.id());
    return !reset_ && open.outstanding + open.replies.size() < config_.max_outstanding;
}

PacketResult StorVsp::packet_received(Channel& channel, const vmbus::Packet& packet) {
    OpenChannel& open = channels_.at(channel.id());
    if (!packet.is(vmbus::spec::PacketType::inband) &&
        !packet.is(vmbus::spec::PacketType::gpa_direct)) {
        statistics_.refused_packets++;
        return PacketResult::accepted;
    }
    spec::Packet request;
    if (packet.payload.size() < sizeof(request)) {
        statistics_.refused_packets++;
        if (packet.completion_requested) {
            spec::Packet refusal;
            refusal.header = {static_cast<std::uint32_t>(spec::Operation::complete_io), 0,
                              spec::kInvalidParameter};
            reply(open, {vmbus::spec::PacketType::completion, packet.transaction_id, refusal});
        }
        return PacketResult::accepted;
    }
    std::memcpy(&request, packet.payload.data(), sizeof(request));
    const auto operation = static_cast<spec::Operation>(request.header.operation);
    const bool ready = state_ == State::ready;
    if (ready && operation == spec::Operation::execute_srb)
        execute_srb(open, packet, request);
    else if (ready && (operation == spec::Operation::reset_bus ||
                       operation == spec::Operation::reset_adapter ||
                       operation == spec::Operation::reset_lun))
        reset(open, packet);
    else
        control(open, packet, request);
    return PacketResult::accepted;
}

void StorVsp::control(OpenChannel& open, const vmbus::Packet& packet, const spec::Packet& request) {
    spec::Packet answer;
    const std::uint32_t status = set_up(open, request, answer);
    if (status != spec::kSuccess) statistics_.refused_packets++;
    answer.header = {static_cast<std::uint32_t>(spec::Operation::complete_io), 0, status};
    const OfferId id = open.channel->id();
    if (packet.completion_requested)
        reply(open, {vmbus::spec::PacketType::completion, packet.transaction_id, answer});
    // The offers follow the answer that announces them.
    const auto it = channels_.find(id);
    if (status == spec::kSuccess && it != channels_.end() && !it->second.closed &&
        request.header.operation ==
            static_cast<std::uint32_t>(spec::Operation::create_sub_channels))
        server_.offer_subchannels(*it->second.channel, body_of<std::uint16_t>(request));
}

/// The messages that set the controller up: status, and the reply's body.
std::uint32_t StorVsp::set_up(const OpenChannel& open, const spec::Packet& request,
                              spec::Packet& reply) {
    if (open.channel->subchannel_index() != 0) return spec::kInvalidDeviceState;
    switch (static_cast<spec::Operation>(request.header.operation)) {
        case spec::Operation::begin_initialization:
            if (state_ != State::begin) return spec::kInvalidDeviceState;
            state_ = State::version;
            return spec::kSuccess;
        case spec::Operation::query_protocol_version: {
            if (state_ != State::version) return spec::kInvalidDeviceState;
            const auto asked = body_of<spec::ProtocolVersion>(request);
            set_body(reply, spec::ProtocolVersion{asked.major_minor, 0});
            if (std::find(config_.versions.begin(), config_.versions.end(), asked.major_minor) ==
                config_.versions.end())
                return spec::kRevisionMismatch;
            state_ = State::properties;
            return spec::kSuccess;
        }
        case spec::Operation::query_properties: {
            if (state_ != State::properties) return spec::kInvalidDeviceState;
            spec::ChannelProperties properties;
            properties.max_subchannels = config_.max_subchannels;
            properties.flags = config_.max_subchannels != 0 ? spec::kMultiChannel : 0;
            properties.max_transfer_bytes = config_.max_transfer_bytes;
            set_body(reply, properties);
            state_ = State::end;
            return spec::kSuccess;
        }
        case spec::Operation::end_initialization:
            if (state_ != State::end) return spec::kInvalidDeviceState;
            state_ = State::ready;
            resume_all();
            return spec::kSuccess;
        case spec::Operation::create_sub_channels: {
            if ((state_ != State::end && state_ != State::ready) || subchannels_created_)
                return spec::kInvalidDeviceState;
            const auto count = body_of<std::uint16_t>(request);
            if (count > config_.max_subchannels) return spec::kInvalidParameter;
            subchannels_created_ = count != 0;
            return spec::kSuccess;
        }
        case spec::Operation::execute_srb:
        case spec::Operation::reset_lun:
        case spec::Operation::reset_adapter:
        case spec::Operation::reset_bus:
            return spec::kInvalidDeviceState;
        default:
            return spec::kInvalidDeviceRequest;
    }
}

// A reset is answered when nothing that began before it is under way; nothing begins meanwhile.
void StorVsp::reset(OpenChannel& open, const vmbus::Packet& packet) {
    statistics_.resets++;
    reset_ = Reset{open.channel->id(), packet.transaction_id, packet.completion_requested};
    if (requests_.empty()) finish_reset();
}

void StorVsp::finish_reset() {
    const Reset done = *reset_;
    reset_.reset();
    const auto it = channels_.find(done.channel);
    if (it != channels_.end() && done.wants_reply) {
        spec::Packet answer;
        answer.header = {static_cast<std::uint32_t>(spec::Operation::complete_io), 0,
                         spec::kSuccess};
        reply(it->second, {vmbus::spec::PacketType::completion, done.transaction, answer});
    }
    resume_all();
}

void StorVsp::resume_all() {
    for (auto& [id, open] : channels_)
        if (!open.closed) open.channel->resume();
}

void StorVsp::notify_guest(spec::Operation operation) {
    const auto it = channels_.find(offer_);
    if (it == channels_.end() || state_ != State::ready) return;
    spec::Packet packet;
    packet.header.operation = static_cast<std::uint32_t>(operation);
    reply(it->second, {vmbus::spec::PacketType::inband, 0, packet});
}

void StorVsp::reply(OpenChannel& open, const Reply& reply) {
    if (open.closed || !open.channel->running()) return;
    open.replies.push_back(reply);
    if (open.replies.size() == 1) flush(open);
}

void StorVsp::flush(OpenChannel& open) {
    while (!open.replies.empty()) {
        std::array<std::uint8_t, sizeof(spec::Packet)> bytes;
        std::memcpy(bytes.data(), &open.replies.front().packet, bytes.size());
        OutgoingPacket packet;
        packet.type = open.replies.front().type;
        packet.transaction_id = open.replies.front().transaction;
        packet.payload = bytes;
        const SendResult result = open.channel->send(packet);
        if (result == SendResult::full) return;
        if (result == SendResult::closed) {
            open.replies.clear();
            return;
        }
        open.replies.pop_front();
    }
}

void StorVsp::ready_to_send(Channel& channel) {
    OpenChannel& open = channels_.at(channel.id());
    flush(open);
    if (can_receive(channel)) channel.resume();
}

void StorVsp::channel_closed(Channel& channel, CloseReason) {
    OpenChannel& open = channels_.at(channel.id());
    open.closed = true;
    open.replies.clear();
    if (channel.subchannel_index() == 0) state_ = State::begin;
    if (reset_ && reset_->channel == channel.id()) {
        reset_.reset();
        resume_all();
    }
    if (open.outstanding == 0) {
        channels_.erase(channel.id());
        channel.release();
    }
}

void StorVsp::channel_failed(Channel& channel) {
    channels_.at(channel.id()).replies.clear();
}

void StorVsp::collect(sim::StatisticsSink& sink) const {
    const auto add = [&](const char* name, std::uint64_t value, const char* unit,
                         const char* description) {
        sink.add(fmt::format("storvsp.{}.{}", config_.name, name), value, unit, description);
    };
    const StorVspStatistics& s = statistics_;
    add("requests", s.requests, "count", "SCSI requests");
    add("reads", s.reads, "count", "Requests that read from the medium");
    add("writes", s.writes, "count", "Requests that wrote to the medium");
    add("flushes", s.flushes, "count", "Cache flushes");
    add("discards", s.discards, "count", "UNMAP requests");
    add("bytes_read", s.bytes_read, "bytes", "Bytes read from the medium");
    add("bytes_written", s.bytes_written, "bytes", "Bytes written to the medium");
    add("check_conditions", s.check_conditions, "count", "Requests that ended with sense data");
    add("invalid_luns", s.invalid_luns, "count", "Requests for a disk that is not there");
    add("backend_errors", s.backend_errors, "count", "Requests that the disk failed");
    add("resets", s.resets, "count", "Bus, adapter and LUN resets");
    add("refused_packets", s.refused_packets, "count",
        "Packets of the wrong state, size, operation or type");
    add("most_outstanding", s.most_outstanding, "count", "Most requests at the disks at a time");
    constexpr std::array<const char*, 3> kClasses{"read", "write", "other"};
    for (std::size_t i = 0; i < kClasses.size(); ++i) {
        const LatencyHistogram& latency = latency_[i];
        const auto value = [&](const char* which, std::uint64_t ps) {
            sink.add(fmt::format("storvsp.{}.latency.{}.{}", config_.name, kClasses[i], which), ps,
                     "ps", "From the packet taken to its completion; at most 1/16 too high");
        };
        value("p50", latency.percentile(500));
        value("p90", latency.percentile(900));
        value("p99", latency.percentile(990));
        value("max", latency.max());
    }
}

}  // namespace hvsim::vmbus::storvsp
