#include "hypervisor-model/stack/disk/transfer_parts.h"

#include <algorithm>

#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::hv::stack {
namespace {

constexpr std::uint64_t offset_of(std::uint64_t address) {
    return address % sim::kPageSize;
}

/// The longest beginning, at most `most` bytes, that PRPs express; `pages` gets its entries.
std::uint64_t expressible(std::span<const MemorySegment> segments, SegmentCursor at,
                          std::uint64_t most, std::vector<std::uint64_t>& pages) {
    pages.clear();
    std::uint64_t length = 0;
    std::uint64_t end = 0;  // behind the piece before
    while (length < most) {
        const MemorySegment& segment = segments[at.index];
        const std::uint64_t address = segment.address + at.offset;
        const std::uint64_t piece = std::min(
            {segment.length - at.offset, sim::kPageSize - offset_of(address), most - length});
        if (pages.empty()) {
            if (address % sizeof(std::uint32_t) != 0) break;
            pages.push_back(address);
        } else if (offset_of(end) == 0) {
            if (offset_of(address) != 0) break;
            pages.push_back(address);
        } else if (address != end) {
            break;
        }
        length += piece;
        end = address + piece;
        advance(segments, at, piece);
    }
    return length;
}

}  // namespace

void advance(std::span<const MemorySegment> segments, SegmentCursor& at, std::uint64_t bytes) {
    while (bytes != 0) {
        SIM_ASSERT(at.index < segments.size());
        const std::uint64_t step = std::min(bytes, segments[at.index].length - at.offset);
        bytes -= step;
        at.offset += step;
        if (at.offset == segments[at.index].length) at = {at.index + 1, 0};
    }
}

TransferPart next_part(std::span<const MemorySegment> segments, SegmentCursor at,
                       std::uint64_t remaining, const PartLimits& limits) {
    SIM_ASSERT(remaining != 0 && remaining % limits.block_size == 0);
    SIM_ASSERT(limits.most_bytes >= limits.block_size && limits.bounce_bytes >= limits.block_size);
    TransferPart part;
    part.length = expressible(segments, at, std::min(remaining, limits.most_bytes), part.pages);
    part.length -= part.length % limits.block_size;
    if (part.length != 0) {
        const std::uint64_t spanned = offset_of(part.pages.front()) + part.length;
        part.pages.resize((spanned + sim::kPageSize - 1) / sim::kPageSize);
        return part;
    }
    // Up to the first block that the controller can reach by itself.
    part.bounce = true;
    const std::uint64_t most = std::min({remaining, limits.most_bytes, limits.bounce_bytes});
    do {
        part.length += limits.block_size;
        advance(segments, at, limits.block_size);
    } while (part.length + limits.block_size <= most &&
             expressible(segments, at, limits.block_size, part.pages) < limits.block_size);
    part.pages.clear();
    return part;
}

}  // namespace hvsim::hv::stack
