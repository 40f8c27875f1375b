#pragma once
// The VMBus server of one child partition: version negotiation, offers, buffers, channels.
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/statistics.h"
#include "vmbus-model/channel.h"
#include "vmbus-model/gpadl.h"
#include "vmbus-model/spec/protocol.h"

namespace hvsim::vmbus {

struct ServerConfig {
    spec::Version max_version = spec::Version::v5_3;
    std::vector<spec::Version> refused_versions;  ///< answered with version_supported = 0
    GpadlLimits gpadl_limits;
    std::size_t max_queued_messages = 4096;  ///< to the guest; beyond, the guest's own wait
    std::uint32_t packets_per_step = 64;     ///< of one channel before others get their turn
};

enum class MessageResult : std::uint8_t {
    accepted,
    busy,  ///< too many answers wait for the guest: keep it in the port and try again later
};

/// All entry points take the virtual time at which the root partition's task runs. After any entry
/// point, of the server or of a provider, the caller schedules run() while work_pending().
class VmbusServer final : public sim::StatisticsSource, private ChannelOwner {
  public:
    /// Creates the message connections; they and those of open channels end with the server.
    /// `environment` outlives it; providers are not told.
    VmbusServer(Environment& environment, ServerConfig config);
    ~VmbusServer() override;
    VmbusServer(const VmbusServer&) = delete;
    VmbusServer& operator=(const VmbusServer&) = delete;

    // From the hypervisor.

    /// A message that the guest posted to connection 1 or 4, of any content.
    MessageResult on_message(sim::Time now, std::span<const std::uint8_t> payload);
    /// The guest signalled an event connection; unknown ids are counted.
    void on_signal(sim::Time now, std::uint32_t connection_id);
    /// The guest's port has buffers again after PostResult::no_buffers.
    void retry_messages(sim::Time now);
    bool work_pending() const;
    void run(sim::Time now);
    /// The partition was reset: as if the guest had never connected.
    void reset(sim::Time now);

    // From devices.

    /// Offers a device. Throws ConfigError when the same type and instance are already there.
    OfferId offer(sim::Time now, const Offer& offer, ServiceProvider& provider);
    /// Takes a device away, sub-channels first. `provider` may go once exists() is false.
    void rescind(sim::Time now, OfferId id);
    bool exists(OfferId id) const { return channels_.contains(id); }
    /// Offers `count` more sub-channels of an open primary channel, by the same provider.
    void offer_subchannels(Channel& primary, std::uint16_t count);

    // For inspection.

    ConnectionState state() const { return state_; }
    spec::Version version() const { return version_; }  ///< valid while connected
    const Channel* channel(OfferId id) const;
    const GpadlTable& gpadls() const { return gpadls_; }
    std::size_t queued_messages() const { return outgoing_.size(); }
    std::uint64_t received(spec::MessageType type) const;
    std::uint64_t sent(spec::MessageType type) const;
    std::uint64_t unexpected(spec::MessageType type) const;  ///< protocol errors of the guest
    std::uint64_t unknown_messages() const { return unknown_; }
    std::uint64_t truncated_messages() const { return truncated_; }
    void collect(sim::StatisticsSink& sink) const override;

  private:
    struct OutgoingMessage {
        MessageTarget target;
        std::uint8_t size = 0;
        std::array<std::uint8_t, spec::kMaxPayload> bytes{};
    };
    /// What the guest waits for while the connection is being taken down.
    enum class AfterDisconnect : std::uint8_t { nothing, unload_response, contact };
    using Rest = std::span<const std::uint8_t>;  // what follows a message's fixed part

    void enter(sim::Time now) { environment_.now = now; }
    void leave();

    template <typename Message>
    void receive(std::span<const std::uint8_t> payload);
    void dispatch(std::size_t row, std::span<const std::uint8_t> payload);
    Rule handle(const spec::InitiateContact& message, Rule rule, Rest rest);
    Rule handle(const spec::Unload& message, Rule rule, Rest rest);
    Rule handle(const spec::RequestOffers& message, Rule rule, Rest rest);
    Rule handle(const spec::TlConnectRequest& message, Rule rule, Rest rest);
    Rule handle(const spec::OpenChannel& message, Rule rule, Rest rest);
    Rule handle(const spec::CloseChannel& message, Rule rule, Rest rest);
    Rule handle(const spec::GpadlHeader& message, Rule rule, Rest rest);
    Rule handle(const spec::GpadlBody& message, Rule rule, Rest rest);
    Rule handle(const spec::GpadlTeardown& message, Rule rule, Rest rest);
    Rule handle(const spec::ModifyChannel& message, Rule rule, Rest rest);
    Rule handle(const spec::RelIdReleased& message, Rule rule, Rest rest);

    void accept_contact(const spec::InitiateContact& message);
    bool version_allowed(std::uint32_t version) const;
    void disconnect(AfterDisconnect next);
    void finish_disconnect();

    Rule channel_rule(spec::MessageType type, std::uint32_t relid, Channel*& channel);
    void open_channel(Channel& channel, const spec::OpenChannel& message);
    std::uint32_t try_open(Channel& channel, const spec::OpenChannel& message);
    void close_channel(Channel& channel, CloseReason reason);
    void rescind_channel(Channel& channel);
    void rescind_subchannels(OfferId primary);
    void channel_released(Channel& channel) override;
    void complete_teardowns(std::uint32_t relid);
    void free_relid(Channel& channel, ChannelState next);
    OfferId add_channel(ServiceProvider& provider, const Offer& offer,
                        std::uint16_t subchannel_index, OfferId primary);
    void send_offers();
    bool offer_conflicts(const Channel& channel) const;
    void send_offer(Channel& channel);

    template <typename Message>
    void send(Message message);
    template <typename Message>
    void send_to(MessageTarget target, Message message);
    void flush_messages();

    Environment& environment_;
    const ServerConfig config_;

    ConnectionState state_ = ConnectionState::disconnected;
    spec::Version version_{};
    MessageTarget target_;
    AfterDisconnect after_disconnect_ = AfterDisconnect::nothing;
    spec::InitiateContact pending_contact_;  // for AfterDisconnect::contact
    bool settle_pending_ = false;            // leave() has something to finish or to remove

    std::map<OfferId, std::unique_ptr<Channel>> channels_;
    std::map<OfferId, spec::OpenChannel> deferred_opens_;  // of channels in closing_reopen
    std::array<OfferId, spec::kMaxRelid + 1> relids_{};    // 0 = free
    OfferId next_offer_ = 1;
    GpadlTable gpadls_;
    std::deque<OutgoingMessage> outgoing_;

    std::array<std::uint64_t, spec::kMessageTable.size()> received_{};
    std::array<std::uint64_t, spec::kMessageTable.size()> sent_{};
    std::array<std::uint64_t, spec::kMessageTable.size()> unexpected_{};
    std::uint64_t unknown_ = 0;
    std::uint64_t truncated_ = 0;
    std::uint64_t undeliverable_ = 0;
    std::uint64_t dropped_ = 0;  // still queued when the guest disconnected
    std::uint64_t busy_ = 0;
    std::uint64_t unknown_signals_ = 0;
    std::uint64_t out_of_relids_ = 0;
    std::size_t most_queued_ = 0;
};

}  // namespace hvsim::vmbus
