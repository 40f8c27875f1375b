#include "devices/pci/edu.h"

#include <algorithm>
#include <span>

namespace hvsim::devices::pci {
namespace {

// Registers (edu.rst, "MMIO area spec").
constexpr std::uint64_t kId = 0x00, kLiveness = 0x04, kFactorial = 0x08, kStatusRegister = 0x20,
                        kInterruptStatus = 0x24, kInterruptRaise = 0x60, kInterruptAck = 0x64,
                        kDmaSource = 0x80, kDmaDestination = 0x88, kDmaCount = 0x90,
                        kDmaCommand = 0x98, kDmaEnd = 0xa0;
constexpr std::uint32_t kIdValue = 0x010000ed;
constexpr std::uint32_t kComputing = 0x01, kInterruptAfterFactorial = 0x80;
constexpr std::uint32_t kFactorialInterrupt = 0x001, kDmaInterrupt = 0x100;
constexpr std::uint64_t kDmaStart = 1, kDmaToMemory = 2, kDmaInterruptAfter = 4;
constexpr std::uint64_t kBufferBase = 0x40000;

// The MSI capability (PCI Local Bus 3.0, 6.8.1): 64-bit addresses, one message.
constexpr std::size_t kMsi = 0x40, kMsiControl = kMsi + 2, kMsiAddress = kMsi + 4,
                      kMsiUpperAddress = kMsi + 8, kMsiData = kMsi + 12;
constexpr std::uint8_t kMsiId = 5;
constexpr std::uint16_t kMsiEnable = 1, kMsi64Bit = 1 << 7;

constexpr std::uint64_t all_ones(unsigned size) {
    return ~std::uint64_t{0} >> (64 - 8 * size);
}

}  // namespace

Edu::Edu(const EduConfig& config, DmaPort& dma, InterruptLine& interrupt)
    : Function({0x1234, 0x11e8, 0x10, 0xff0000}),
      config_(config),
      dma_port_(dma),
      interrupt_(interrupt) {
    define_memory(kMemorySize);
    set_status(kStatusCapabilities, true);
    define(kCapabilities, 1, kMsi, 0);
    define(kInterruptPin, 1, 1, 0);  // INTA#
    define(kMsi, 1, kMsiId, 0);
    define(kMsiControl, 2, kMsi64Bit, kMsiEnable);
    define(kMsiAddress, 4, 0, 0xfffffffc);
    define(kMsiUpperAddress, 4, 0, 0xffffffff);
    define(kMsiData, 2, 0, 0xffff);
}

std::uint64_t& Edu::Dma::at(std::uint64_t offset) {
    switch (offset & ~std::uint64_t{7}) {
        case kDmaSource:
            return source;
        case kDmaDestination:
            return destination;
        case kDmaCount:
            return count;
        default:
            return command;
    }
}

std::uint64_t Edu::read_register(std::uint64_t offset, unsigned size, sim::Time&) {
    if (offset >= kDmaSource && offset < kDmaEnd && (size == 4 || size == 8)) {
        if (offset % size != 0) return all_ones(size);
        const std::uint64_t value = dma_.at(offset) >> (8 * (offset & 7));
        return value & all_ones(size);
    }
    if (size != 4) return all_ones(size);
    switch (offset) {
        case kId:
            return kIdValue;
        case kLiveness:
            return liveness_;
        case kFactorial:
            return factorial_;
        case kStatusRegister:
            return status_;
        case kInterruptStatus:
            return interrupt_status_;
        default:
            return all_ones(size);
    }
}

void Edu::write_register(std::uint64_t offset, unsigned size, std::uint64_t value, sim::Time now) {
    if (offset < kDmaSource && size == 4)
        write_small(offset, static_cast<std::uint32_t>(value), now);
    else if (offset >= kDmaSource && offset < kDmaEnd && (size == 4 || size == 8))
        write_dma(offset, size, value, now);
}

void Edu::write_small(std::uint64_t offset, std::uint32_t value, sim::Time now) {
    switch (offset) {
        case kLiveness:
            liveness_ = ~value;
            return;
        case kFactorial:
            if (status_ & kComputing) return;
            factorial_ = value;
            status_ |= kComputing;
            factorial_end_ = now + config_.factorial_time;
            return;
        case kStatusRegister:
            status_ = (status_ & ~kInterruptAfterFactorial) | (value & kInterruptAfterFactorial);
            return;
        case kInterruptRaise:
            return raise(value, now);
        case kInterruptAck:
            interrupt_status_ &= ~value;
            return update_line(now);
        default:
            return;
    }
}

void Edu::write_dma(std::uint64_t offset, unsigned size, std::uint64_t value, sim::Time now) {
    if (offset % size != 0 || (dma_.command & kDmaStart)) return;
    std::uint64_t& field = dma_.at(offset);
    const unsigned shift = static_cast<unsigned>(8 * (offset & 7));
    const std::uint64_t mask = all_ones(size) << shift;
    field = (field & ~mask) | (value << shift & mask);
    if (offset == kDmaCommand && (field & kDmaStart)) dma_end_ = now + config_.dma_time;
}

sim::Time Edu::next_deadline() const noexcept {
    return std::min(factorial_end_, dma_end_);
}

void Edu::advance_to(sim::Time now) {
    if (factorial_end_ <= now) finish_factorial(factorial_end_);
    if (dma_end_ <= now) finish_dma(dma_end_);
}

void Edu::finish_factorial(sim::Time now) {
    std::uint32_t product = 1;
    // From 34! on the low 32 bits are zero: guests may ask for any number.
    for (std::uint32_t i = std::min<std::uint32_t>(factorial_, 34); i > 1; --i) product *= i;
    factorial_ = product;
    factorial_end_ = sim::kNever;
    status_ &= ~kComputing;
    if (status_ & kInterruptAfterFactorial) raise(kFactorialInterrupt, now);
}

bool Edu::in_buffer(std::uint64_t address, std::uint64_t count) const {
    return address >= kBufferBase && count <= kBufferSize &&
           address - kBufferBase <= kBufferSize - count;
}

/// A transfer that leaves the buffer, or that the bus refuses, moves nothing.
void Edu::finish_dma(sim::Time now) {
    dma_end_ = sim::kNever;
    const bool to_memory = (dma_.command & kDmaToMemory) != 0;
    const std::uint64_t inside = to_memory ? dma_.source : dma_.destination;
    const std::uint64_t reach = (std::uint64_t{1} << config_.address_bits) - 1;
    const std::uint64_t outside = (to_memory ? dma_.destination : dma_.source) & reach;
    sim::Duration delay = 0;
    const bool master = (field<std::uint16_t>(kCommand) & kCommandMaster) != 0;
    if (master && dma_.count != 0 && in_buffer(inside, dma_.count)) {
        const std::span<std::uint8_t> bytes =
            std::span(buffer_).subspan(inside - kBufferBase, dma_.count);
        if (to_memory) {
            dma_port_.write(outside, bytes, now, delay);
        } else {
            std::array<std::uint8_t, kBufferSize> copy{};
            const std::span<std::uint8_t> read = std::span(copy).first(bytes.size());
            if (dma_port_.read(outside, read, now, delay))
                std::copy(read.begin(), read.end(), bytes.begin());
        }
    }
    dma_.command &= ~kDmaStart;
    if (dma_.command & kDmaInterruptAfter) raise(kDmaInterrupt, now + delay);
}

bool Edu::msi_enabled() const {
    return (field<std::uint16_t>(kMsiControl) & kMsiEnable) != 0;
}

void Edu::raise(std::uint32_t bits, sim::Time now) {
    interrupt_status_ |= bits;
    if (interrupt_status_ != 0 && msi_enabled() &&
        (field<std::uint16_t>(kCommand) & kCommandMaster)) {
        const std::uint64_t address = field<std::uint32_t>(kMsiAddress) |
                                      std::uint64_t{field<std::uint32_t>(kMsiUpperAddress)} << 32;
        const auto data = field<std::uint16_t>(kMsiData);
        const std::array<std::uint8_t, 4> bytes{static_cast<std::uint8_t>(data),
                                                static_cast<std::uint8_t>(data >> 8), 0, 0};
        sim::Duration delay = 0;
        dma_port_.write(address, bytes, now, delay);
    }
    update_line(now);
}

void Edu::update_line(sim::Time now) {
    set_status(kStatusInterrupt, interrupt_status_ != 0);
    const bool off = msi_enabled() || (field<std::uint16_t>(kCommand) & kCommandInterruptDisable);
    const bool level = interrupt_status_ != 0 && !off;
    if (level == line_) return;
    line_ = level;
    interrupt_.set(level, now);
}

}  // namespace hvsim::devices::pci
