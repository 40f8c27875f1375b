#include "devices/nvme/msix.h"

#include <array>

#include "devices/byte_order.h"

namespace hvsim::devices::nvme {
namespace {

constexpr std::uint64_t kAddressLow = 0;
constexpr std::uint64_t kAddressHigh = 4;
constexpr std::uint64_t kData = 8;
constexpr std::uint32_t kMaskBit = 1;  // of vector control, at 12

}  // namespace

std::uint32_t MsixTable::read(std::uint64_t offset) const {
    const std::uint64_t index = offset / kEntrySize;
    if (index >= entries_.size()) return 0;
    const Entry& entry = entries_[index];
    switch (offset % kEntrySize) {
        case kAddressLow:
            return entry.address_low;
        case kAddressHigh:
            return entry.address_high;
        case kData:
            return entry.data;
        default:
            return entry.masked ? kMaskBit : 0;
    }
}

void MsixTable::write(std::uint64_t offset, std::uint32_t value, DmaPort& port, sim::Time now) {
    const std::uint64_t index = offset / kEntrySize;
    if (index >= entries_.size()) return;
    Entry& entry = entries_[index];
    switch (offset % kEntrySize) {
        case kAddressLow:
            entry.address_low = value & ~std::uint32_t{3};
            break;
        case kAddressHigh:
            entry.address_high = value;
            break;
        case kData:
            entry.data = value;
            break;
        default:
            entry.masked = (value & kMaskBit) != 0;
            break;
    }
    if (!entry.masked && entry.pending) send(entry, port, now);
}

std::uint32_t MsixTable::read_pending(std::uint64_t offset) const {
    std::uint32_t bits = 0;
    for (std::uint64_t bit = 0; bit < 32; ++bit) {
        const std::uint64_t index = offset * 8 + bit;
        if (index < entries_.size() && entries_[index].pending) bits |= 1u << bit;
    }
    return bits;
}

void MsixTable::raise(unsigned vector, DmaPort& port, sim::Time now) {
    Entry& entry = entries_.at(vector);
    if (entry.masked)
        entry.pending = true;
    else
        send(entry, port, now);
}

void MsixTable::send(Entry& entry, DmaPort& port, sim::Time now) {
    entry.pending = false;
    std::array<std::uint8_t, 4> message;
    store_le<std::uint32_t>(message, 0, entry.data);
    sim::Duration delay = 0;
    const std::uint64_t address = entry.address_low | std::uint64_t{entry.address_high} << 32;
    ++(port.write(address, message, now, delay) ? sent_ : refused_);
}

void MsixTable::clear_pending() {
    for (Entry& entry : entries_) entry.pending = false;
}

}  // namespace hvsim::devices::nvme
