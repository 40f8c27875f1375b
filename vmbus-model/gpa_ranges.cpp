#include "vmbus-model/gpa_ranges.h"

#include <algorithm>
#include <cstring>

#include "vmbus-model/spec/ring_layout.h"

namespace hvsim::vmbus {
namespace {

using spec::kRingPageSize;

bool parse_one(std::span<const std::uint8_t> bytes, GpaRangeList& list, std::size_t& used) {
    spec::GpaRangeHeader header;
    if (bytes.size() - used < sizeof(header)) return false;
    std::memcpy(&header, bytes.data() + used, sizeof(header));
    used += sizeof(header);
    if (header.byte_offset >= kRingPageSize) return false;
    const std::uint64_t end = std::uint64_t{header.byte_offset} + header.byte_count;
    const std::size_t pages = static_cast<std::size_t>((end + kRingPageSize - 1) / kRingPageSize);
    if ((bytes.size() - used) / sizeof(std::uint64_t) < pages) return false;
    const std::size_t first = list.pages.size();
    for (std::size_t i = 0; i < pages; ++i) {
        std::uint64_t page;
        std::memcpy(&page, bytes.data() + used, sizeof(page));
        used += sizeof(page);
        if (page > spec::kMaxPageNumber) return false;
        list.pages.push_back(page);
    }
    list.ranges.push_back({header.byte_count, header.byte_offset, first, pages});
    return true;
}

}  // namespace

std::uint64_t GpaRangeList::byte_count() const {
    std::uint64_t total = 0;
    for (const GpaRange& range : ranges) total += range.byte_count;
    return total;
}

void GpaRangeList::segments(std::uint64_t limit, std::vector<GpaSegment>& segments) const {
    for (const GpaRange& range : ranges) {
        std::uint64_t left = std::min<std::uint64_t>(range.byte_count, limit);
        limit -= left;
        std::uint32_t offset = range.byte_offset;
        for (std::size_t i = 0; left > 0; ++i) {
            const auto length =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kRingPageSize - offset));
            segments.push_back({pages[range.first_page + i] * kRingPageSize + offset, length});
            left -= length;
            offset = 0;
        }
    }
}

bool parse_gpa_ranges(std::span<const std::uint8_t> bytes, std::uint32_t count, GpaRangeList& list,
                      std::size_t& used) {
    list.clear();
    used = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!parse_one(bytes, list, used)) {
            list.clear();
            return false;
        }
    }
    return true;
}

}  // namespace hvsim::vmbus
