#include "vmbus-model/ring/ring_memory.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace hvsim::vmbus {

using spec::kRingPageSize;

bool RingMemory::load(spec::RingField field, std::uint32_t& value) const {
    std::array<std::uint8_t, 4> bytes;
    if (!memory_->read(pages_[0] * kRingPageSize + static_cast<std::uint32_t>(field), bytes))
        return false;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return true;
}

bool RingMemory::store(spec::RingField field, std::uint32_t value) const {
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &value, sizeof(value));
    return memory_->write(pages_[0] * kRingPageSize + static_cast<std::uint32_t>(field), bytes);
}

bool RingMemory::read(std::uint32_t offset, std::span<std::uint8_t> out) const {
    while (!out.empty()) {
        const std::uint32_t in_page = offset % kRingPageSize;
        const std::size_t length = std::min<std::size_t>(out.size(), kRingPageSize - in_page);
        const std::uint64_t page = pages_[1 + offset / kRingPageSize];
        if (!memory_->read(page * kRingPageSize + in_page, out.first(length))) return false;
        out = out.subspan(length);
        offset = (offset + static_cast<std::uint32_t>(length)) % data_size();
    }
    return true;
}

bool RingMemory::write(std::uint32_t offset, std::span<const std::uint8_t> in) const {
    while (!in.empty()) {
        const std::uint32_t in_page = offset % kRingPageSize;
        const std::size_t length = std::min<std::size_t>(in.size(), kRingPageSize - in_page);
        const std::uint64_t page = pages_[1 + offset / kRingPageSize];
        if (!memory_->write(page * kRingPageSize + in_page, in.first(length))) return false;
        in = in.subspan(length);
        offset = (offset + static_cast<std::uint32_t>(length)) % data_size();
    }
    return true;
}

}  // namespace hvsim::vmbus
