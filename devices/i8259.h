#pragma once
// Two 8259A interrupt controllers, the second at the first one's input 2, as PCs have them, with
// the edge/level registers of later chipsets.
#include <array>
#include <cstdint>
#include <optional>

#include "devices/interrupt_line.h"
#include "devices/register_device.h"

namespace hvsim::devices {

/// What one controller remembers.
struct I8259State {
    std::uint8_t irr = 0, isr = 0, imr = 0;
    std::uint8_t lines = 0;       ///< electrical levels
    std::uint8_t level_mask = 0;  ///< inputs that are level triggered
    std::uint8_t vector_base = 0;
    std::uint8_t highest = 0;       ///< the input of highest priority
    std::uint8_t expected_icw = 0;  ///< 2, 3 or 4 while it is initialised; 0 = none
    bool all_level = false;         ///< ICW1.LTIM
    bool single = false, wants_icw4 = false;
    bool auto_eoi = false, rotate_on_auto_eoi = false;
    bool fully_nested = false;  ///< special fully nested mode
    bool special_mask = false;
    bool read_isr = false, poll = false;
    bool operator==(const I8259State&) const = default;
};

class I8259Pair final : public RegisterDevice {
  public:
    static constexpr unsigned kInputs = 16;
    /// Offsets of the blocks within the device: master and slave (two ports each), edge/level.
    static constexpr std::uint64_t kMaster = 0, kSlave = 2, kEdgeLevel = 4, kPorts = 6;

    /// The state that firmware leaves: vectors from `master_base` and `slave_base` on, every input
    /// open and edge triggered. `output` (INTR) is not owned.
    I8259Pair(std::uint8_t master_base, std::uint8_t slave_base, InterruptLine* output);

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 1; }

    /// Electrical level of an input (0-15; 2 is the slave's and does nothing).
    void set_input(unsigned input, bool level, sim::Time now);
    bool requested() const noexcept { return output_level_; }
    /// The processor's acknowledge cycles: the vector. Without a request input 7's (8259A,
    /// "spurious interrupts").
    std::uint8_t acknowledge(sim::Time now);

    const std::array<I8259State, 2>& state() const noexcept { return chips_; }

  private:
    I8259State& master() noexcept { return chips_[0]; }
    I8259State& slave() noexcept { return chips_[1]; }
    std::optional<unsigned> pending(unsigned chip) const noexcept;
    void take(I8259State& chip, unsigned input) noexcept;
    std::uint8_t read_command(unsigned chip, sim::Time now);
    void write_command(unsigned chip, std::uint8_t value);
    void write_ocw2(I8259State& chip, std::uint8_t value);
    void write_data(unsigned chip, std::uint8_t value);
    void update(sim::Time now);

    std::array<I8259State, 2> chips_;
    InterruptLine* output_;
    bool output_level_ = false;
};

/// The wire from a device to an input.
class I8259Input final : public InterruptLine {
  public:
    I8259Input(I8259Pair& pair, unsigned input) : pair_(pair), input_(input) {}
    void set(bool level, sim::Time now) override { pair_.set_input(input_, level, now); }

  private:
    I8259Pair& pair_;
    unsigned input_;
};

}  // namespace hvsim::devices
