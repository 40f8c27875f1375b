#pragma once
#include <cstdint>
#include <span>

#include "sim/time.h"

namespace hvsim::devices {

/// A device's way to memory and to interrupts (a message-signalled interrupt is a memory write):
/// through the IOMMU. An access happens at `now` + `delay` and adds its own time to `delay`. False:
/// the IOMMU or the bus refused it; out data is then undefined and nothing was written.
/// DEVIATION: the bytes move at the begin of that time, so software that looks into a buffer before
/// its completion sees them early.
class DmaPort {
  public:
    virtual ~DmaPort() = default;
    virtual bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time now,
                      sim::Duration& delay) = 0;
    virtual bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time now,
                       sim::Duration& delay) = 0;
};

}  // namespace hvsim::devices
