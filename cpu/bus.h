#pragma once
#include <cstdint>

#include "sim/time.h"

namespace hvsim::cpu {

/// The processor's way to everything that is not RAM. The access happens at `now`; `delay` is
/// increased by what it took.
class Bus {
  public:
    virtual ~Bus() = default;
    /// The vector of an external interrupt controller (8259A), by the processor's acknowledge
    /// cycles; all ones when nothing answers them.
    virtual std::uint8_t acknowledge_interrupt(sim::Time now) { return 0xff; }
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
