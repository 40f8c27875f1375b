#pragma once
#include <tlm_utils/simple_target_socket.h>

#include <systemc>
#include <tlm>

#include "sim/ram.h"
#include "sim/time.h"

namespace hvsim::devices::tlm_shell {

/// System memory on the bus. Grants DMI for all of it; who writes through the pointer calls
/// sim::Ram::about_to_write() first, as its own writes do.
class RamTarget : public sc_core::sc_module {
  public:
    tlm_utils::simple_target_socket<RamTarget> socket{"socket"};

    /// `ram` is not owned; the latencies are added to the delay of each access.
    RamTarget(const sc_core::sc_module_name& name, sim::Ram& ram, sim::Duration read_latency = 0,
              sim::Duration write_latency = 0);

  private:
    void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    unsigned transport_dbg(tlm::tlm_generic_payload& payload);
    bool get_direct_mem_ptr(tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi);

    sim::Ram& ram_;
    sc_core::sc_time read_latency_;
    sc_core::sc_time write_latency_;
};

}  // namespace hvsim::devices::tlm_shell
