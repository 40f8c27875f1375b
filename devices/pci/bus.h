#pragma once
// PCI bus 0 behind its host bridge: configuration mechanism 1 and the memory window of its devices.
#include <cstdint>
#include <map>

#include "devices/pci/function.h"

namespace hvsim::devices::pci {

/// Device and function number on bus 0: device 7:3, function 2:0.
using DeviceFunction = std::uint8_t;

class Bus {
  public:
    /// Not owned. A number that is taken is a model bug.
    void add(DeviceFunction number, Function& function);
    /// nullptr: nothing there.
    Function* at(std::uint8_t bus, DeviceFunction number) const;
    /// The function whose memory decodes `address` (the lowest number if several do), and where its
    /// memory starts.
    struct Decoded {
        Function* function = nullptr;
        std::uint64_t base = 0;
    };
    Decoded decode(std::uint64_t address) const;

  private:
    std::map<DeviceFunction, Function*> functions_;
};

/// Ports 0xCF8-0xCFF (PCI Local Bus 3.0, 3.2.2.3.2): a doubleword written to the first is the
/// address, accesses to the last four are to the configuration space. A byte access to 0xCF9 is not
/// the bridge's: `reset` (may be nullptr) takes it.
class ConfigPorts final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 8;
    /// Not owned.
    ConfigPorts(Bus& bus, RegisterDevice* reset) : bus_(bus), reset_(reset) {}

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 4; }

  private:
    Function* selected() const;
    std::size_t register_of(std::uint64_t offset) const;

    Bus& bus_;
    RegisterDevice* reset_;
    std::uint32_t address_ = 0;
};

/// The addresses that the host bridge hands to its bus: reads where no device answers give all
/// ones.
class MemoryWindow final : public RegisterDevice {
  public:
    MemoryWindow(Bus& bus, std::uint64_t base) : bus_(bus), base_(base) {}

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 8; }

  private:
    Bus& bus_;
    std::uint64_t base_;
};

}  // namespace hvsim::devices::pci
