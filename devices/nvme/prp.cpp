#include "devices/nvme/prp.h"

#include <algorithm>

#include "devices/byte_order.h"
#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::devices::nvme {
namespace {

using sim::kPageSize;

constexpr std::uint64_t offset_of(std::uint64_t address) {
    return address % kPageSize;
}

/// Reads a chain of lists. The entries of a page that has a successor are all but the last one,
/// which names the next page; every next page begins at its offset 0, so each page but the first
/// yields data and the chain is no longer than the transfer.
spec::Status read_lists(std::uint64_t list, std::uint64_t remaining, DmaContext& dma,
                        std::vector<DataSegment>& segments) {
    std::vector<std::uint8_t> page;
    bool first = true;
    while (remaining != 0) {
        if (list % sizeof(std::uint64_t) != 0 || (!first && offset_of(list) != 0))
            return spec::status::kPrpOffsetInvalid;
        const std::uint64_t room = (kPageSize - offset_of(list)) / sizeof(std::uint64_t);
        const std::uint64_t needed = (remaining + kPageSize - 1) / kPageSize;
        const bool chained = needed > room;
        const std::uint64_t used = chained ? room : needed;
        page.resize(used * sizeof(std::uint64_t));
        if (!dma.port.read(list, page, dma.now, dma.delay)) return spec::status::kDataTransferError;
        const std::uint64_t data_entries = chained ? used - 1 : used;
        for (std::uint64_t i = 0; i < data_entries; ++i) {
            const auto address = load_le<std::uint64_t>(page, i * sizeof(std::uint64_t));
            if (offset_of(address) != 0) return spec::status::kPrpOffsetInvalid;
            const std::uint64_t length = std::min(remaining, kPageSize);
            segments.push_back({address, static_cast<std::uint32_t>(length)});
            remaining -= length;
        }
        if (chained) list = load_le<std::uint64_t>(page, data_entries * sizeof(std::uint64_t));
        first = false;
    }
    return spec::status::kSuccess;
}

}  // namespace

spec::Status resolve_prps(std::uint64_t prp1, std::uint64_t prp2, std::uint64_t length,
                          DmaContext& dma, std::vector<DataSegment>& segments) {
    SIM_ASSERT(length != 0);
    segments.clear();
    if (prp1 % sizeof(std::uint32_t) != 0) return spec::status::kPrpOffsetInvalid;
    const std::uint64_t in_first = std::min(length, kPageSize - offset_of(prp1));
    segments.push_back({prp1, static_cast<std::uint32_t>(in_first)});
    const std::uint64_t remaining = length - in_first;
    if (remaining == 0) return spec::status::kSuccess;
    if (remaining > kPageSize) return read_lists(prp2, remaining, dma, segments);
    if (offset_of(prp2) != 0) return spec::status::kPrpOffsetInvalid;
    segments.push_back({prp2, static_cast<std::uint32_t>(remaining)});
    return spec::status::kSuccess;
}

spec::Status write_to_host(std::span<const DataSegment> segments,
                           std::span<const std::uint8_t> data, DmaContext& dma) {
    for (const DataSegment& segment : segments) {
        if (!dma.port.write(segment.address, data.first(segment.length), dma.now, dma.delay))
            return spec::status::kDataTransferError;
        data = data.subspan(segment.length);
    }
    return spec::status::kSuccess;
}

spec::Status read_from_host(std::span<const DataSegment> segments, std::span<std::uint8_t> data,
                            DmaContext& dma) {
    for (const DataSegment& segment : segments) {
        if (!dma.port.read(segment.address, data.first(segment.length), dma.now, dma.delay))
            return spec::status::kDataTransferError;
        data = data.subspan(segment.length);
    }
    return spec::status::kSuccess;
}

}  // namespace hvsim::devices::nvme
