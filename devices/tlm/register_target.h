#pragma once
#include <tlm_utils/simple_target_socket.h>

#include <systemc>
#include <tlm>

#include "devices/register_device.h"
#include "devices/tlm/time_bridge.h"

namespace hvsim::devices::tlm_shell {

/// A device's registers on the bus. Accesses wider than the device takes are split into ascending
/// ones, as a bus bridge does; lengths other than 1, 2, 4 and 8 become bytes.
class RegisterTarget : public sc_core::sc_module {
  public:
    tlm_utils::simple_target_socket<RegisterTarget> socket{"socket"};

    /// `device` and `time` are not owned. `latency`: added to the delay of each access.
    RegisterTarget(const sc_core::sc_module_name& name, RegisterDevice& device,
                   const TimeBase& time, sim::Duration latency = 0);

  private:
    void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

    RegisterDevice& device_;
    const TimeBase& time_;
    sim::Duration latency_;
};

}  // namespace hvsim::devices::tlm_shell
