#pragma once
// Cuts a transfer into parts that one command each can express with Physical Region Pages (NVM
// Express 1.4, 4.3): only the first page may begin at an offset, which is a multiple of 4, and only
// the last may end early. What lies otherwise goes through a bounce buffer.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hypervisor-model/stack/disk/disk_request.h"

namespace hvsim::hv::stack {

/// A position in a scatter list without empty segments.
struct SegmentCursor {
    std::size_t index = 0;
    std::uint64_t offset = 0;  ///< into the segment
};

struct PartLimits {
    std::uint64_t block_size = 512;
    std::uint64_t most_bytes = 0;    ///< of a command; a multiple of the block size, not 0
    std::uint64_t bounce_bytes = 0;  ///< of a bounce buffer; likewise
};

struct TransferPart {
    std::uint64_t length = 0;          ///< bytes: whole blocks, at least one
    bool bounce = false;               ///< then `pages` is empty
    std::vector<std::uint64_t> pages;  ///< PRP entries, the first with its offset
};

/// The next part from `at` on; `remaining` bytes (whole blocks, not 0) are left in the list.
TransferPart next_part(std::span<const MemorySegment> segments, SegmentCursor at,
                       std::uint64_t remaining, const PartLimits& limits);

/// `bytes` are left in the list.
void advance(std::span<const MemorySegment> segments, SegmentCursor& at, std::uint64_t bytes);

}  // namespace hvsim::hv::stack
