#pragma once
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <systemc>
#include <tlm>
#include <vector>

#include "iommu/dma_remapper.h"
#include "sim/time.h"
#include "sim/timing.h"

namespace hvsim::iommu::tlm_shell {

/// An IOMMU between devices and memory. DMA is translated page by page and handed on; writes to the
/// interrupt range go through interrupt remapping. Everything takes annotated delay only, nothing
/// waits. There is no DMI and no debug access through translation.
class IommuShell : public sc_core::sc_module {
  public:
    using InitiatorSocket = tlm::tlm_initiator_socket<>;

    /// None need be bound: a board may have no device that makes DMA.
    tlm_utils::multi_passthrough_target_socket<IommuShell, 32, tlm::tlm_base_protocol_types, 0,
                                               sc_core::SC_ZERO_OR_MORE_BOUND>
        devices{"devices"};
    tlm_utils::simple_initiator_socket<IommuShell> memory{"memory"};
    /// The unit's register page; addresses count from its start.
    tlm_utils::simple_target_socket<IommuShell> registers{"registers"};

    /// Nothing is owned. `time_at_zero`: virtual time at SystemC's time zero (nonzero in a restored
    /// run). `costs`: iotlb_miss, io_walk_step, dma_page, iommu_invalidate, remap and mmio.
    IommuShell(const sc_core::sc_module_name& name, DmaRemapper& remapper,
               const sim::Time& time_at_zero, const sim::TimingProfile& costs);

    /// Binds a device's DMA socket; its requests carry `source` unless a SourceIdExtension says
    /// otherwise. Before elaboration.
    void add_device(SourceId source, InitiatorSocket& socket);

  private:
    struct Piece {
        std::uint64_t address;
        std::uint64_t length;
    };

    void dma(int binding, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    unsigned dma_debug(int binding, tlm::tlm_generic_payload& payload);
    bool dma_direct(int binding, tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi);
    void access_registers(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

    SourceId source_of(int binding, const tlm::tlm_generic_payload& payload) const;
    bool translate_all(SourceId source, const tlm::tlm_generic_payload& payload,
                       sc_core::sc_time& delay);
    void transfer(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    void interrupt(SourceId source, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    sim::Time time_at(const sc_core::sc_time& delay) const;

    DmaRemapper& remapper_;
    const sim::Time& time_at_zero_;
    const sim::TimingProfile& costs_;
    std::vector<SourceId> sources_;  // by binding
    std::vector<Piece> pieces_;      // of the transaction at hand; kept to spare allocations
};

}  // namespace hvsim::iommu::tlm_shell
