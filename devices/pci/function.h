#pragma once
// One PCI function: its configuration space and the memory that its base address register decodes.
#include <array>
#include <cstdint>
#include <optional>

#include "devices/register_device.h"

namespace hvsim::devices::pci {

/// Configuration header type 0 (PCI Local Bus 3.0, 6.1).
inline constexpr std::size_t kConfigSize = 256;
inline constexpr std::size_t kVendor = 0x00, kDevice = 0x02, kCommand = 0x04, kStatus = 0x06,
                             kRevision = 0x08, kClass = 0x09, kBar0 = 0x10, kSubsystem = 0x2c,
                             kCapabilities = 0x34, kInterruptLine = 0x3c, kInterruptPin = 0x3d;
inline constexpr std::uint16_t kCommandMemory = 1 << 1, kCommandMaster = 1 << 2,
                               kCommandInterruptDisable = 1 << 10;
inline constexpr std::uint16_t kStatusInterrupt = 1 << 3, kStatusCapabilities = 1 << 4;

struct Identity {
    std::uint16_t vendor = 0, device = 0;
    std::uint8_t revision = 0;
    std::uint32_t class_code = 0;  ///< base class 23:16, subclass 15:8, interface 7:0
};

class Function {
  public:
    explicit Function(const Identity& identity);
    virtual ~Function() = default;

    /// `offset` and `size` (1, 2 or 4) stay within an aligned doubleword.
    std::uint32_t read_config(std::size_t offset, unsigned size) const;
    void write_config(std::size_t offset, unsigned size, std::uint32_t value, sim::Time now);

    /// The memory of BAR 0; nullptr: it has none.
    virtual RegisterDevice* memory() { return nullptr; }
    std::uint64_t memory_size() const noexcept { return bar_size_; }
    /// Where BAR 0 decodes; nothing while memory decoding is off.
    std::optional<std::uint64_t> memory_base() const;
    /// Firmware's assignment of resources; memory decoding is then on.
    void assign(std::uint32_t memory_base, std::uint8_t interrupt_line);

  protected:
    /// Something the function itself cares about may have changed.
    virtual void config_written(sim::Time) {}

    template <typename T>
    T field(std::size_t offset) const {
        return static_cast<T>(read_config(offset, sizeof(T)));
    }
    /// Sets bytes and which of their bits software can write.
    void define(std::size_t offset, unsigned size, std::uint32_t value, std::uint32_t writable);
    /// A 32-bit memory BAR 0 of `size` bytes, a power of two from 16 on.
    void define_memory(std::uint32_t size);
    void set_status(std::uint16_t bit, bool value);

  private:
    std::array<std::uint8_t, kConfigSize> bytes_{};
    std::array<std::uint8_t, kConfigSize> writable_{};
    std::uint32_t bar_size_ = 0;
};

}  // namespace hvsim::devices::pci
