#pragma once
#include "sim/time.h"

namespace hvsim::app {

/// A logical processor as the dispatcher sees it.
class Processor {
  public:
    virtual ~Processor() = default;
    /// Its local time.
    virtual sim::Time now() const = 0;
    /// When it has something to execute next; kNever: waits for an interrupt.
    virtual sim::Time wake_time() const = 0;
    /// Executes until `until` (the first block boundary after it), or until it has nothing to do.
    virtual void run(sim::Time until) = 0;
    /// Ends the current run() at `until` at the latest.
    virtual void shorten(sim::Time until) = 0;
    /// It waits for a store to memory: the others must not run far ahead of it.
    virtual bool watches_memory() const { return false; }
    /// Memory may have been written up to `at`.
    virtual void memory_written(sim::Time) {}
};

}  // namespace hvsim::app
