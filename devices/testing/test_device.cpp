#include "devices/testing/test_device.h"

namespace hvsim::devices {
namespace {

/// Bytes outside the image read as zero and are not written.
std::uint64_t load(std::span<const std::uint8_t> image, std::uint64_t offset, unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i)
        if (offset + i < image.size()) value |= std::uint64_t{image[offset + i]} << (8 * i);
    return value;
}

void store(std::span<std::uint8_t> image, std::uint64_t offset, unsigned size,
           std::uint64_t value) {
    for (unsigned i = 0; i < size; ++i)
        if (offset + i < image.size())
            image[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

}  // namespace

std::uint64_t TestLatch::read_register(std::uint64_t offset, unsigned size, sim::Time&) {
    return load(bytes_, offset, size);
}

void TestLatch::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                               sim::Time) {
    store(bytes_, offset, size, value);
}

std::uint64_t TestInterruptPorts::read_register(std::uint64_t offset, unsigned size, sim::Time&) {
    return load(levels_, offset, size);
}

void TestInterruptPorts::write_register(std::uint64_t offset, unsigned, std::uint64_t value,
                                        sim::Time now) {
    if (offset >= lines_.size()) return;
    const std::uint8_t level = (value & 0xff) != 0 ? 1 : 0;
    if (levels_[offset] == level) return;
    levels_[offset] = level;
    lines_[offset]->set(level != 0, now);
}

std::uint64_t TestMemory::read_register(std::uint64_t offset, unsigned size, sim::Time&) {
    return load(bytes_, offset, size);
}

void TestMemory::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                sim::Time) {
    store(bytes_, offset, size, value);
}

}  // namespace hvsim::devices
