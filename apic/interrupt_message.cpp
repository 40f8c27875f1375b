#include "apic/interrupt_message.h"

#include <array>

#include "apic/spec/local_apic_registers.h"
#include "apic/spec/message_formats.h"
#include "sim/error.h"

namespace hvsim::apic {

using namespace spec;

MsiMessage encode_msi(const InterruptMessage& message) {
    SIM_ASSERT(message.destination < 0x8000 && message.shorthand == Shorthand::none);
    SIM_ASSERT(message.delivery_mode != DeliveryMode::startup);
    std::uint64_t address = kMsiAddressBase;
    address = MsiDestination::set(address, message.destination & 0xff);
    address = MsiExtendedDestination::set(address, message.destination >> 8);
    address = MsiRedirectionHint::set(address, message.redirection_hint);
    address = MsiLogical::set(address, message.destination_mode == DestinationMode::logical);
    std::uint32_t data = 0;
    data = MsiVector::set(data, message.vector);
    data = MsiDeliveryMode::set(data, static_cast<std::uint64_t>(message.delivery_mode));
    data = MsiAssert::set(data, message.assert_level);
    data = MsiLevelTriggered::set(data, message.trigger == TriggerMode::level);
    return {address, data};
}

std::optional<InterruptMessage> decode_msi(MsiMessage msi, bool extended_destination) {
    if ((msi.address & kMsiAddressMask) != kMsiAddressBase) return std::nullopt;
    if (MsiRemappable::test(msi.address)) return std::nullopt;
    InterruptMessage message;
    message.delivery_mode = static_cast<DeliveryMode>(MsiDeliveryMode::get(msi.data));
    if (message.delivery_mode == DeliveryMode::reserved ||
        message.delivery_mode == DeliveryMode::startup)
        return std::nullopt;
    message.destination = static_cast<std::uint32_t>(MsiDestination::get(msi.address));
    if (extended_destination)
        message.destination |=
            static_cast<std::uint32_t>(MsiExtendedDestination::get(msi.address) << 8);
    if (message.destination > 0xff) message.width = DestinationWidth::x2apic;
    message.redirection_hint = MsiRedirectionHint::test(msi.address);
    message.destination_mode =
        MsiLogical::test(msi.address) ? DestinationMode::logical : DestinationMode::physical;
    message.vector = static_cast<std::uint8_t>(MsiVector::get(msi.data));
    message.trigger = MsiLevelTriggered::test(msi.data) ? TriggerMode::level : TriggerMode::edge;
    // The level bit means something for level-triggered messages only (SDM 3A 11.11.2).
    message.assert_level = message.trigger == TriggerMode::edge || MsiAssert::test(msi.data);
    return message;
}

InterruptMessage decode_icr(std::uint64_t icr, DestinationWidth width) {
    InterruptMessage message;
    message.width = width;
    message.destination = static_cast<std::uint32_t>(width == DestinationWidth::x2apic
                                                         ? IcrX2apicDestination::get(icr)
                                                         : IcrXapicDestination::get(icr));
    message.destination_mode =
        IcrLogical::test(icr) ? DestinationMode::logical : DestinationMode::physical;
    message.delivery_mode = static_cast<DeliveryMode>(IcrDeliveryMode::get(icr));
    message.shorthand = static_cast<Shorthand>(IcrShorthand::get(icr));
    message.vector = static_cast<std::uint8_t>(IcrVector::get(icr));
    if (message.delivery_mode == DeliveryMode::init && IcrLevelTriggered::test(icr)) {
        message.trigger = TriggerMode::level;
        message.assert_level = IcrAssert::test(icr);
    }
    return message;
}

std::uint64_t encode_icr(const InterruptMessage& message) {
    std::uint64_t icr = 0;
    icr = IcrVector::set(icr, message.vector);
    icr = IcrDeliveryMode::set(icr, static_cast<std::uint64_t>(message.delivery_mode));
    icr = IcrLogical::set(icr, message.destination_mode == DestinationMode::logical);
    icr = IcrAssert::set(icr, message.assert_level);
    icr = IcrLevelTriggered::set(icr, message.trigger == TriggerMode::level);
    icr = IcrShorthand::set(icr, static_cast<std::uint64_t>(message.shorthand));
    if (message.width == DestinationWidth::x2apic)
        return IcrX2apicDestination::set(icr, message.destination);
    return IcrXapicDestination::set(icr, message.destination & 0xff);
}

void MsiDecoder::write_msi(MsiMessage message, InterruptSource source, sim::Time now) {
    if (const auto decoded = decode_msi(message, extended_destination_))
        fabric_.send(*decoded, source, now);
    else
        ++rejected_;
}

std::string_view interrupt_cause_name(InterruptCause cause) noexcept {
    static constexpr std::array<std::string_view, 10> kNames{
        "other",  "local timer", "local source",    "IPI",    "I/O APIC",
        "device", "SynIC",       "synthetic timer", "parent", "hypervisor"};
    const auto index = static_cast<std::size_t>(cause);
    return index < kNames.size() ? kNames[index] : std::string_view{};
}

}  // namespace hvsim::apic
