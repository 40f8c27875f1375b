#include "apic/io_apic.h"

#include <string>

#include "apic/spec/message_formats.h"
#include "sim/error.h"

namespace hvsim::apic {

using namespace spec;

namespace {

// Only fixed and lowest-priority interrupts are answered with an EOI; other delivery modes are
// edges whatever the trigger bit says (82093AA 3.2.4, bits 10:8).
bool is_level(std::uint64_t entry) {
    const auto mode = static_cast<DeliveryMode>(RteDeliveryMode::get(entry));
    return RteLevelTriggered::test(entry) &&
           (mode == DeliveryMode::fixed || mode == DeliveryMode::lowest_priority);
}

}  // namespace

IoApic::IoApic(const IoApicConfig& config, MsiSink& messages)
    : config_(config), messages_(messages), sent_(config.entries) {
    SIM_ASSERT(config.entries >= 1 && config.entries <= 240);
    state_.level.assign(config.entries, 0);
    reset();
}

void IoApic::reset() {
    state_.select = 0;
    state_.id_register = IoApicId::set(0u, config_.id);
    state_.redirection.assign(config_.entries, kRteReset);
}

std::uint64_t IoApic::mmio_read(std::uint32_t offset, unsigned size) const {
    if (offset == kIoApicSelect && (size == 1 || size == 4)) return state_.select;
    if (offset == kIoApicWindow && size == 4)
        return read_indirect(static_cast<std::uint8_t>(state_.select));
    return 0;
}

void IoApic::mmio_write(std::uint32_t offset, unsigned size, std::uint64_t value, sim::Time now) {
    if (offset == kIoApicSelect && (size == 1 || size == 4))
        state_.select = static_cast<std::uint32_t>(value & 0xff);
    else if (offset == kIoApicWindow && size == 4)
        write_indirect(static_cast<std::uint8_t>(state_.select), static_cast<std::uint32_t>(value),
                       now);
    else if (offset == kIoApicEoi && size == 4)
        broadcast_eoi(static_cast<std::uint8_t>(value), now);
}

std::uint32_t IoApic::read_indirect(std::uint8_t index) const {
    if (index == kIoApicIndexId || index == kIoApicIndexArbitration) return state_.id_register;
    if (index == kIoApicIndexVersion) return kIoApicVersion | (config_.entries - 1) << 16;
    if (index < kIoApicIndexTable) return 0;
    const unsigned pin = (index - kIoApicIndexTable) / 2u;
    if (pin >= config_.entries) return 0;
    return static_cast<std::uint32_t>(state_.redirection[pin] >> (index & 1 ? 32 : 0));
}

void IoApic::write_indirect(std::uint8_t index, std::uint32_t value, sim::Time now) {
    if (index == kIoApicIndexId) {
        state_.id_register = static_cast<std::uint32_t>(value & IoApicId::kMask);
        return;
    }
    if (index < kIoApicIndexTable) return;
    const unsigned pin = (index - kIoApicIndexTable) / 2u;
    if (pin >= config_.entries) return;
    const bool was_asserted = asserted(pin);
    std::uint64_t& entry = state_.redirection[pin];
    const unsigned shift = index & 1 ? 32 : 0;
    const std::uint64_t half = std::uint64_t{0xffffffff} << shift;
    const std::uint64_t writable = kRteWritable & half;
    entry = (entry & ~writable) | (std::uint64_t{value} << shift & writable);
    // Turning an entry to edge forgets an unfinished level: how software without the EOI register
    // clears remote IRR.
    if (!is_level(entry)) entry = RteRemoteIrr::set(entry, 0);
    pin_changed(pin, was_asserted, now);  // a change of polarity can be an edge as well
}

bool IoApic::asserted(unsigned pin) const noexcept {
    return (state_.level[pin] != 0) != RteActiveLow::test(state_.redirection[pin]);
}

void IoApic::set_pin(unsigned pin, bool level, sim::Time now) {
    SIM_ASSERT(pin < config_.entries);
    const bool was_asserted = asserted(pin);
    state_.level[pin] = level ? 1 : 0;
    pin_changed(pin, was_asserted, now);
}

void IoApic::pin_changed(unsigned pin, bool was_asserted, sim::Time now) {
    std::uint64_t& entry = state_.redirection[pin];
    // Edges on a masked pin are neither delivered nor kept (82093AA 3.2.4, bit 16).
    if (!asserted(pin) || RteMask::test(entry)) return;
    if (is_level(entry)) {
        if (RteRemoteIrr::test(entry)) return;
        entry = RteRemoteIrr::set(entry, 1);
        send(pin, now);
    } else if (!was_asserted) {
        send(pin, now);
    }
}

MsiMessage IoApic::message_of(std::uint64_t entry) noexcept {
    const bool remappable = RteRemappable::test(entry);
    MsiMessage message;
    message.address = kMsiAddressBase;
    message.address = MsiDestination::set(message.address, RteDestination::get(entry));
    message.address =
        MsiExtendedDestination::set(message.address, RteExtendedDestination::get(entry));
    message.address = MsiRemappable::set(message.address, remappable);
    // In remappable format this bit says that data holds a subhandle: never for an I/O APIC.
    message.address = MsiRedirectionHint::set(
        message.address,
        !remappable && RteDeliveryMode::get(entry) ==
                           static_cast<std::uint64_t>(DeliveryMode::lowest_priority));
    message.address = MsiLogical::set(message.address, RteLogical::test(entry));
    message.data = MsiVector::set(message.data, RteVector::get(entry));
    message.data = MsiDeliveryMode::set(message.data, RteDeliveryMode::get(entry));
    message.data = MsiLevelTriggered::set(message.data, RteLevelTriggered::test(entry));
    message.data = MsiAssert::set(message.data, 1);
    return message;
}

void IoApic::send(unsigned pin, sim::Time now) {
    ++sent_[pin];
    messages_.write_msi(message_of(state_.redirection[pin]),
                        {InterruptSource::Kind::io_apic, config_.requester_id}, now);
}

void IoApic::broadcast_eoi(std::uint8_t vector, sim::Time now) {
    for (unsigned pin = 0; pin < config_.entries; ++pin) {
        std::uint64_t& entry = state_.redirection[pin];
        if (RteVector::get(entry) != vector || !RteRemoteIrr::test(entry)) continue;
        entry = RteRemoteIrr::set(entry, 0);
        pin_changed(pin, true, now);
    }
}

void IoApic::restore(const IoApicState& state) {
    SIM_ASSERT(state.redirection.size() == config_.entries &&
               state.level.size() == config_.entries);
    state_ = state;
}

void IoApic::collect(sim::StatisticsSink& sink, std::string_view prefix) const {
    for (unsigned pin = 0; pin < config_.entries; ++pin)
        if (sent_[pin] != 0)
            sink.add(std::string(prefix) + "sent." + std::to_string(pin), sent_[pin], "count",
                     "interrupt messages of this pin");
}

}  // namespace hvsim::apic
