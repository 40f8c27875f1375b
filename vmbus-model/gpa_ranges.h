#pragma once
// Lists of guest-physical ranges, as GPADLs and GPA-direct packets carry them.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hvsim::vmbus {

/// Contiguous bytes of the child's physical memory.
struct GpaSegment {
    std::uint64_t gpa = 0;
    std::uint32_t length = 0;
    bool operator==(const GpaSegment&) const = default;
};

/// One buffer of the guest: `byte_count` bytes that start `byte_offset` into the first of its
/// pages.
struct GpaRange {
    std::uint32_t byte_count = 0;
    std::uint32_t byte_offset = 0;  ///< < 4096
    std::size_t first_page = 0;     ///< index into GpaRangeList::pages
    std::size_t page_count = 0;     ///< exactly those that the bytes need
};

struct GpaRangeList {
    std::vector<GpaRange> ranges;
    std::vector<std::uint64_t> pages;  ///< page numbers of all ranges

    void clear() {
        ranges.clear();
        pages.clear();
    }
    std::uint64_t byte_count() const;
    /// The first `limit` bytes as segments, one a page, appended to `segments`; neighbours that are
    /// contiguous are not joined.
    void segments(std::uint64_t limit, std::vector<GpaSegment>& segments) const;
};

/// Parses `count` ranges from `bytes` (wire form). False, with `list` empty, when a range is cut
/// short, starts beyond its first page or names an impossible page. `used`: bytes parsed.
bool parse_gpa_ranges(std::span<const std::uint8_t> bytes, std::uint32_t count, GpaRangeList& list,
                      std::size_t& used);

}  // namespace hvsim::vmbus
