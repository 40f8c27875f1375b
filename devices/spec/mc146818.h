#pragma once
// Motorola MC146818A data sheet (1984): registers behind index and data port, and their fields. The
// century at 0x32 is where PCs have it and where FADT.CENTURY says it is (ACPI 6.4 table 5.9).
#include <array>

#include "devices/spec/register_table.h"
#include "sim/bits.h"

namespace hvsim::devices::spec::mc146818 {

inline constexpr std::uint8_t kSeconds = 0x00;
inline constexpr std::uint8_t kSecondsAlarm = 0x01;
inline constexpr std::uint8_t kMinutes = 0x02;
inline constexpr std::uint8_t kMinutesAlarm = 0x03;
inline constexpr std::uint8_t kHours = 0x04;
inline constexpr std::uint8_t kHoursAlarm = 0x05;
inline constexpr std::uint8_t kDayOfWeek = 0x06;  ///< Sunday = 1
inline constexpr std::uint8_t kDate = 0x07;
inline constexpr std::uint8_t kMonth = 0x08;
inline constexpr std::uint8_t kYear = 0x09;
inline constexpr std::uint8_t kA = 0x0a;
inline constexpr std::uint8_t kB = 0x0b;
inline constexpr std::uint8_t kC = 0x0c;
inline constexpr std::uint8_t kD = 0x0d;
inline constexpr std::uint8_t kCentury = 0x32;
inline constexpr std::size_t kBytes = 128;

// clang-format off
inline constexpr std::array kTable{
    RegisterRow{kSeconds,      1, "seconds",       Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kSecondsAlarm, 1, "seconds alarm", Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kMinutes,      1, "minutes",       Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kMinutesAlarm, 1, "minutes alarm", Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kHours,        1, "hours",         Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kHoursAlarm,   1, "hours alarm",   Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kDayOfWeek,    1, "day of week",   Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kDate,         1, "date",          Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kMonth,        1, "month",         Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kYear,         1, "year",          Access::read_write, Fidelity::functional, "bytes 0-9"},
    RegisterRow{kA,            1, "A",             Access::read_write, Fidelity::functional, "register A"},
    RegisterRow{kB,            1, "B",             Access::read_write, Fidelity::functional, "register B"},
    RegisterRow{kC,            1, "C",             Access::read_only,  Fidelity::functional, "register C"},
    RegisterRow{kD,            1, "D",             Access::read_only,  Fidelity::functional, "register D"},
    RegisterRow{0x0e,         36, "RAM",           Access::read_write, Fidelity::functional, "RAM"},
    RegisterRow{kCentury,      1, "century",       Access::read_write, Fidelity::functional, "ACPI 6.4 5.2.9"},
    RegisterRow{0x33,         77, "RAM",           Access::read_write, Fidelity::functional, "RAM"},
};
// clang-format on
static_assert(in_offset_order(kTable));
static_assert(kTable.back().offset + kTable.back().width == kBytes);

struct A {
    using RS = sim::Bits<3, 0>;
    using DV = sim::Bits<6, 4>;
    using UIP = sim::Bits<7>;
    static constexpr std::uint64_t kDividerReset = 6;  ///< DV 6 and 7 hold the divider chain
};

struct B {
    using DSE = sim::Bits<0>;
    using H24 = sim::Bits<1>;
    using DM = sim::Bits<2>;  ///< 1 = binary, 0 = BCD
    using SQWE = sim::Bits<3>;
    using UIE = sim::Bits<4>;
    using AIE = sim::Bits<5>;
    using PIE = sim::Bits<6>;
    using SET = sim::Bits<7>;
};

struct C {
    using UF = sim::Bits<4>;
    using AF = sim::Bits<5>;
    using PF = sim::Bits<6>;
    using IRQF = sim::Bits<7>;
};

struct D {
    using VRT = sim::Bits<7>;
};

inline constexpr std::uint8_t kAlarmAny = 0xc0;  ///< alarm bytes from here on match anything
inline constexpr std::uint8_t kPm = 0x80;        ///< of the hours in 12-hour mode

}  // namespace hvsim::devices::spec::mc146818
