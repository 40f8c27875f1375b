#pragma once
// A port by which a program ends the run and says how: test kernels have no other way.
#include "devices/register_device.h"

namespace hvsim::devices {

class ExitControl {
  public:
    virtual ~ExitControl() = default;
    /// The program asked for the end of the run.
    virtual void exit(std::uint32_t code, sim::Time now) = 0;
};

/// Four ports; any write to the first is an exit with the written value. Reads give zero.
class DebugExit final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 4;

    /// Not owned.
    explicit DebugExit(ExitControl& control) : control_(control) {}
    std::uint64_t read_register(std::uint64_t, unsigned, sim::Time&) override { return 0; }
    void write_register(std::uint64_t offset, unsigned, std::uint64_t value,
                        sim::Time now) override {
        if (offset == 0) control_.exit(static_cast<std::uint32_t>(value), now);
    }
    unsigned widest_access() const noexcept override { return 4; }

  private:
    ExitControl& control_;
};

}  // namespace hvsim::devices
