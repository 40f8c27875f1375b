#pragma once
// What travels between interrupt controllers: a decoded interrupt message, its forms as MSI
// address/data and as ICR value, and the interfaces that carry it.
#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/time.h"

namespace hvsim::apic {

/// SDM 3A 11.6.1, "Delivery Mode". Values as in ICR, LVT, MSI data and redirection entries.
enum class DeliveryMode : std::uint8_t {
    fixed = 0,
    lowest_priority = 1,
    smi = 2,
    reserved = 3,
    nmi = 4,
    init = 5,
    startup = 6,   ///< ICR only
    ext_int = 7,   ///< not in ICR
    doorbell = 8,  ///< AMD: look at the virtual APIC (APM 2 15.29.8.2); no format on a wire has it
};

enum class DestinationMode : std::uint8_t { physical = 0, logical = 1 };
enum class TriggerMode : std::uint8_t { edge = 0, level = 1 };

/// SDM 3A 11.6.1, "Destination Shorthand"; other sources than the ICR have none.
enum class Shorthand : std::uint8_t { none = 0, self = 1, all = 2, all_but_self = 3 };

/// How wide the destination is: 8 bits as xAPIC, MSI and I/O APIC have it (0xff: everybody), or 32
/// bits as x2APIC and extended remapping entries have it (0xffffffff: everybody).
enum class DestinationWidth : std::uint8_t { xapic, x2apic };

/// What asked for an interrupt: for counting and traces alone, no message carries it on a wire.
enum class InterruptCause : std::uint8_t {
    other,
    timer,  ///< the local APIC's
    local,  ///< LINT pins and the other local sources
    ipi,
    io_apic,
    device,           ///< by MSI
    synic,            ///< message or event of a synthetic interrupt source
    synthetic_timer,  ///< in direct mode
    parent,           ///< HvCallAssertVirtualInterrupt
    hypervisor,       ///< the hypervisor's own business
};
/// One or two words.
std::string_view interrupt_cause_name(InterruptCause cause) noexcept;

struct InterruptMessage {
    std::uint32_t destination = 0;
    DestinationWidth width = DestinationWidth::xapic;
    DestinationMode destination_mode = DestinationMode::physical;
    DeliveryMode delivery_mode = DeliveryMode::fixed;
    Shorthand shorthand = Shorthand::none;
    std::uint8_t vector = 0;
    TriggerMode trigger = TriggerMode::edge;
    bool assert_level = true;
    bool redirection_hint = false;
    InterruptCause cause = InterruptCause::other;

    bool operator==(const InterruptMessage&) const = default;
    /// One of the matching processors gets it, not all (SDM 3A 11.6.2.4, 11.11.1).
    bool is_arbitrated() const noexcept {
        return delivery_mode == DeliveryMode::lowest_priority ||
               (redirection_hint && delivery_mode == DeliveryMode::fixed);
    }
};

/// A write to the interrupt address range, not yet remapped.
struct MsiMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool operator==(const MsiMessage&) const = default;
};

/// Who sent a message. `id`: x2APIC id of the sending processor, or PCI requester id.
struct InterruptSource {
    enum class Kind : std::uint8_t { processor, io_apic, device };
    Kind kind = Kind::device;
    std::uint32_t id = 0;
    bool operator==(const InterruptSource&) const = default;
};

constexpr InterruptCause cause_of(InterruptSource source) noexcept {
    switch (source.kind) {
        case InterruptSource::Kind::processor:
            return InterruptCause::ipi;
        case InterruptSource::Kind::io_apic:
            return InterruptCause::io_apic;
        case InterruptSource::Kind::device:
            return InterruptCause::device;
    }
    return InterruptCause::other;
}

/// Takes interrupt messages and brings them to the local APICs.
class InterruptFabric {
  public:
    virtual ~InterruptFabric() = default;
    virtual void send(const InterruptMessage& message, InterruptSource source, sim::Time now) = 0;
};

/// Takes MSI writes as devices and I/O APICs make them: an interrupt remapper, or MsiDecoder.
class MsiSink {
  public:
    virtual ~MsiSink() = default;
    virtual void write_msi(MsiMessage message, InterruptSource source, sim::Time now) = 0;
};

/// Hears the end of level-triggered interrupts (SDM 3A 11.8.5): the I/O APICs.
class EoiSink {
  public:
    virtual ~EoiSink() = default;
    virtual void broadcast_eoi(std::uint8_t vector, sim::Time now) = 0;
};

/// Compatibility-format MSI of a message (SDM 3A 11.11). Destination bits 14:8 go to address bits
/// 11:5; the message must fit: destination < 0x8000, a delivery mode that MSI has.
MsiMessage encode_msi(const InterruptMessage& message);

/// nullopt: not in the interrupt address range, remappable format, or a reserved delivery mode.
/// `extended_destination`: address bits 11:5 are destination bits 14:8 (otherwise ignored).
std::optional<InterruptMessage> decode_msi(MsiMessage msi, bool extended_destination = false);

/// The message that a write of `icr` sends, in the layout of xAPIC or x2APIC mode. The trigger mode
/// counts for INIT only (SDM 3A 11.6.1); everything else is edge.
InterruptMessage decode_icr(std::uint64_t icr, DestinationWidth width);
std::uint64_t encode_icr(const InterruptMessage& message);

/// The path of MSIs where no interrupt remapping stands between: decodes and passes on.
class MsiDecoder final : public MsiSink {
  public:
    MsiDecoder(InterruptFabric& fabric, bool extended_destination)
        : fabric_(fabric), extended_destination_(extended_destination) {}
    void write_msi(MsiMessage message, InterruptSource source, sim::Time now) override;
    /// Writes that were no valid interrupt request.
    std::uint64_t rejected() const noexcept { return rejected_; }

  private:
    InterruptFabric& fabric_;
    bool extended_destination_;
    std::uint64_t rejected_ = 0;
};

}  // namespace hvsim::apic
