#pragma once
// The root partition's software: one native program on each root virtual processor, its SynIC, and
// the way from a message, an event flag or a device's interrupt to whom it concerns.
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cpu/native_core.h"
#include "hypervisor-model/spec/synic.h"
#include "hypervisor-model/stack/root_memory.h"
#include "hypervisor-model/stack/winhv.h"
#include "sim/timing.h"

namespace hvsim::hv::stack {

class RootPartition;

/// SINTs of the root partition. Intercept messages come at SINT 0 (TLFS 11.10).
inline constexpr unsigned kInterceptSint = 0, kMessageSint = 2, kEventSint = 3;
inline constexpr std::uint8_t kSintVectorBase = 0x30;  ///< + SINT
/// Vectors of the root's own: its timer, the host's keyboard, and the first of devices.
inline constexpr std::uint8_t kRootTimerVector = 0x3e, kNoticeVector = 0x3f,
                              kFirstRootDeviceVector = 0x40;

/// One root virtual processor: takes interrupts, empties its message slots and event flags.
class RootVp final : public cpu::NativeProgram {
  public:
    RootVp(RootPartition& root, cpu::NativeCore& core, VpIndex index, std::uint64_t pages);

    cpu::NativeStep step(cpu::NativeCore& core, sim::Time now) override;
    sim::Duration interrupt(cpu::NativeCore& core, std::uint8_t vector, sim::Time now) override;

    WinHv& winhv() noexcept { return winhv_; }
    VpIndex index() const noexcept { return index_; }
    /// The processor's timer (its synthetic timer 0): once, in `delay`, kRootTimerVector
    /// interrupts. Within a step; a later call sets it anew.
    void set_timer(sim::Duration delay);
    static constexpr std::uint64_t kPages = 5;  ///< taken from `pages` on

  private:
    void start();
    bool take_message(unsigned sint);
    bool take_events();

    RootPartition& root_;
    cpu::NativeCore& core_;
    VpIndex index_;
    std::uint64_t pages_;
    WinHv winhv_;
    bool started_ = false;
    bool messages_ = false, events_ = false;
};

/// Receives what concerns one virtual machine.
class PartitionClient {
  public:
    virtual ~PartitionClient() = default;
    /// An intercept message of the partition's virtual processor.
    virtual void on_intercept(RootVp& vp, const MessageSlot& message) = 0;
    /// More to do than the last call did: called until it returns false.
    virtual bool on_work(RootVp& vp) = 0;
};

/// Receives messages or signals that arrive at a port of the root partition.
class PortClient {
  public:
    virtual ~PortClient() = default;
    /// `type`: of the message, as its sender chose it.
    virtual void on_message(RootVp&, std::uint32_t connection, std::uint32_t type,
                            std::span<const std::uint8_t> payload) {}
    virtual void on_signal(RootVp&, std::uint32_t connection) {}
};

class RootPartition {
  public:
    RootPartition(const sim::TimingProfile& timing, RootMemory& memory)
        : timing_(timing), memory_(memory) {}

    /// Before the run: `core` becomes root virtual processor `index`.
    void add_vp(cpu::NativeCore& core);
    RootVp& vp(VpIndex index) { return *vps_.at(index); }
    RootMemory& memory() noexcept { return memory_; }
    const sim::TimingProfile& timing() const noexcept { return timing_; }

    /// Work of partition clients is done on root virtual processor 0.
    void add_client(PartitionClient& client) { clients_.push_back(&client); }
    /// Intercept messages name their partition by its id.
    void set_intercept_client(PartitionId partition, PartitionClient& client) {
        intercept_clients_[partition] = &client;
    }
    /// Called at the interrupt of a device or timer (vector of the root's own).
    void set_device_handler(std::uint8_t vector, std::function<void(RootVp&)> handler) {
        device_handlers_[vector] = std::move(handler);
    }

    /// A port of the root that `from` reaches by `connection`; messages or signals go to `client`
    /// with that connection id. Refused (nothing is made) where `from` has such a connection
    /// already, or the root no event flag left.
    HvStatus create_message_port(WinHv& winhv, PartitionId from, ConnectionId connection,
                                 PortClient& client);
    HvStatus create_event_port(WinHv& winhv, PartitionId from, ConnectionId connection,
                               PortClient& client);
    void delete_port(WinHv& winhv, PartitionId from, ConnectionId connection);

    /// A port of `child`'s SINT that the root reaches; returns the root's connection id.
    ConnectionId connect_to_child(WinHv& winhv, PartitionId child, PortType type, VpIndex vp,
                                  unsigned sint);

  private:
    friend class RootVp;
    struct Endpoint {
        PortType type = PortType::message;
        PartitionId from = 0;
        ConnectionId connection = 0;
        PortClient* client = nullptr;
        std::uint16_t flag = 0;
    };
    void on_message(RootVp& vp, unsigned sint, const MessageSlot& message);
    void on_event(RootVp& vp, std::uint16_t flag);
    bool on_work(RootVp& vp);
    HvStatus create_root_port(WinHv& winhv, const PortInfo& info, const Endpoint& endpoint);

    const sim::TimingProfile& timing_;
    RootMemory& memory_;
    std::vector<std::unique_ptr<RootVp>> vps_;
    std::vector<PartitionClient*> clients_;
    std::map<PartitionId, PartitionClient*> intercept_clients_;
    std::map<std::uint8_t, std::function<void(RootVp&)>> device_handlers_;
    std::deque<std::uint8_t> device_interrupts_;
    std::map<PortId, Endpoint> ports_;
    std::map<std::uint16_t, PortId> flags_;  // event flag to port
    PortId next_port_ = 1;
    std::map<PartitionId, PortId> next_child_port_;
    ConnectionId next_connection_ = 0x1000;
};

}  // namespace hvsim::hv::stack
