#pragma once
// ACPI Specification 6.4, 4.8: fixed hardware registers, as one block of ports. Offsets are those
// of the addresses that FADT gives (devices/firmware/acpi_tables.h): event block 0x400 and so on.
#include <array>

#include "devices/spec/register_table.h"
#include "sim/bits.h"

namespace hvsim::devices::spec::acpi_pm {

inline constexpr std::uint32_t kPm1Status = 0x0;
inline constexpr std::uint32_t kPm1Enable = 0x2;
inline constexpr std::uint32_t kPm1Control = 0x4;
inline constexpr std::uint32_t kPmTimer = 0x8;
inline constexpr std::uint32_t kGpe0Status = 0xc;
inline constexpr std::uint32_t kGpe0Enable = 0xe;
inline constexpr std::uint32_t kBlockSize = 0x10;

inline constexpr Access kRo = Access::read_only;
inline constexpr Access kRw = Access::read_write;
inline constexpr Access kW1c = Access::read_write_1_clear;

// clang-format off
inline constexpr std::array kTable{
    RegisterRow{kPm1Status,  2, "PM1a_STS", kW1c, Fidelity::functional, "4.8.3.1.1"},
    RegisterRow{kPm1Enable,  2, "PM1a_EN",  kRw,  Fidelity::functional, "4.8.3.1.2"},
    RegisterRow{kPm1Control, 2, "PM1a_CNT", kRw,  Fidelity::functional, "4.8.3.2.1"},
    RegisterRow{kPmTimer,    4, "PM_TMR",   kRo,  Fidelity::functional, "4.8.3.3"},
    RegisterRow{kGpe0Status, 2, "GPE0_STS", kW1c, Fidelity::functional, "4.8.4.1.1.1"},
    RegisterRow{kGpe0Enable, 2, "GPE0_EN",  kRw,  Fidelity::functional, "4.8.4.1.1.2"},
};
// clang-format on
static_assert(in_offset_order(kTable));

/// Status and, at the same places, enable bits.
struct Pm1 {
    using TMR = sim::Bits<0>;
    using BM = sim::Bits<4>;  ///< status only
    using GBL = sim::Bits<5>;
    using PWRBTN = sim::Bits<8>;
    using SLPBTN = sim::Bits<9>;
    using RTC = sim::Bits<10>;
    using PCIEXP_WAKE = sim::Bits<14>;
    using WAK = sim::Bits<15>;  ///< status only
    static constexpr std::uint16_t kEnables = 0x0721;
};

struct Pm1Control {
    using SCI_EN = sim::Bits<0>;
    using BM_RLD = sim::Bits<1>;
    using GBL_RLS = sim::Bits<2>;  ///< write only
    using SLP_TYP = sim::Bits<12, 10>;
    using SLP_EN = sim::Bits<13>;  ///< write only
    static constexpr std::uint16_t kStored = 0x1c02;
};

inline constexpr std::uint64_t kPmTimerHertz = 3'579'545;

}  // namespace hvsim::devices::spec::acpi_pm
