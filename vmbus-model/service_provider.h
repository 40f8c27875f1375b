#pragma once
// What stands behind a channel: a device's service provider in the root partition.
#include <array>
#include <cstdint>

#include "vmbus-model/ring/packet.h"
#include "vmbus-model/spec/guid.h"

namespace hvsim::vmbus {

class Channel;

/// What a device tells the guest about itself when it is offered.
struct Offer {
    spec::Guid type;
    spec::Guid instance;
    std::uint16_t flags = 0;
    std::uint16_t mmio_megabytes = 0;
    std::array<std::uint8_t, 120> user_defined{};
};

enum class PacketResult : std::uint8_t {
    accepted,
    invalid,  ///< the guest breaks the protocol beyond repair: the channel fails
};

enum class CloseReason : std::uint8_t {
    closed,      ///< CloseChannel
    rescinded,   ///< the device was taken away
    disconnect,  ///< Unload, a new InitiateContact or a reset of the partition
};

/// Callbacks run within the server's or the provider's own entry points, never nested in another
/// callback of the same channel, except that Channel::send() may lead to channel_failed().
class ServiceProvider {
  public:
    virtual ~ServiceProvider() = default;

    /// The guest opens the channel. Returns the status for OpenChannelResult: 0 opens, anything
    /// else refuses. The provider may send at once.
    virtual std::uint32_t channel_opened(Channel& channel) = 0;
    /// Whether a packet may be taken from the ring now; if not, none is until Channel::resume().
    virtual bool can_receive(Channel& channel) = 0;
    /// One packet. Its payload and ranges are valid during the call only.
    virtual PacketResult packet_received(Channel& channel, const Packet& packet) = 0;
    /// After a send() that found the ring full: there may be space now.
    virtual void ready_to_send(Channel& channel) = 0;
    /// The rings are gone. The provider calls Channel::release(), now or later, once nothing that
    /// it started for this channel touches the guest's memory any more; it then forgets the
    /// channel. The guest's buffers count as in use until then.
    virtual void channel_closed(Channel& channel, CloseReason reason) = 0;
    /// The guest corrupted a ring: nothing comes or goes any more. channel_closed() follows when
    /// the guest closes the channel or goes away.
    virtual void channel_failed(Channel& channel) = 0;
};

}  // namespace hvsim::vmbus
