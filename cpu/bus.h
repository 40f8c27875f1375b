#pragma once
#include <cstdint>

#include "sim/time.h"

namespace hvsim::cpu {

/// The processor's way to everything that is not RAM. The access happens at `now`; `delay` is
/// increased by what it took.
class Bus {
  public:
    virtual ~Bus() = default;
    virtual std::uint64_t read_memory(std::uint64_t address, unsigned size, sim::Time now,
                                      sim::Duration& delay) = 0;
    virtual void write_memory(std::uint64_t address, unsigned size, std::uint64_t value,
                              sim::Time now, sim::Duration& delay) = 0;
    virtual std::uint32_t read_io(std::uint16_t port, unsigned size, sim::Time now,
                                  sim::Duration& delay) = 0;
    virtual void write_io(std::uint16_t port, unsigned size, std::uint32_t value, sim::Time now,
                          sim::Duration& delay) = 0;
};

}  // namespace hvsim::cpu
