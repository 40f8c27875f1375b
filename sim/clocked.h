#pragma once
#include "sim/time.h"

namespace hvsim::sim {

/// A model with deadlines. A deadline is data, never an armed callback: the dispatcher asks for it,
/// so saving and restoring a model needs nothing more than its fields.
class Clocked {
  public:
    virtual ~Clocked() = default;
    /// When the model next has something to do; kNever if nothing is due.
    virtual Time next_deadline() const noexcept = 0;
    /// Does everything that is due at or before `now`. Afterwards next_deadline() > now.
    virtual void advance_to(Time now) = 0;
};

}  // namespace hvsim::sim
