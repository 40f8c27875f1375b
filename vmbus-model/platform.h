#pragma once
// What VMBus needs from the floor below, as interfaces of its own: the child's memory, the ports
// of the hypervisor, and whom to tell what the work cost. The root partition's stack plugs in.
#include <algorithm>
#include <cstdint>
#include <span>

#include "sim/recorder.h"
#include "sim/time.h"
#include "sim/timing.h"

namespace hvsim::vmbus {

/// The child's memory by guest-physical address, as the root partition sees it. Everything is
/// copied. An access that is not wholly in mapped memory answers false; a failed read leaves `out`
/// unspecified, a failed write may have written a prefix.
class GuestMemory {
  public:
    virtual ~GuestMemory() = default;
    virtual bool read(std::uint64_t gpa, std::span<std::uint8_t> out) = 0;
    virtual bool write(std::uint64_t gpa, std::span<const std::uint8_t> in) = 0;
};

/// Where a message to the guest goes.
struct MessageTarget {
    std::uint32_t vp = 0;
    std::uint8_t sint = 2;
};

enum class PostResult : std::uint8_t {
    posted,
    no_buffers,  ///< try again after VmbusServer::retry_messages() has been called
    failed,      ///< will never succeed (no such VP)
};

/// The root partition's connections to the child's ports.
class GuestPort {
  public:
    virtual ~GuestPort() = default;
    /// HvCallPostMessage of type 1; at most 240 bytes. Messages arrive in order.
    virtual PostResult post_message(MessageTarget target,
                                    std::span<const std::uint8_t> payload) = 0;
    /// HvCallSignalEvent: event flag `flag` (= relid) of SINT 2 of `vp`. False: no such VP.
    virtual bool signal_event(std::uint32_t vp, std::uint16_t flag) = 0;
};

/// Creates and deletes ports of the root partition that the child reaches by connection id.
class PortRegistry {
  public:
    virtual ~PortRegistry() = default;
    /// Messages that the child posts there go to VmbusServer::on_message().
    virtual void create_message_connection(std::uint32_t connection_id) = 0;
    virtual void delete_message_connection(std::uint32_t connection_id) = 0;
    /// Signals there go to VmbusServer::on_signal().
    virtual void create_event_connection(std::uint32_t connection_id) = 0;
    virtual void delete_event_connection(std::uint32_t connection_id) = 0;
};

/// Where the cost of the root partition's work is booked: the running native task.
class CostSink {
  public:
    virtual ~CostSink() = default;
    virtual void charge(sim::Duration cost) = 0;
    /// The task's time: what was charged and its hypercalls have moved it on.
    virtual sim::Time now() const = 0;
};

/// What the root partition's work costs, picoseconds. Hypercalls (posting, signalling) are charged
/// by the hypervisor, not here.
struct Costs {
    sim::Duration message = 0;     ///< one control message received
    sim::Duration packet = 0;      ///< one packet taken from a ring
    sim::Duration request = 0;     ///< one storage request through the stack to the device
    sim::Duration completion = 0;  ///< one packet put into a ring
    sim::Duration page = 0;        ///< each 4 KiB page of a request

    static constexpr Costs from(const sim::TimingProfile& profile) {
        return {profile.root_message, profile.root_packet, profile.root_request,
                profile.root_completion, profile.root_page};
    }
};

/// All that the models of one child partition's VMBus share.
struct Environment {
    GuestMemory& memory;
    GuestPort& port;
    PortRegistry& ports;
    CostSink& cost_sink;
    sim::Recorder* recorder = nullptr;  ///< may be absent
    Costs costs;
    std::uint16_t partition = sim::kNoUnit;
    sim::Time now = 0;  ///< begin of the step that runs; each entry point sets it

    /// How far the step has come.
    sim::Time time() const { return std::max(now, cost_sink.now()); }
    void charge(sim::Duration cost) {
        if (cost != 0) cost_sink.charge(cost);
    }
    void record(sim::EventKind kind, std::uint16_t vp, std::uint64_t a, std::uint64_t b,
                std::uint64_t c, std::uint64_t d) const {
        if (recorder != nullptr)
            recorder->record(kind, time(), {sim::kNoUnit, partition, vp}, a, b, c, d);
    }
};

}  // namespace hvsim::vmbus
