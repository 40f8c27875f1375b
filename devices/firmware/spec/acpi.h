#pragma once
// Offsets and constants of ACPI tables: ACPI specification 6.4; DMAR: VT-d 4.1 chapter 8; IVRS: AMD
// I/O Virtualization Technology (IOMMU) 48882 revision 3.08, chapter 5; WAET: Windows ACPI Emulated
// Devices Table 1.0.
#include <cstddef>
#include <cstdint>

namespace hvsim::devices::firmware::spec {

// Header of every table (5.2.6).
inline constexpr std::size_t kTableLength = 4;
inline constexpr std::size_t kTableRevision = 8;
inline constexpr std::size_t kTableChecksum = 9;
inline constexpr std::size_t kTableOemId = 10;
inline constexpr std::size_t kTableOemTableId = 16;
inline constexpr std::size_t kTableOemRevision = 24;
inline constexpr std::size_t kTableCreatorId = 28;
inline constexpr std::size_t kTableCreatorRevision = 32;
inline constexpr std::size_t kTableHeaderSize = 36;

// RSDP (5.2.5.3).
inline constexpr std::size_t kRsdpChecksum = 8;
inline constexpr std::size_t kRsdpOemId = 9;
inline constexpr std::size_t kRsdpRevision = 15;
inline constexpr std::size_t kRsdpLength = 20;
inline constexpr std::size_t kRsdpXsdt = 24;
inline constexpr std::size_t kRsdpExtendedChecksum = 32;
inline constexpr std::size_t kRsdpSize = 36;
inline constexpr std::size_t kRsdpFirstPart = 20;

// FADT revision 6 (5.2.9).
inline constexpr std::size_t kFadtSize = 276;
inline constexpr std::size_t kFadtFacs = 36;
inline constexpr std::size_t kFadtDsdt = 40;
inline constexpr std::size_t kFadtProfile = 45;
inline constexpr std::size_t kFadtSci = 46;
inline constexpr std::size_t kFadtPm1aEvent = 56;
inline constexpr std::size_t kFadtPm1aControl = 64;
inline constexpr std::size_t kFadtPmTimer = 76;
inline constexpr std::size_t kFadtGpe0 = 80;
inline constexpr std::size_t kFadtPm1EventLength = 88;
inline constexpr std::size_t kFadtPm1ControlLength = 89;
inline constexpr std::size_t kFadtPmTimerLength = 91;
inline constexpr std::size_t kFadtGpe0Length = 92;
inline constexpr std::size_t kFadtC2Latency = 96;
inline constexpr std::size_t kFadtC3Latency = 98;
inline constexpr std::size_t kFadtCentury = 108;
inline constexpr std::size_t kFadtBootArchitecture = 109;
inline constexpr std::size_t kFadtFlags = 112;
inline constexpr std::size_t kFadtReset = 116;
inline constexpr std::size_t kFadtResetValue = 128;
inline constexpr std::size_t kFadtMinorRevision = 131;
inline constexpr std::size_t kFadtXFacs = 132;
inline constexpr std::size_t kFadtXDsdt = 140;
inline constexpr std::size_t kFadtXPm1aEvent = 148;
inline constexpr std::size_t kFadtXPm1aControl = 172;
inline constexpr std::size_t kFadtXPmTimer = 208;
inline constexpr std::size_t kFadtXGpe0 = 220;

// FADT flags (table 5.10).
inline constexpr std::uint32_t kFadtWbinvd = 1u << 0;
inline constexpr std::uint32_t kFadtProcC1 = 1u << 2;
inline constexpr std::uint32_t kFadtPowerButtonIsDevice = 1u << 4;
inline constexpr std::uint32_t kFadtSleepButtonIsDevice = 1u << 5;
inline constexpr std::uint32_t kFadtTimer32 = 1u << 8;
inline constexpr std::uint32_t kFadtResetSupported = 1u << 10;
inline constexpr std::uint32_t kFadtUsePlatformClock = 1u << 15;
// IA-PC boot architecture flags (table 5.11).
inline constexpr std::uint16_t kBootArchVgaNotPresent = 1u << 2;
inline constexpr std::uint16_t kBootArchNoCmosRtc = 1u << 5;

// MADT (5.2.12): structure types.
inline constexpr std::uint8_t kMadtLocalApic = 0;
inline constexpr std::uint8_t kMadtIoApic = 1;
inline constexpr std::uint8_t kMadtOverride = 2;
inline constexpr std::uint8_t kMadtLocalApicNmi = 4;
inline constexpr std::uint8_t kMadtLocalX2Apic = 9;
inline constexpr std::uint8_t kMadtLocalX2ApicNmi = 10;
inline constexpr std::uint16_t kMpsLevelActiveHigh = 0x000d;  // table 5.26

inline constexpr std::uint32_t kWaetRtcGood = 1u << 0;
inline constexpr std::uint32_t kWaetPmTimerGood = 1u << 1;

}  // namespace hvsim::devices::firmware::spec
