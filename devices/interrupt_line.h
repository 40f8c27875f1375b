#pragma once
#include "sim/time.h"

namespace hvsim::devices {

/// The wire from a device to an interrupt controller; the composition root plugs in an I/O APIC
/// pin.
class InterruptLine {
  public:
    virtual ~InterruptLine() = default;
    /// The line has `level` from `now` on. Called on every change of level, and only then.
    virtual void set(bool level, sim::Time now) = 0;
};

}  // namespace hvsim::devices
