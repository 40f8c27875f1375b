#pragma once
// A port by which a test kernel in a partition asks for SynIC tests: routes from outside to its
// synthetic interrupt sources, and connections that send its messages and events back to it.
#include <cstdint>

#include "devices/register_device.h"

namespace hvsim::devices {

/// What the port asks for; whoever has the partition's SynIC does it.
class SynicTestControl {
  public:
    virtual ~SynicTestControl() = default;
    virtual void create_route(std::uint8_t vp, std::uint8_t sint, sim::Time now) = 0;
    virtual void destroy_route(std::uint8_t vp, std::uint8_t sint, sim::Time now) = 0;
    virtual void raise(std::uint8_t vp, std::uint8_t sint, sim::Time now) = 0;
    /// Messages posted to `connection` come back on the route.
    virtual void create_message_connection(std::uint8_t connection, std::uint8_t vp,
                                           std::uint8_t sint, sim::Time now) = 0;
    virtual void destroy_message_connection(std::uint8_t connection, sim::Time now) = 0;
    virtual void create_event_connection(std::uint8_t connection, std::uint8_t vp,
                                         std::uint8_t sint, sim::Time now) = 0;
    virtual void destroy_event_connection(std::uint8_t connection, sim::Time now) = 0;
};

/// Writes of four bytes: connection 31:24, command 23:16, virtual processor 15:8, source 7:0.
class HypervTestPort final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 4;

    /// Not owned; nullptr where there is no SynIC: commands are then counted and ignored.
    explicit HypervTestPort(SynicTestControl* control) : control_(control) {}

    std::uint64_t read_register(std::uint64_t, unsigned, sim::Time&) override { return 0; }
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 4; }
    std::uint64_t ignored() const noexcept { return ignored_; }

  private:
    bool perform(std::uint32_t value, sim::Time now);

    SynicTestControl* control_;
    std::uint64_t ignored_ = 0;
};

}  // namespace hvsim::devices
