#pragma once
// National Semiconductor PC16550D data sheet (TL/C/8652, June 1995): registers and fields.
#include <array>

#include "devices/spec/register_table.h"
#include "sim/bits.h"

namespace hvsim::devices::spec::ns16550 {

inline constexpr std::uint64_t kRegisters = 8;
inline constexpr std::uint64_t kRbrThr = 0;  ///< DLL when LCR.DLAB
inline constexpr std::uint64_t kIer = 1;     ///< DLM when LCR.DLAB
inline constexpr std::uint64_t kIirFcr = 2;
inline constexpr std::uint64_t kLcr = 3;
inline constexpr std::uint64_t kMcr = 4;
inline constexpr std::uint64_t kLsr = 5;
inline constexpr std::uint64_t kMsr = 6;
inline constexpr std::uint64_t kScr = 7;

// clang-format off
inline constexpr std::array kTable{
    RegisterRow{kRbrThr, 1, "RBR/THR/DLL", Access::read_write, Fidelity::functional, "8.0"},
    RegisterRow{kIer,    1, "IER/DLM",     Access::read_write, Fidelity::functional, "8.6"},
    RegisterRow{kIirFcr, 1, "IIR/FCR",     Access::read_write, Fidelity::functional, "8.4, 8.5"},
    RegisterRow{kLcr,    1, "LCR",         Access::read_write, Fidelity::stored,     "8.1"},
    RegisterRow{kMcr,    1, "MCR",         Access::read_write, Fidelity::functional, "8.7"},
    RegisterRow{kLsr,    1, "LSR",         Access::read_only,  Fidelity::functional, "8.3"},
    RegisterRow{kMsr,    1, "MSR",         Access::read_only,  Fidelity::functional, "8.8"},
    RegisterRow{kScr,    1, "SCR",         Access::read_write, Fidelity::stored,     "8.9"},
};
// clang-format on
static_assert(in_offset_order(kTable));

struct Ier {
    using ERBFI = sim::Bits<0>;  ///< received data available (and character timeout)
    using ETBEI = sim::Bits<1>;  ///< transmitter holding register empty
    using ELSI = sim::Bits<2>;   ///< receiver line status
    using EDSSI = sim::Bits<3>;  ///< modem status
    static constexpr std::uint8_t kImplemented = 0x0f;
};

/// IIR bits 3:0 (8.5, table IV), in falling priority.
struct Iir {
    static constexpr std::uint8_t kLineStatus = 0x06;
    static constexpr std::uint8_t kReceived = 0x04;
    static constexpr std::uint8_t kTimeout = 0x0c;
    static constexpr std::uint8_t kTransmitterEmpty = 0x02;
    static constexpr std::uint8_t kModemStatus = 0x00;
    static constexpr std::uint8_t kNone = 0x01;
    static constexpr std::uint8_t kFifosEnabled = 0xc0;
};

struct Fcr {
    using ENABLE = sim::Bits<0>;
    using RESET_RECEIVER = sim::Bits<1>;
    using RESET_TRANSMITTER = sim::Bits<2>;
    using TRIGGER = sim::Bits<7, 6>;
    static constexpr std::array<std::uint8_t, 4> kTriggerLevel{1, 4, 8, 14};
};

struct Lcr {
    using DLAB = sim::Bits<7>;
};

struct Mcr {
    using DTR = sim::Bits<0>;
    using RTS = sim::Bits<1>;
    using OUT1 = sim::Bits<2>;
    using OUT2 = sim::Bits<3>;
    using LOOP = sim::Bits<4>;
    static constexpr std::uint8_t kImplemented = 0x1f;
};

struct Lsr {
    using DR = sim::Bits<0>;
    using OE = sim::Bits<1>;
    using THRE = sim::Bits<5>;
    using TEMT = sim::Bits<6>;
};

struct Msr {
    using DCTS = sim::Bits<0>;
    using DDSR = sim::Bits<1>;
    using TERI = sim::Bits<2>;
    using DDCD = sim::Bits<3>;
    using CTS = sim::Bits<4>;
    using DSR = sim::Bits<5>;
    using RI = sim::Bits<6>;
    using DCD = sim::Bits<7>;
};

}  // namespace hvsim::devices::spec::ns16550
