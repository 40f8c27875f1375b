#pragma once
// Between virtual time and SystemC's: exact, because both count picoseconds.
#include <systemc>

#include "sim/error.h"
#include "sim/time.h"

namespace hvsim::devices::tlm_shell {

inline sc_core::sc_time to_sc_time(sim::Duration duration) {
    SIM_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS));
    return sc_core::sc_time::from_value(duration);
}

inline sim::Duration from_sc_time(const sc_core::sc_time& time) {
    SIM_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS));
    return time.value();
}

/// Virtual time at SystemC's time zero: zero, or the checkpoint's time in a restored run. One per
/// machine, owned by the composition root; the shells refer to it.
struct TimeBase {
    sim::Time at_zero = 0;

    /// The virtual time of a transaction that is annotated with `delay`.
    sim::Time at(const sc_core::sc_time& delay) const {
        return at_zero + from_sc_time(sc_core::sc_time_stamp() + delay);
    }
    /// The annotation that makes a transaction happen at `time`; zero if that is past already.
    sc_core::sc_time delay_until(sim::Time time) const {
        const sim::Time now = at(sc_core::SC_ZERO_TIME);
        return to_sc_time(time > now ? time - now : 0);
    }
};

}  // namespace hvsim::devices::tlm_shell
