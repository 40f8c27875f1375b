#include "devices/pci/function.h"

#include <bit>

#include "sim/error.h"

namespace hvsim::devices::pci {
namespace {

constexpr std::uint16_t kCommandWritable =
    kCommandMemory | kCommandMaster | kCommandInterruptDisable;

}  // namespace

Function::Function(const Identity& identity) {
    define(kVendor, 2, identity.vendor, 0);
    define(kDevice, 2, identity.device, 0);
    define(kCommand, 2, 0, kCommandWritable);
    define(kRevision, 1, identity.revision, 0);
    define(kClass, 1, identity.class_code & 0xff, 0);
    define(kClass + 1, 2, identity.class_code >> 8, 0);
    define(kInterruptLine, 1, 0, 0xff);
}

void Function::define(std::size_t offset, unsigned size, std::uint32_t value,
                      std::uint32_t writable) {
    SIM_ASSERT(offset + size <= kConfigSize);
    for (unsigned i = 0; i < size; ++i) {
        bytes_[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
        writable_[offset + i] = static_cast<std::uint8_t>(writable >> (8 * i));
    }
}

void Function::define_memory(std::uint32_t size) {
    SIM_ASSERT(std::has_single_bit(size) && size >= 16);
    bar_size_ = size;
    define(kBar0, 4, 0, ~(size - 1));
}

void Function::set_status(std::uint16_t bit, bool value) {
    const auto status = field<std::uint16_t>(kStatus);
    define(kStatus, 2, value ? status | bit : status & ~std::uint32_t{bit}, 0);
}

std::uint32_t Function::read_config(std::size_t offset, unsigned size) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i)
        if (offset + i < kConfigSize) value |= std::uint32_t{bytes_[offset + i]} << (8 * i);
    return value;
}

void Function::write_config(std::size_t offset, unsigned size, std::uint32_t value, sim::Time now) {
    for (unsigned i = 0; i < size && offset + i < kConfigSize; ++i) {
        const std::uint8_t mask = writable_[offset + i];
        std::uint8_t& byte = bytes_[offset + i];
        byte = static_cast<std::uint8_t>((byte & ~mask) | (value >> (8 * i) & mask));
    }
    config_written(now);
}

std::optional<std::uint64_t> Function::memory_base() const {
    if (bar_size_ == 0 || !(field<std::uint16_t>(kCommand) & kCommandMemory)) return std::nullopt;
    return field<std::uint32_t>(kBar0) & ~(bar_size_ - 1);
}

void Function::assign(std::uint32_t memory_base, std::uint8_t interrupt_line) {
    if (bar_size_ != 0) define(kBar0, 4, memory_base, ~(bar_size_ - 1));
    define(kInterruptLine, 1, interrupt_line, 0xff);
    if (bar_size_ != 0)
        define(kCommand, 2, field<std::uint16_t>(kCommand) | kCommandMemory, kCommandWritable);
}

}  // namespace hvsim::devices::pci
