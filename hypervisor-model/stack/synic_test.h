#pragma once
// What a test kernel asks of its SynIC through devices/testing/hyperv_test_port.h, done by the
// hypercalls of its worker process.
#include <cstdint>
#include <map>
#include <utility>

#include "devices/testing/hyperv_test_port.h"
#include "hypervisor-model/stack/root_partition.h"

namespace hvsim::hv::stack {

class SynicTest final : public devices::SynicTestControl, private PortClient {
  public:
    explicit SynicTest(RootPartition& root) : root_(root) {}

    void set_partition(PartitionId partition) noexcept { partition_ = partition; }
    /// The hypercalls of the commands that follow are made on `vp`.
    void work_on(RootVp& vp) noexcept { vp_ = &vp; }

    struct Counters {
        std::uint64_t raised = 0, echoed = 0;
        /// Commands and echoes that the hypervisor or the state forbade.
        std::uint64_t refused = 0;
    };
    const Counters& counters() const noexcept { return counters_; }

    // --- devices::SynicTestControl ---
    void create_route(std::uint8_t vp, std::uint8_t sint, sim::Time now) override;
    void destroy_route(std::uint8_t vp, std::uint8_t sint, sim::Time now) override;
    /// One interrupt for each call while the SINT is not masked: an event flag that was clear, the
    /// next one each time, goes up.
    void raise(std::uint8_t vp, std::uint8_t sint, sim::Time now) override;
    void create_message_connection(std::uint8_t connection, std::uint8_t vp, std::uint8_t sint,
                                   sim::Time now) override;
    void destroy_message_connection(std::uint8_t connection, sim::Time now) override;
    void create_event_connection(std::uint8_t connection, std::uint8_t vp, std::uint8_t sint,
                                 sim::Time now) override;
    void destroy_event_connection(std::uint8_t connection, sim::Time now) override;

  private:
    using Route = std::pair<std::uint8_t, std::uint8_t>;  // virtual processor, SINT
    struct Connection {
        PortType type;
        Route route;
    };
    // PortClient: a message or signal of the guest goes back to it.
    void on_message(RootVp& vp, std::uint32_t connection, std::uint32_t type,
                    std::span<const std::uint8_t> payload) override;
    void on_signal(RootVp& vp, std::uint32_t connection) override;
    void create(std::uint8_t connection, PortType type, Route route);
    void destroy(std::uint8_t connection, PortType type);
    void count(HvStatus status, std::uint64_t& good);

    RootPartition& root_;
    PartitionId partition_ = kInvalidPartition;
    RootVp* vp_ = nullptr;
    std::map<Route, std::uint16_t> routes_;  // with the next event flag
    std::map<std::uint32_t, Connection> connections_;
    Counters counters_;
};

}  // namespace hvsim::hv::stack
