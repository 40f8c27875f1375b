#include "devices/acpi_pm.h"

#include "sim/error.h"

namespace hvsim::devices {

namespace regs = spec::acpi_pm;

namespace {

std::uint8_t byte_of(std::uint32_t word, std::uint64_t index) {
    return static_cast<std::uint8_t>(word >> (8 * index));
}

std::uint16_t with_byte(std::uint16_t word, std::uint64_t index, std::uint8_t value) {
    return index == 0 ? sim::Bits<7, 0>::set(word, value) : sim::Bits<15, 8>::set(word, value);
}

}  // namespace

AcpiPm::AcpiPm(PmTimer timer, PowerControl* power, InterruptLine* sci)
    : timer_(timer), power_(power), sci_(sci) {}

std::uint8_t AcpiPm::read_byte(std::uint64_t offset, std::uint32_t timer) const noexcept {
    const auto* row = spec::find_register(regs::kTable, offset);
    if (row == nullptr) return 0;
    const std::uint64_t index = offset - row->offset;
    switch (row->offset) {
        case regs::kPm1Status:
            return byte_of(pm1_status_, index);
        case regs::kPm1Enable:
            return byte_of(pm1_enable_, index);
        case regs::kPm1Control:
            return byte_of(regs::Pm1Control::SCI_EN::set(pm1_control_, 1), index);
        case regs::kPmTimer:
            return byte_of(timer, index);
        case regs::kGpe0Status:
            return byte_of(gpe0_status_, index);
        default:
            return byte_of(gpe0_enable_, index);
    }
}

std::uint64_t AcpiPm::read_register(std::uint64_t offset, unsigned size, sim::Time& now) {
    const bool timer_wanted =
        offset < regs::kPmTimer + sizeof(std::uint32_t) && offset + size > regs::kPmTimer;
    const std::uint32_t timer = timer_wanted ? timer_.read(now) : 0;
    settle(now);
    update_sci(now);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= std::uint64_t{read_byte(offset + i, timer)} << (8 * i);
    return value;
}

void AcpiPm::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                            sim::Time now) {
    settle(now);
    for (unsigned i = 0; i < size; ++i)
        write_byte(offset + i, static_cast<std::uint8_t>(value >> (8 * i)), now);
    update_sci(now);
}

void AcpiPm::write_byte(std::uint64_t offset, std::uint8_t value, sim::Time now) {
    const auto* row = spec::find_register(regs::kTable, offset);
    if (row == nullptr) return;
    const std::uint64_t index = offset - row->offset;
    const std::uint16_t cleared = with_byte(0, index, value);
    switch (row->offset) {
        case regs::kPm1Status:
            pm1_status_ &= static_cast<std::uint16_t>(~cleared);
            break;
        case regs::kPm1Enable:
            pm1_enable_ = with_byte(pm1_enable_, index, value) & regs::Pm1::kEnables;
            break;
        case regs::kPm1Control: {
            using regs::Pm1Control;
            pm1_control_ = with_byte(pm1_control_, index, value) & Pm1Control::kStored;
            // SLP_TYP and SLP_EN are in the same byte: a byte write is enough.
            if (Pm1Control::SLP_EN::test(cleared) && power_ != nullptr)
                power_->sleep(static_cast<unsigned>(Pm1Control::SLP_TYP::get(pm1_control_)), now);
            break;
        }
        case regs::kGpe0Status:
            gpe0_status_ &= static_cast<std::uint16_t>(~cleared);
            break;
        case regs::kGpe0Enable:
            gpe0_enable_ = with_byte(gpe0_enable_, index, value);
            break;
        default:
            break;  // the timer is read only
    }
}

void AcpiPm::press_power_button(sim::Time now) {
    settle(now);
    pm1_status_ = regs::Pm1::PWRBTN::set(pm1_status_, 1);
    update_sci(now);
}

void AcpiPm::raise_event(unsigned number, sim::Time now) {
    SIM_ASSERT(number < 16);
    settle(now);
    gpe0_status_ = static_cast<std::uint16_t>(gpe0_status_ | 1u << number);
    update_sci(now);
}

void AcpiPm::settle(sim::Time now) {
    if (now <= settled_) return;
    if (timer_.next_carry(settled_) <= now) pm1_status_ = regs::Pm1::TMR::set(pm1_status_, 1);
    settled_ = now;
}

void AcpiPm::update_sci(sim::Time now) {
    const bool level = (pm1_status_ & pm1_enable_) != 0 || (gpe0_status_ & gpe0_enable_) != 0;
    if (level == sci_level_) return;
    sci_level_ = level;
    if (sci_ != nullptr) sci_->set(level, now);
}

sim::Time AcpiPm::next_deadline() const noexcept {
    if (!regs::Pm1::TMR::test(pm1_enable_) || regs::Pm1::TMR::test(pm1_status_)) return sim::kNever;
    return timer_.next_carry(settled_);
}

void AcpiPm::advance_to(sim::Time now) {
    if (const sim::Time due = next_deadline(); due <= now && due != sim::kNever) {
        settle(due);
        update_sci(due);
    }
    settle(now);
    update_sci(now);
}

void ResetRegister::write_register(std::uint64_t, unsigned, std::uint64_t value, sim::Time now) {
    value_ = static_cast<std::uint8_t>(value);
    if (value_ == reset_value_ && power_ != nullptr) power_->reset(now);
}

}  // namespace hvsim::devices
