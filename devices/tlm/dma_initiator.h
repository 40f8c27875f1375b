#pragma once
#include <tlm_utils/simple_initiator_socket.h>

#include <systemc>
#include <tlm>

#include "devices/dma_port.h"
#include "devices/tlm/time_bridge.h"

namespace hvsim::devices::tlm_shell {

/// A device's DMA as TLM transactions: bind `socket` to the IOMMU, or to the memory bus where there
/// is none. The delay of a transaction brings it to the time at which the device makes it.
class DmaInitiator : public sc_core::sc_module, public DmaPort {
  public:
    tlm_utils::simple_initiator_socket<DmaInitiator> socket{"socket"};

    DmaInitiator(const sc_core::sc_module_name& name, const TimeBase& time);

    bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time now,
              sim::Duration& delay) override;
    bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time now,
               sim::Duration& delay) override;

  private:
    bool transport(tlm::tlm_command command, std::uint64_t address, std::uint8_t* data,
                   std::size_t size, sim::Time now, sim::Duration& delay);

    const TimeBase& time_;
};

}  // namespace hvsim::devices::tlm_shell
