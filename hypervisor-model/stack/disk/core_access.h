#pragma once
// What a driver of the root partition needs of the core that it runs on.
#include <cstdint>
#include <span>

#include "sim/time.h"

namespace hvsim::hv::stack {

class CoreAccess {
  public:
    virtual ~CoreAccess() = default;
    /// Root memory by guest-physical address. False: the second stage does not map all of it.
    virtual bool read_memory(std::uint64_t gpa, std::span<std::uint8_t> out) = 0;
    virtual bool write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in) = 0;
    /// Device registers of 4 or 8 bytes; all ones where there is no device. The access's own time
    /// is charged.
    virtual std::uint64_t read_device(std::uint64_t gpa, unsigned size) = 0;
    virtual void write_device(std::uint64_t gpa, unsigned size, std::uint64_t value) = 0;
    /// The software worked for `cost`.
    virtual void charge(sim::Duration cost) = 0;
    virtual sim::Time now() const = 0;
};

}  // namespace hvsim::hv::stack
