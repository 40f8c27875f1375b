#pragma once
// One channel: its rings, the loop that drains them, and when to signal the guest.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "vmbus-model/channel_rules.h"
#include "vmbus-model/platform.h"
#include "vmbus-model/ring/incoming_ring.h"
#include "vmbus-model/ring/outgoing_ring.h"
#include "vmbus-model/service_provider.h"

namespace hvsim::vmbus {

using OfferId = std::uint32_t;  ///< names a channel within its server for ever; 0 is none

enum class SendResult : std::uint8_t {
    sent,
    full,    ///< ready_to_send() will be called
    closed,  ///< no open ring: closed, failed, or failed by this very send
};

/// Counted over all times that the channel was open.
struct ChannelStatistics {
    std::uint64_t opens = 0;
    std::uint64_t packets_from_guest = 0;
    std::uint64_t bytes_from_guest = 0;  ///< ring bytes, trailers included
    std::uint64_t packets_to_guest = 0;
    std::uint64_t bytes_to_guest = 0;
    std::uint64_t signals_from_guest = 0;
    std::uint64_t idle_signals = 0;            ///< of these: nothing to read, nothing to send
    std::uint64_t signals_to_guest = 0;        ///< after a write
    std::uint64_t space_signals_to_guest = 0;  ///< after a read: the guest waited for space
    std::uint64_t signals_suppressed_by_mask = 0;
    std::uint64_t signals_suppressed_not_empty = 0;
    std::uint64_t signals_lost = 0;  ///< no interrupts wanted at OpenChannel, or no such VP
    std::uint64_t ring_full = 0;     ///< sends that found no space
    std::uint64_t paused = 0;        ///< times that the provider was busy
    std::uint64_t faults = 0;        ///< times that the guest corrupted a ring
};

class Channel;

/// The server's side of a channel's own events.
class ChannelOwner {
  public:
    virtual ~ChannelOwner() = default;
    virtual void channel_released(Channel& channel) = 0;
};

class Channel {
  public:
    Channel(Environment& environment, ChannelOwner& owner, ServiceProvider& provider, OfferId id,
            const Offer& offer, std::uint16_t subchannel_index, OfferId primary);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // For service providers.

    OfferId id() const { return id_; }
    std::uint16_t subchannel_index() const { return subchannel_index_; }
    const Offer& offer() const { return offer_; }
    std::uint32_t relid() const { return relid_; }
    std::uint32_t target_vp() const { return target_vp_; }
    /// OpenChannel.user_data.
    const std::array<std::uint8_t, 120>& user_data() const { return user_data_; }
    bool running() const { return incoming_.has_value() && fault_ == RingFault::none; }
    Environment& environment() { return environment_; }

    SendResult send(const OutgoingPacket& packet);
    /// Reads on after can_receive() said no, in the server's next run().
    void resume();
    /// See ServiceProvider::channel_closed().
    void release();

    // For the server.

    ChannelState state() const { return state_; }
    void set_state(ChannelState state) { state_ = state; }
    bool removed() const { return removed_; }
    void set_removed() { removed_ = true; }
    bool in_use() const { return in_use_; }
    OfferId primary() const { return primary_; }
    ServiceProvider& provider() { return provider_; }
    std::uint32_t ring_gpadl() const { return ring_gpadl_; }
    std::uint32_t connection_id() const { return kFirstConnection + relid_; }
    void assign_relid(std::uint32_t relid) { relid_ = relid; }
    void set_target_vp(std::uint32_t vp) { target_vp_ = vp; }
    const ChannelStatistics& statistics() const { return statistics_; }
    RingFault fault() const { return fault_; }

    /// Takes over both rings and asks the provider. Returns the status for the guest.
    std::uint32_t open(std::vector<std::uint64_t> pages, std::uint32_t downstream_page,
                       std::uint32_t ring_gpadl, std::uint32_t target_vp,
                       const std::array<std::uint8_t, 120>& user_data);
    /// Drops the rings and tells the provider; in_use() until it releases the channel.
    void close(CloseReason reason);
    void signalled();
    bool work_pending() const { return work_pending_ && running(); }
    /// Handles up to `budget` packets; work_pending() when that was not all.
    void run(std::uint32_t budget);

    static constexpr std::uint32_t kFirstConnection = 0x2000;

  private:
    bool drain(std::uint32_t budget);
    bool take_packet();
    bool publish();
    void signal_guest();
    void fail(RingFault fault);
    std::uint16_t vp_of_event() const { return static_cast<std::uint16_t>(target_vp_); }

    Environment& environment_;
    ChannelOwner& owner_;
    ServiceProvider& provider_;
    const OfferId id_;
    const Offer offer_;
    const std::uint16_t subchannel_index_;
    const OfferId primary_;

    ChannelState state_ = ChannelState::unoffered;
    bool removed_ = false;  // the device is gone; the object goes when guest and provider let it
    bool in_use_ = false;   // the provider works for the channel (since open, until release)
    std::uint32_t relid_ = 0;
    std::uint32_t ring_gpadl_ = 0;
    std::uint32_t target_vp_ = spec::kNoInterruptVp;
    std::array<std::uint8_t, 120> user_data_{};

    std::optional<IncomingRing> incoming_;
    std::optional<OutgoingRing> outgoing_;
    RingFault fault_ = RingFault::none;
    bool work_pending_ = false;
    bool paused_ = false;             // the provider cannot receive
    bool waiting_for_space_ = false;  // a send found the ring full
    std::vector<std::uint8_t> buffer_;
    Packet packet_;
    ChannelStatistics statistics_;
};

}  // namespace hvsim::vmbus
