#pragma once
// Formats of interrupt messages and of the I/O APIC's registers. Sources: Intel SDM volume 3A 11.11
// (message signalled interrupts, 325384-083US); Intel 82093AA I/O APIC data sheet (290566-001) with
// the EOI register of version 0x20; VT-d 4.1 5.1.2.2 for the bits that interrupt remapping uses.
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::apic::spec {

// Message address, SDM 3A figure 11-14.
inline constexpr std::uint64_t kMsiAddressBase = 0xfee00000;
inline constexpr std::uint64_t kMsiAddressMask = ~std::uint64_t{0xfffff};
using MsiDestination = sim::Bits<19, 12>;
using MsiExtendedDestination = sim::Bits<11, 5>;  ///< destination bits 14:8 where both sides agree
using MsiRemappable = sim::Bits<4>;               ///< VT-d: interrupt format
using MsiRedirectionHint = sim::Bits<3>;
using MsiLogical = sim::Bits<2>;

// Message data, SDM 3A figure 11-15.
using MsiVector = sim::Bits<7, 0>;
using MsiDeliveryMode = sim::Bits<10, 8>;
using MsiAssert = sim::Bits<14>;
using MsiLevelTriggered = sim::Bits<15>;

// I/O APIC window (82093AA 3.1) and the EOI register of version 0x20 and later.
inline constexpr std::uint32_t kIoApicSelect = 0x00;
inline constexpr std::uint32_t kIoApicWindow = 0x10;
inline constexpr std::uint32_t kIoApicEoi = 0x40;
inline constexpr std::uint8_t kIoApicVersion = 0x20;
// Indirect registers (82093AA 3.2).
inline constexpr std::uint8_t kIoApicIndexId = 0x00;
inline constexpr std::uint8_t kIoApicIndexVersion = 0x01;
inline constexpr std::uint8_t kIoApicIndexArbitration = 0x02;
inline constexpr std::uint8_t kIoApicIndexTable = 0x10;
using IoApicId = sim::Bits<27, 24>;

// Redirection table entry (82093AA 3.2.4).
using RteVector = sim::Bits<7, 0>;
using RteDeliveryMode = sim::Bits<10, 8>;
using RteLogical = sim::Bits<11>;
using RteDeliveryStatus = sim::Bits<12>;
using RteActiveLow = sim::Bits<13>;
using RteRemoteIrr = sim::Bits<14>;
using RteLevelTriggered = sim::Bits<15>;
using RteMask = sim::Bits<16>;
using RteRemappable = sim::Bits<48>;  ///< VT-d 5.1.2.2
using RteExtendedDestination = sim::Bits<55, 49>;
using RteDestination = sim::Bits<63, 56>;
inline constexpr std::uint64_t kRteReset = 0x10000;
inline constexpr std::uint64_t kRteWritable = 0xffff00000001afff;  ///< all but status and reserved

}  // namespace hvsim::apic::spec
