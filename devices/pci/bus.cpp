#include "devices/pci/bus.h"

#include "sim/error.h"

namespace hvsim::devices::pci {
namespace {

constexpr std::uint32_t kEnable = 0x80000000;
constexpr std::uint64_t kReset = 1, kData = 4;

constexpr std::uint64_t all_ones(unsigned size) {
    return ~std::uint64_t{0} >> (64 - 8 * size);
}

}  // namespace

void Bus::add(DeviceFunction number, Function& function) {
    const bool added = functions_.emplace(number, &function).second;
    SIM_ASSERT(added);
}

Function* Bus::at(std::uint8_t bus, DeviceFunction number) const {
    const auto found = functions_.find(number);
    return bus != 0 || found == functions_.end() ? nullptr : found->second;
}

Bus::Decoded Bus::decode(std::uint64_t address) const {
    for (const auto& [number, function] : functions_) {
        const auto base = function->memory_base();
        if (base && address >= *base && address - *base < function->memory_size())
            return {function, *base};
    }
    return {};
}

Function* ConfigPorts::selected() const {
    if (!(address_ & kEnable)) return nullptr;
    return bus_.at(static_cast<std::uint8_t>(address_ >> 16),
                   static_cast<DeviceFunction>(address_ >> 8));
}

// DEVIATION: bits 1:0 of the address are no zeros but choose a byte, as the data port's number
// does: programs made on emulated host bridges write them.
std::size_t ConfigPorts::register_of(std::uint64_t offset) const {
    return (address_ & 0xff) | (offset & 3);
}

std::uint64_t ConfigPorts::read_register(std::uint64_t offset, unsigned size, sim::Time& now) {
    if (offset >= kData) {
        const Function* function = selected();
        return function != nullptr ? function->read_config(register_of(offset), size)
                                   : all_ones(size);
    }
    if (offset == 0 && size == 4) return address_;
    if (offset == kReset && size == 1 && reset_ != nullptr)
        return reset_->read_register(0, size, now);
    return all_ones(size);
}

void ConfigPorts::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                 sim::Time now) {
    if (offset >= kData) {
        if (Function* function = selected())
            function->write_config(register_of(offset), size, static_cast<std::uint32_t>(value),
                                   now);
    } else if (offset == 0 && size == 4) {
        address_ = static_cast<std::uint32_t>(value);
    } else if (offset == kReset && size == 1 && reset_ != nullptr) {
        reset_->write_register(0, size, value, now);
    }
}

std::uint64_t MemoryWindow::read_register(std::uint64_t offset, unsigned size, sim::Time& now) {
    const Bus::Decoded decoded = bus_.decode(base_ + offset);
    if (decoded.function == nullptr) return all_ones(size);
    return decoded.function->memory()->read_register(base_ + offset - decoded.base, size, now);
}

void MemoryWindow::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                  sim::Time now) {
    const Bus::Decoded decoded = bus_.decode(base_ + offset);
    if (decoded.function != nullptr)
        decoded.function->memory()->write_register(base_ + offset - decoded.base, size, value, now);
}

}  // namespace hvsim::devices::pci
