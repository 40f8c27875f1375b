// Offers, buffers and channels of VmbusServer.
#include <algorithm>
#include <cstring>

#include "sim/error.h"
#include "vmbus-model/server.h"

namespace hvsim::vmbus {

using spec::MessageType;
using spec::Version;

OfferId VmbusServer::offer(sim::Time now, const Offer& offer, ServiceProvider& provider) {
    enter(now);
    for (const auto& [id, channel] : channels_)
        if (!channel->removed() && channel->offer().type == offer.type &&
            channel->offer().instance == offer.instance)
            throw sim::ConfigError("two VMBus devices of type " + spec::to_string(offer.type) +
                                       " have the instance " + spec::to_string(offer.instance),
                                   "give each device an instance GUID of its own");
    const OfferId id = add_channel(provider, offer, 0, 0);
    send_offers();
    return id;
}

void VmbusServer::offer_subchannels(Channel& primary, std::uint16_t count) {
    std::uint16_t last = 0;
    for (const auto& [id, channel] : channels_)
        if (channel->primary() == primary.id()) last = std::max(last, channel->subchannel_index());
    for (std::uint16_t i = 1; i <= count; ++i)
        add_channel(primary.provider(), primary.offer(), static_cast<std::uint16_t>(last + i),
                    primary.id());
    send_offers();
}

OfferId VmbusServer::add_channel(ServiceProvider& provider, const Offer& offer,
                                 std::uint16_t subchannel_index, OfferId primary) {
    const OfferId id = next_offer_++;
    ChannelOwner& owner = *this;
    channels_.emplace(id, std::make_unique<Channel>(environment_, owner, provider, id, offer,
                                                    subchannel_index, primary));
    return id;
}

// While the guest still holds a rescinded channel of the same name it would take a new offer for a
// mistake: the new one waits until the old relid comes back.
bool VmbusServer::offer_conflicts(const Channel& wanted) const {
    return std::any_of(channels_.begin(), channels_.end(), [&](const auto& entry) {
        const Channel& other = *entry.second;
        return &other != &wanted && other.relid() != 0 &&
               other.offer().type == wanted.offer().type &&
               other.offer().instance == wanted.offer().instance &&
               other.subchannel_index() == wanted.subchannel_index();
    });
}

void VmbusServer::send_offers() {
    if (state_ != ConnectionState::offering) return;
    for (auto& [id, channel] : channels_)
        if (channel->state() == ChannelState::unoffered && !channel->removed() &&
            !offer_conflicts(*channel))
            send_offer(*channel);
}

void VmbusServer::send_offer(Channel& channel) {
    const auto free = std::find(relids_.begin() + 1, relids_.end(), OfferId{0});
    if (free == relids_.end()) {
        out_of_relids_++;
        return;
    }
    *free = channel.id();
    channel.assign_relid(static_cast<std::uint32_t>(free - relids_.begin()));
    channel.set_state(ChannelState::offered);
    spec::OfferChannel message;
    message.interface_type = channel.offer().type;
    message.interface_instance = channel.offer().instance;
    message.flags = channel.offer().flags;
    message.mmio_megabytes = channel.offer().mmio_megabytes;
    message.user_defined = channel.offer().user_defined;
    message.subchannel_index = channel.subchannel_index();
    message.relid = channel.relid();
    // No monitor page: the guest always signals by hypercall. Dedicated: it does not set a bit in
    // an interrupt page that nobody reads.
    message.is_dedicated = 1;
    message.connection_id = channel.connection_id();
    send(message);
}

const Channel* VmbusServer::channel(OfferId id) const {
    const auto it = channels_.find(id);
    return it == channels_.end() ? nullptr : it->second.get();
}

Rule VmbusServer::channel_rule(MessageType type, std::uint32_t relid, Channel*& channel) {
    const OfferId id = relid <= spec::kMaxRelid ? relids_[relid] : 0;
    channel = id == 0 ? nullptr : channels_.at(id).get();
    return rule_for(type, channel == nullptr ? ChannelState::unoffered : channel->state());
}

Rule VmbusServer::handle(const spec::OpenChannel& message, Rule rule, Rest) {
    Channel* channel = nullptr;
    if (rule == Rule::perform)
        rule = channel_rule(MessageType::kOpenChannel, message.relid, channel);
    if (rule == Rule::perform) {
        open_channel(*channel, message);
    } else if (rule == Rule::defer) {
        channel->set_state(ChannelState::closing_reopen);
        deferred_opens_[channel->id()] = message;
    } else if (rule == Rule::refuse) {
        send(
            spec::OpenChannelResult{{}, message.relid, message.open_id, spec::kStatusUnsuccessful});
    }
    return rule;
}

void VmbusServer::open_channel(Channel& channel, const spec::OpenChannel& message) {
    const std::uint32_t status = try_open(channel, message);
    if (status == spec::kStatusSuccess) {
        channel.set_state(ChannelState::open);
        environment_.ports.create_event_connection(channel.connection_id());
    }
    send(spec::OpenChannelResult{{}, message.relid, message.open_id, status});
}

std::uint32_t VmbusServer::try_open(Channel& channel, const spec::OpenChannel& message) {
    const Gpadl* gpadl = gpadls_.created(message.ring_gpadl, channel.relid());
    if (gpadl == nullptr || gpadl->ranges.ranges.size() != 1) return spec::kStatusUnsuccessful;
    const GpaRange& range = gpadl->ranges.ranges[0];
    constexpr std::uint32_t kSmallestHalf = 2;  // control page and one page of data
    if (range.byte_offset != 0 || range.byte_count % spec::kRingPageSize != 0 ||
        message.downstream_page_offset < kSmallestHalf ||
        message.downstream_page_offset > range.page_count ||
        range.page_count - message.downstream_page_offset < kSmallestHalf)
        return spec::kStatusUnsuccessful;
    return channel.open(gpadl->ranges.pages, message.downstream_page_offset, message.ring_gpadl,
                        message.target_vp, message.user_data);
}

Rule VmbusServer::handle(const spec::CloseChannel& message, Rule rule, Rest) {
    Channel* channel = nullptr;
    rule = channel_rule(MessageType::kCloseChannel, message.relid, channel);
    if (rule != Rule::perform) return rule;
    if (channel->state() == ChannelState::closing_reopen) {
        // The guest gives up waiting for its second open.
        const spec::OpenChannel open = deferred_opens_.at(channel->id());
        deferred_opens_.erase(channel->id());
        channel->set_state(ChannelState::closing);
        send(spec::OpenChannelResult{{}, open.relid, open.open_id, spec::kStatusUnsuccessful});
        return rule;
    }
    close_channel(*channel, CloseReason::closed);
    if (channel->primary() == 0) rescind_subchannels(channel->id());
    return rule;
}

void VmbusServer::close_channel(Channel& channel, CloseReason reason) {
    environment_.ports.delete_event_connection(channel.connection_id());
    channel.set_state(reason == CloseReason::rescinded ? ChannelState::revoked
                                                       : ChannelState::closing);
    channel.close(reason);
}

void VmbusServer::channel_released(Channel& channel) {
    settle_pending_ = true;
    if (channel.relid() != 0) complete_teardowns(channel.relid());
    if (channel.state() == ChannelState::closing) channel.set_state(ChannelState::offered);
    if (channel.state() == ChannelState::closing_reopen) {
        channel.set_state(ChannelState::offered);
        const spec::OpenChannel open = deferred_opens_.at(channel.id());
        deferred_opens_.erase(channel.id());
        open_channel(channel, open);
    }
}

Rule VmbusServer::handle(const spec::GpadlHeader& message, Rule rule, Rest rest) {
    Channel* channel = nullptr;
    if (rule == Rule::perform)
        rule = channel_rule(MessageType::kGpadlHeader, message.relid, channel);
    GpadlTable::Step step = GpadlTable::Step::refused;
    if (rule == Rule::perform) step = gpadls_.begin(message, rest);
    if (step == GpadlTable::Step::created)
        send(spec::GpadlCreated{{}, message.relid, message.gpadl, spec::kStatusSuccess});
    if (step == GpadlTable::Step::refused) {
        send(spec::GpadlCreated{{}, message.relid, message.gpadl, spec::kStatusUnsuccessful});
        rule = Rule::refuse;
    }
    return rule;
}

Rule VmbusServer::handle(const spec::GpadlBody& message, Rule rule, Rest rest) {
    std::uint32_t relid = 0;
    const GpadlTable::Step step = gpadls_.append(message.gpadl, rest, relid);
    if (step == GpadlTable::Step::unknown) return Rule::unexpected;
    if (step == GpadlTable::Step::created)
        send(spec::GpadlCreated{{}, relid, message.gpadl, spec::kStatusSuccess});
    if (step == GpadlTable::Step::refused)
        send(spec::GpadlCreated{{}, relid, message.gpadl, spec::kStatusUnsuccessful});
    return rule;
}

Rule VmbusServer::handle(const spec::GpadlTeardown& message, Rule rule, Rest) {
    Channel* channel = nullptr;
    rule = channel_rule(MessageType::kGpadlTeardown, message.relid, channel);
    if (rule != Rule::perform) return rule;
    Gpadl* gpadl = gpadls_.find(message.gpadl);
    if (gpadl == nullptr || gpadl->relid != message.relid || gpadl->state != GpadlState::created)
        return Rule::unexpected;
    // The guest takes the answer as leave to use the memory for something else.
    const bool ring_in_use =
        channel->state() == ChannelState::open && channel->ring_gpadl() == message.gpadl;
    const bool provider_works = channel->state() != ChannelState::open && channel->in_use();
    if (ring_in_use || provider_works) {
        gpadl->state = GpadlState::tearing_down;
        return Rule::defer;
    }
    gpadls_.erase(message.gpadl);
    send(spec::GpadlTorndown{{}, message.gpadl});
    return rule;
}

void VmbusServer::complete_teardowns(std::uint32_t relid) {
    std::vector<std::uint32_t> handles;
    for (const auto& [handle, gpadl] : gpadls_.all())
        if (gpadl.relid == relid && gpadl.state == GpadlState::tearing_down)
            handles.push_back(handle);
    for (const std::uint32_t handle : handles) {
        gpadls_.erase(handle);
        if (state_ != ConnectionState::disconnecting) send(spec::GpadlTorndown{{}, handle});
    }
}

Rule VmbusServer::handle(const spec::ModifyChannel& message, Rule rule, Rest) {
    Channel* channel = nullptr;
    if (rule == Rule::perform)
        rule = channel_rule(MessageType::kModifyChannel, message.relid, channel);
    // Interrupts cannot be switched on or off in this way.
    if (rule == Rule::perform &&
        (message.target_vp == spec::kNoInterruptVp || channel->target_vp() == spec::kNoInterruptVp))
        rule = Rule::refuse;
    if (rule == Rule::perform) channel->set_target_vp(message.target_vp);
    if (version_ >= Version::v5_3)
        send(spec::ModifyChannelResponse{
            {},
            message.relid,
            rule == Rule::perform ? spec::kStatusSuccess : spec::kStatusUnsuccessful});
    return rule;
}

Rule VmbusServer::handle(const spec::RelIdReleased& message, Rule rule, Rest) {
    Channel* channel = nullptr;
    rule = channel_rule(MessageType::kRelIdReleased, message.relid, channel);
    if (rule != Rule::perform) return rule;
    gpadls_.erase_channel(message.relid);
    free_relid(*channel, ChannelState::released);
    settle_pending_ = true;
    send_offers();
    return rule;
}

void VmbusServer::free_relid(Channel& channel, ChannelState next) {
    relids_[channel.relid()] = 0;
    channel.assign_relid(0);
    channel.set_state(next);
}

void VmbusServer::rescind(sim::Time now, OfferId id) {
    enter(now);
    const auto it = channels_.find(id);
    if (it == channels_.end() || it->second->removed()) return;
    rescind_subchannels(id);
    rescind_channel(*it->second);
    leave();
}

void VmbusServer::rescind_subchannels(OfferId primary) {
    for (auto& [id, channel] : channels_)
        if (channel->primary() == primary && !channel->removed()) rescind_channel(*channel);
}

void VmbusServer::rescind_channel(Channel& channel) {
    channel.set_removed();
    settle_pending_ = true;
    switch (channel.state()) {
        case ChannelState::unoffered:
        case ChannelState::released:
        case ChannelState::revoked:
            return;
        case ChannelState::open:
            close_channel(channel, CloseReason::rescinded);
            break;
        case ChannelState::closing_reopen:
            deferred_opens_.erase(channel.id());  // the rescind itself wakes the waiting guest
            [[fallthrough]];
        case ChannelState::closing:
        case ChannelState::offered:
            channel.set_state(ChannelState::revoked);
            break;
    }
    if (state_ == ConnectionState::offering) send(spec::RescindChannelOffer{{}, channel.relid()});
}

}  // namespace hvsim::vmbus
