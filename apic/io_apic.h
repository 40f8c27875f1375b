#pragma once
// The I/O APIC (82093AA data sheet, with the EOI register of version 0x20).
#include <cstdint>
#include <string_view>
#include <vector>

#include "apic/interrupt_message.h"
#include "sim/statistics.h"

namespace hvsim::apic {

struct IoApicConfig {
    std::uint8_t id = 0;
    unsigned entries = 24;           ///< 1-240 redirection entries, one a pin
    std::uint32_t requester_id = 0;  ///< PCI requester id towards interrupt remapping
};

/// All that an I/O APIC remembers.
struct IoApicState {
    std::uint32_t select = 0;
    std::uint32_t id_register = 0;
    std::vector<std::uint64_t> redirection;  ///< by pin
    std::vector<std::uint8_t> level;         ///< electrical level by pin, 0 or 1
    bool operator==(const IoApicState&) const = default;
};

class IoApic final : public EoiSink {
  public:
    /// Messages leave as MSI writes, each bit of the entry in its place, so that interrupt
    /// remapping sees the handle of a remappable entry (VT-d 5.1.2.2).
    IoApic(const IoApicConfig& config, MsiSink& messages);

    void reset();
    /// Offsets in the 4 KiB window. Select, window and EOI register take 4-byte accesses (select
    /// also 1-byte); others read as zero and change nothing.
    std::uint64_t mmio_read(std::uint32_t offset, unsigned size) const;
    void mmio_write(std::uint32_t offset, unsigned size, std::uint64_t value, sim::Time now);

    /// Electrical level of an input pin. Pins that do not exist are a model bug.
    void set_pin(unsigned pin, bool level, sim::Time now);
    /// An EOI message of a local APIC, or a write of the EOI register.
    void broadcast_eoi(std::uint8_t vector, sim::Time now) override;

    unsigned entries() const noexcept { return config_.entries; }
    std::uint64_t redirection(unsigned pin) const { return state_.redirection.at(pin); }
    const IoApicState& state() const noexcept { return state_; }
    void restore(const IoApicState& state);
    /// Messages sent, by pin.
    const std::vector<std::uint64_t>& sent() const noexcept { return sent_; }
    void collect(sim::StatisticsSink& sink, std::string_view prefix) const;

    /// The message that a redirection entry sends.
    static MsiMessage message_of(std::uint64_t entry) noexcept;

  private:
    std::uint32_t read_indirect(std::uint8_t index) const;
    void write_indirect(std::uint8_t index, std::uint32_t value, sim::Time now);
    bool asserted(unsigned pin) const noexcept;
    void pin_changed(unsigned pin, bool was_asserted, sim::Time now);
    void send(unsigned pin, sim::Time now);

    IoApicConfig config_;
    MsiSink& messages_;
    IoApicState state_;
    std::vector<std::uint64_t> sent_;
};

}  // namespace hvsim::apic
