#pragma once
// A device as its bus sees it: registers at offsets. One TLM shell (devices/tlm/register_target.h)
// serves every device that has this interface; a virtual machine's emulated devices use it
// directly.
#include <cstdint>

#include "sim/time.h"

namespace hvsim::devices {

class RegisterDevice {
  public:
    virtual ~RegisterDevice() = default;
    /// Reads `size` bytes (1, 2, 4 or 8) at `offset`, little endian. `now` is the reader's time; a
    /// clock that has already given out a later time moves it up (no clock goes back between
    /// processors). Undefined offsets answer as the device's data book says.
    virtual std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) = 0;
    virtual void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                sim::Time now) = 0;
    /// The device's widest access; the bus splits a wider one into ascending accesses of this size.
    virtual unsigned widest_access() const noexcept = 0;
};

}  // namespace hvsim::devices
