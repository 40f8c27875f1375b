#include "vmbus-model/server.h"

#include <algorithm>
#include <cstring>

#include "sim/error.h"

namespace hvsim::vmbus {
namespace {

using spec::MessageType;
using spec::Version;

template <typename Message>
std::uint32_t relid_of(const Message& message) {
    if constexpr (requires { message.relid; })
        return message.relid;
    else
        return 0;
}

}  // namespace

VmbusServer::VmbusServer(Environment& environment, ServerConfig config)
    : environment_(environment), config_(std::move(config)), gpadls_(config_.gpadl_limits) {
    environment_.ports.create_message_connection(spec::kMessageConnectionOld);
    // Without connection 4 a guest learns by the hypercall's status that 5.0 is not spoken here.
    if (config_.max_version >= Version::v5_0)
        environment_.ports.create_message_connection(spec::kMessageConnectionNew);
}

VmbusServer::~VmbusServer() {
    for (const auto& [id, channel] : channels_)
        if (channel->state() == ChannelState::open)
            environment_.ports.delete_event_connection(channel->connection_id());
    environment_.ports.delete_message_connection(spec::kMessageConnectionOld);
    if (config_.max_version >= Version::v5_0)
        environment_.ports.delete_message_connection(spec::kMessageConnectionNew);
}

MessageResult VmbusServer::on_message(sim::Time now, std::span<const std::uint8_t> payload) {
    enter(now);
    flush_messages();
    if (outgoing_.size() >= config_.max_queued_messages) {
        busy_++;
        return MessageResult::busy;
    }
    environment_.charge(environment_.costs.message);
    spec::MessageHeader header;
    if (payload.size() < sizeof(header) || payload.size() > spec::kMaxPayload) {
        truncated_++;
        return MessageResult::accepted;
    }
    std::memcpy(&header, payload.data(), sizeof(header));
    const std::size_t row = spec::message_row(header.type);
    if (row == spec::kMessageTable.size()) {
        unknown_++;
        return MessageResult::accepted;
    }
    const spec::MessageDescription& description = spec::kMessageTable[row];
    const bool spoken = state_ == ConnectionState::disconnected ||
                        state_ == ConnectionState::disconnecting ||
                        description.first_version <= version_;
    if (description.direction != spec::Direction::to_host || !spoken) {
        unknown_++;
    } else if (payload.size() < description.size) {
        truncated_++;
    } else {
        dispatch(row, payload);
    }
    leave();
    return MessageResult::accepted;
}

void VmbusServer::dispatch(std::size_t row, std::span<const std::uint8_t> payload) {
#define HVSIM_VMBUS_RECEIVE_to_host(Struct) \
    case MessageType::k##Struct:            \
        return receive<spec::Struct>(payload);
#define HVSIM_VMBUS_RECEIVE_to_guest(Struct) \
    case MessageType::k##Struct:             \
        break;
#define HVSIM_VMBUS_RECEIVE(number, Struct, direction, first) \
    HVSIM_VMBUS_RECEIVE_##direction(Struct)
    switch (spec::kMessageTable[row].type) { HVSIM_VMBUS_MESSAGES(HVSIM_VMBUS_RECEIVE) }
#undef HVSIM_VMBUS_RECEIVE
#undef HVSIM_VMBUS_RECEIVE_to_host
#undef HVSIM_VMBUS_RECEIVE_to_guest
}

template <typename Message>
void VmbusServer::receive(std::span<const std::uint8_t> payload) {
    Message message;
    std::memcpy(&message, payload.data(), sizeof(message));
    constexpr MessageType kType = spec::kTypeOf<Message>;
    const std::size_t row = spec::message_row(static_cast<std::uint32_t>(kType));
    received_[row]++;
    environment_.record(sim::EventKind::kVmbusMessage, sim::kNoUnit,
                        static_cast<std::uint32_t>(kType), relid_of(message), 0, payload.size());
    const Rule rule = rule_for(kType, state_);
    const Rule done =
        rule == Rule::unexpected ? rule : handle(message, rule, payload.subspan(sizeof(message)));
    if (done == Rule::unexpected) unexpected_[row]++;
}

template <typename Message>
void VmbusServer::send_to(MessageTarget target, Message message) {
    constexpr MessageType kType = spec::kTypeOf<Message>;
    message.header.type = static_cast<std::uint32_t>(kType);
    OutgoingMessage out;
    out.target = target;
    out.size = sizeof(message);
    std::memcpy(out.bytes.data(), &message, sizeof(message));
    sent_[spec::message_row(static_cast<std::uint32_t>(kType))]++;
    environment_.record(sim::EventKind::kVmbusMessage, static_cast<std::uint16_t>(target.vp),
                        static_cast<std::uint32_t>(kType), relid_of(message), 1, sizeof(message));
    outgoing_.push_back(out);
    most_queued_ = std::max(most_queued_, outgoing_.size());
    flush_messages();
}

template <typename Message>
void VmbusServer::send(Message message) {
    send_to(target_, message);
}

#define HVSIM_VMBUS_SEND_to_guest(Struct) template void VmbusServer::send(spec::Struct);
#define HVSIM_VMBUS_SEND_to_host(Struct)
#define HVSIM_VMBUS_SEND(number, Struct, direction, first) HVSIM_VMBUS_SEND_##direction(Struct)
HVSIM_VMBUS_MESSAGES(HVSIM_VMBUS_SEND)
#undef HVSIM_VMBUS_SEND
#undef HVSIM_VMBUS_SEND_to_guest
#undef HVSIM_VMBUS_SEND_to_host

void VmbusServer::flush_messages() {
    while (!outgoing_.empty()) {
        const OutgoingMessage& message = outgoing_.front();
        const PostResult result = environment_.port.post_message(
            message.target, std::span(message.bytes).first(message.size));
        if (result == PostResult::no_buffers) return;
        if (result == PostResult::failed) undeliverable_++;
        outgoing_.pop_front();
    }
}

void VmbusServer::retry_messages(sim::Time now) {
    enter(now);
    flush_messages();
}

void VmbusServer::on_signal(sim::Time now, std::uint32_t connection_id) {
    enter(now);
    const std::uint32_t relid = connection_id - Channel::kFirstConnection;
    const auto it = relid <= spec::kMaxRelid ? channels_.find(relids_[relid]) : channels_.end();
    if (it == channels_.end()) {
        unknown_signals_++;
        return;
    }
    it->second->signalled();
    it->second->run(config_.packets_per_step);
    leave();
}

bool VmbusServer::work_pending() const {
    return settle_pending_ ||
           std::any_of(channels_.begin(), channels_.end(),
                       [](const auto& entry) { return entry.second->work_pending(); });
}

void VmbusServer::run(sim::Time now) {
    enter(now);
    // A provider may offer sub-channels meanwhile: they come behind, with greater ids.
    for (auto it = channels_.begin(); it != channels_.end(); ++it)
        if (it->second->work_pending()) it->second->run(config_.packets_per_step);
    leave();
}

// Finishes what callbacks may only ask for: they run while a channel is being worked on.
void VmbusServer::leave() {
    while (settle_pending_) {
        settle_pending_ = false;
        const bool in_use = std::any_of(channels_.begin(), channels_.end(),
                                        [](const auto& entry) { return entry.second->in_use(); });
        if (state_ == ConnectionState::disconnecting && !in_use) finish_disconnect();
        std::erase_if(channels_, [](const auto& entry) {
            const Channel& channel = *entry.second;
            return channel.removed() && channel.relid() == 0 && !channel.in_use();
        });
    }
}

bool VmbusServer::version_allowed(std::uint32_t version) const {
    const auto wanted = static_cast<Version>(version);
    const auto contains = [wanted](const auto& list) {
        return std::find(list.begin(), list.end(), wanted) != list.end();
    };
    return contains(spec::kVersions) && wanted <= config_.max_version &&
           !contains(config_.refused_versions);
}

Rule VmbusServer::handle(const spec::InitiateContact& message, Rule rule, Rest) {
    pending_contact_ = message;
    if (rule == Rule::defer)
        after_disconnect_ = AfterDisconnect::contact;
    else if (state_ == ConnectionState::disconnected)
        accept_contact(message);
    else
        disconnect(
            AfterDisconnect::contact);  // a crash kernel does not say goodbye for the old one
    return rule;
}

void VmbusServer::accept_contact(const spec::InitiateContact& message) {
    MessageTarget target;
    // Before 3.0 everything goes to VP 0.
    if (message.version >= static_cast<std::uint32_t>(Version::v3_0)) target.vp = message.target_vp;
    bool supported = version_allowed(message.version);
    spec::VersionResponse response;
    if (message.version >= static_cast<std::uint32_t>(Version::v5_0)) {
        const auto sint = static_cast<std::uint8_t>(message.interrupt_info);
        const auto vtl = static_cast<std::uint8_t>(message.interrupt_info >> 8);
        if (sint != spec::kVmbusSint || vtl != 0) supported = false;
        target.sint = sint;
        response.connection_or_version = supported ? spec::kMessageConnectionNew : 0;
    } else {
        response.connection_or_version = supported ? message.version : 0;
    }
    if ((message.monitor_page_to_guest == 0) != (message.monitor_page_to_host == 0) && supported) {
        // Linux looks at version_supported only, so a failure must show there too.
        supported = false;
        response.connection_state = spec::kConnectionFailed;
        response.connection_or_version = 0;
    }
    response.version_supported = supported ? 1 : 0;
    if (supported) {
        version_ = static_cast<Version>(message.version);
        state_ = ConnectionState::connected;
        target_ = target;
    }
    send_to(target, response);
}

Rule VmbusServer::handle(const spec::Unload&, Rule rule, Rest) {
    if (rule == Rule::defer)
        after_disconnect_ = AfterDisconnect::unload_response;
    else if (state_ == ConnectionState::disconnected)
        send(spec::UnloadResponse{});
    else
        disconnect(AfterDisconnect::unload_response);
    return rule;
}

Rule VmbusServer::handle(const spec::RequestOffers&, Rule rule, Rest) {
    state_ = ConnectionState::offering;
    send_offers();
    send(spec::AllOffersDelivered{});
    return rule;
}

Rule VmbusServer::handle(const spec::TlConnectRequest& message, Rule rule, Rest) {
    if (version_ >= Version::v4_1) {
        spec::TlConnectResult result;
        result.endpoint = message.endpoint;
        result.service = message.service;
        result.status = spec::kStatusConnectionRefused;
        send(result);
    }
    return rule;
}

void VmbusServer::reset(sim::Time now) {
    enter(now);
    if (state_ == ConnectionState::disconnecting)
        after_disconnect_ = AfterDisconnect::nothing;
    else if (state_ != ConnectionState::disconnected)
        disconnect(AfterDisconnect::nothing);
    dropped_ += outgoing_.size();
    outgoing_.clear();
    leave();
}

void VmbusServer::disconnect(AfterDisconnect next) {
    state_ = ConnectionState::disconnecting;
    after_disconnect_ = next;
    deferred_opens_.clear();
    for (auto& [id, channel] : channels_) {
        if (channel->state() == ChannelState::open)
            close_channel(*channel, CloseReason::disconnect);
        else if (channel->state() == ChannelState::closing_reopen)
            channel->set_state(ChannelState::closing);
    }
    settle_pending_ = true;
}

// Only now may the guest use its memory for something else: no provider works with it any more.
void VmbusServer::finish_disconnect() {
    dropped_ += outgoing_.size();
    outgoing_.clear();
    gpadls_.clear();
    for (auto& [id, channel] : channels_) {
        if (channel->relid() != 0) free_relid(*channel, ChannelState::unoffered);
        channel->set_state(ChannelState::unoffered);
        if (channel->primary() != 0) channel->set_removed();
    }
    settle_pending_ = true;  // some may be removed now
    state_ = ConnectionState::disconnected;
    const AfterDisconnect next = after_disconnect_;
    after_disconnect_ = AfterDisconnect::nothing;
    if (next == AfterDisconnect::unload_response) send(spec::UnloadResponse{});
    if (next == AfterDisconnect::contact) accept_contact(pending_contact_);
}

}  // namespace hvsim::vmbus
