#pragma once
// The firmware configuration device of QEMU's machines (docs/specs/fw_cfg.rst), as far as programs
// ask it for the machine's size: selector at port 0x510, data bytes at 0x511, no DMA.
#include <cstdint>
#include <map>
#include <vector>

#include "devices/register_device.h"

namespace hvsim::devices {

struct FwCfgConfig {
    std::uint16_t processors = 1;
    std::uint64_t ram_bytes = 0;
};

class FwCfg final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 2;

    explicit FwCfg(const FwCfgConfig& config);

    /// Offset 1: the selected item's next byte; zero behind its end. Offset 0 reads as zero.
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    /// Offset 0, two bytes: selects an item from its start.
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 2; }

  private:
    void add(std::uint16_t item, std::uint64_t value, unsigned size);

    std::map<std::uint16_t, std::vector<std::uint8_t>> items_;
    std::uint16_t selected_ = 0;
    std::size_t position_ = 0;
};

}  // namespace hvsim::devices
