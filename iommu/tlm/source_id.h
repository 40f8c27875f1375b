#pragma once
// The requester id that travels with a DMA transaction.
#include <tlm>

#include "iommu/dma_remapper.h"

namespace hvsim::iommu::tlm_shell {

/// Set by initiators that make requests for several functions; without it the binding decides.
class SourceIdExtension : public tlm::tlm_extension<SourceIdExtension> {
  public:
    SourceId source = 0;

    tlm::tlm_extension_base* clone() const override { return new SourceIdExtension(*this); }
    void copy_from(const tlm::tlm_extension_base& other) override {
        source = static_cast<const SourceIdExtension&>(other).source;
    }
};

}  // namespace hvsim::iommu::tlm_shell
