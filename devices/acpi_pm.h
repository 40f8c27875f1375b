#pragma once
// ACPI fixed hardware: PM1a event and control, PM timer, GPE0, and the reset register.
#include <cstdint>

#include "devices/interrupt_line.h"
#include "devices/pm_timer.h"
#include "devices/register_device.h"
#include "devices/spec/acpi_pm.h"
#include "sim/clocked.h"

namespace hvsim::devices {

/// What software asks of the board's power. Called within the write that asks for it.
class PowerControl {
  public:
    virtual ~PowerControl() = default;
    /// SLP_EN was written with `sleep_type` in SLP_TYP: the machine's _Sx objects say what it
    /// means.
    virtual void sleep(unsigned sleep_type, sim::Time now) = 0;
    virtual void reset(sim::Time now) = 0;
};

/// The block of ports of devices/spec/acpi_pm.h. There is no SMI command port, so the machine is
/// always in ACPI mode and SCI_EN reads as one (4.8.2.5). The SCI is a level.
class AcpiPm final : public RegisterDevice, public sim::Clocked {
  public:
    /// Nothing is owned; both pointers may be null.
    AcpiPm(PmTimer timer, PowerControl* power, InterruptLine* sci);

    /// Any size at any offset; bytes that belong to no register read as zero.
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 4; }

    /// The user presses the power button: a request to shut down (4.8.2.2.1).
    void press_power_button(sim::Time now);
    /// General purpose event `number`, 0 to 15, happened.
    void raise_event(unsigned number, sim::Time now);

    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;

  private:
    std::uint8_t read_byte(std::uint64_t offset, std::uint32_t timer) const noexcept;
    void write_byte(std::uint64_t offset, std::uint8_t value, sim::Time now);
    void settle(sim::Time now);
    void update_sci(sim::Time now);

    PmTimer timer_;
    PowerControl* power_;
    InterruptLine* sci_;
    std::uint16_t pm1_status_ = 0;
    std::uint16_t pm1_enable_ = 0;
    std::uint16_t pm1_control_ = 0;
    std::uint16_t gpe0_status_ = 0;
    std::uint16_t gpe0_enable_ = 0;
    bool sci_level_ = false;
    sim::Time settled_ = 0;  ///< TMR_STS is that of this time
};

/// The one-byte register that FADT.RESET_REG names (4.8.3.6): `reset_value` written to it resets.
class ResetRegister final : public RegisterDevice {
  public:
    ResetRegister(std::uint8_t reset_value, PowerControl* power)
        : reset_value_(reset_value), power_(power) {}

    std::uint64_t read_register(std::uint64_t, unsigned, sim::Time&) override { return value_; }
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 1; }

  private:
    std::uint8_t reset_value_;
    std::uint8_t value_ = 0;
    PowerControl* power_;
};

}  // namespace hvsim::devices
