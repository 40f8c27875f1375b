#pragma once
// Physical Region Pages (NVM Express 1.4, 4.3): where a command's data lies in the host's memory.
#include <cstdint>
#include <span>
#include <vector>

#include "devices/dma_port.h"
#include "devices/nvme/spec/nvme.h"

namespace hvsim::devices::nvme {

/// A piece of a command's data; never crosses a page.
struct DataSegment {
    std::uint64_t address;
    std::uint32_t length;
};

/// DMA of one command: where, and the time that it has taken so far.
struct DmaContext {
    DmaPort& port;
    sim::Time now;
    sim::Duration delay = 0;
};

/// The segments of `length` bytes (not 0) of PRP1 and PRP2; lists are read once. On an error
/// `segments` is of no use.
spec::Status resolve_prps(std::uint64_t prp1, std::uint64_t prp2, std::uint64_t length,
                          DmaContext& dma, std::vector<DataSegment>& segments);

/// Copies `data`, as long as the segments together, to or from the host's memory.
spec::Status write_to_host(std::span<const DataSegment> segments,
                           std::span<const std::uint8_t> data, DmaContext& dma);
spec::Status read_from_host(std::span<const DataSegment> segments, std::span<std::uint8_t> data,
                            DmaContext& dma);

}  // namespace hvsim::devices::nvme
