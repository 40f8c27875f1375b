#pragma once
// Layout of the local APIC's registers. Source: Intel SDM volume 3A, chapter 11 "Advanced
// Programmable Interrupt Controller" (revision 325384-083US); tables 11-1 (xAPIC) and 11-6
// (x2APIC).
#include <array>
#include <cstdint>
#include <string_view>

#include "sim/bits.h"

namespace hvsim::apic::spec {

enum class Register : std::uint8_t {
    id,
    version,
    tpr,
    apr,
    ppr,
    eoi,
    remote_read,
    ldr,
    dfr,
    svr,
    isr,
    tmr,
    irr,
    esr,
    lvt_cmci,
    icr_low,
    icr_high,
    lvt_timer,
    lvt_thermal,
    lvt_performance,
    lvt_lint0,
    lvt_lint1,
    lvt_error,
    initial_count,
    current_count,
    divide_configuration,
    self_ipi,
};

enum class Access : std::uint8_t { absent, read_only, write_only, read_write };

/// One register, or a bank of `slots` registers 16 bytes apart. The MSR number is
/// 0x800 + offset / 16 (SDM 3A 11.12.1.2).
struct RegisterDescription {
    Register reg;
    std::string_view name;
    std::uint16_t offset;    ///< in the 4 KiB xAPIC window
    std::uint8_t slots;      ///< consecutive registers of this kind
    Access xapic;            ///< through memory
    Access x2apic;           ///< through RDMSR and WRMSR
    std::uint64_t writable;  ///< bits that a write changes
    std::uint64_t ignored;   ///< bits that may be written and never change (read-only status)
    std::uint32_t reset;     ///< after power-up; id, version and ldr are computed
    std::string_view section;

    constexpr std::uint32_t msr() const noexcept { return 0x800u + offset / 16u; }
    /// Bits whose writing is a #GP in x2APIC mode (SDM 3A 11.12.1.3).
    constexpr std::uint64_t reserved() const noexcept { return ~(writable | ignored); }
};

// LVT fields, SDM 3A figure 11-8.
using LvtVector = sim::Bits<7, 0>;
using LvtDeliveryMode = sim::Bits<10, 8>;
using LvtDeliveryStatus = sim::Bits<12>;
using LvtActiveLow = sim::Bits<13>;
using LvtRemoteIrr = sim::Bits<14>;
using LvtLevelTriggered = sim::Bits<15>;
using LvtMask = sim::Bits<16>;
using LvtTimerMode = sim::Bits<18, 17>;

// SVR fields, SDM 3A figure 11-23.
using SvrVector = sim::Bits<7, 0>;
using SvrEnable = sim::Bits<8>;
using SvrSuppressEoiBroadcast = sim::Bits<12>;

// ICR fields, SDM 3A figures 11-12 and 11-28.
using IcrVector = sim::Bits<7, 0>;
using IcrDeliveryMode = sim::Bits<10, 8>;
using IcrLogical = sim::Bits<11>;
using IcrDeliveryStatus = sim::Bits<12>;
using IcrAssert = sim::Bits<14>;
using IcrLevelTriggered = sim::Bits<15>;
using IcrShorthand = sim::Bits<19, 18>;
using IcrXapicDestination = sim::Bits<63, 56>;
using IcrX2apicDestination = sim::Bits<63, 32>;

// Version register, SDM 3A 11.4.8.
using VersionNumber = sim::Bits<7, 0>;
using VersionMaxLvtEntry = sim::Bits<23, 16>;
using VersionEoiBroadcastSuppression = sim::Bits<24>;

// IA32_APIC_BASE, SDM 3A 11.4.4 and 11.12.1.
inline constexpr std::uint32_t kMsrApicBase = 0x1b;
inline constexpr std::uint32_t kMsrTscDeadline = 0x6e0;  ///< SDM 3A 11.5.4.1
inline constexpr std::uint32_t kMsrX2apicFirst = 0x800;
inline constexpr std::uint32_t kMsrX2apicLast = 0x8ff;
using BaseBootstrapProcessor = sim::Bits<8>;
using BaseX2apicEnable = sim::Bits<10>;
using BaseEnable = sim::Bits<11>;
inline constexpr std::uint64_t kDefaultBase = 0xfee00000;

// Errors, SDM 3A figure 11-9.
inline constexpr std::uint32_t kErrorSendIllegalVector = 1u << 5;
inline constexpr std::uint32_t kErrorReceiveIllegalVector = 1u << 6;
inline constexpr std::uint32_t kErrorIllegalRegister = 1u << 7;

inline constexpr std::uint32_t kLvtReset = 0x10000;
inline constexpr std::uint32_t kLvtCommon = 0x100ff;  // mask, vector

inline constexpr std::array kRegisters{
    RegisterDescription{Register::id, "id", 0x020, 1, Access::read_write, Access::read_only,
                        0xff000000, 0, 0, "11.4.6"},
    RegisterDescription{Register::version, "version", 0x030, 1, Access::read_only,
                        Access::read_only, 0, 0, 0, "11.4.8"},
    RegisterDescription{Register::tpr, "task priority", 0x080, 1, Access::read_write,
                        Access::read_write, 0xff, 0, 0, "11.8.3.1"},
    RegisterDescription{Register::apr, "arbitration priority", 0x090, 1, Access::read_only,
                        Access::absent, 0, 0, 0, "11.6.2.4"},
    RegisterDescription{Register::ppr, "processor priority", 0x0a0, 1, Access::read_only,
                        Access::read_only, 0, 0, 0, "11.8.3.1"},
    RegisterDescription{Register::eoi, "end of interrupt", 0x0b0, 1, Access::write_only,
                        Access::write_only, 0, 0, 0, "11.8.5"},
    RegisterDescription{Register::remote_read, "remote read", 0x0c0, 1, Access::read_only,
                        Access::absent, 0, 0, 0, "11.4.1"},
    RegisterDescription{Register::ldr, "logical destination", 0x0d0, 1, Access::read_write,
                        Access::read_only, 0xff000000, 0, 0, "11.6.2.2"},
    RegisterDescription{Register::dfr, "destination format", 0x0e0, 1, Access::read_write,
                        Access::absent, 0xf0000000, 0, 0xffffffff, "11.6.2.2"},
    RegisterDescription{Register::svr, "spurious interrupt vector", 0x0f0, 1, Access::read_write,
                        Access::read_write, 0x11ff, 0, 0xff, "11.9"},
    RegisterDescription{Register::isr, "in-service", 0x100, 8, Access::read_only, Access::read_only,
                        0, 0, 0, "11.8.4"},
    RegisterDescription{Register::tmr, "trigger mode", 0x180, 8, Access::read_only,
                        Access::read_only, 0, 0, 0, "11.8.4"},
    RegisterDescription{Register::irr, "interrupt request", 0x200, 8, Access::read_only,
                        Access::read_only, 0, 0, 0, "11.8.4"},
    // The value written is not kept; in x2APIC mode it must be zero (11.5.3).
    RegisterDescription{Register::esr, "error status", 0x280, 1, Access::read_write,
                        Access::read_write, 0, 0, 0, "11.5.3"},
    RegisterDescription{Register::lvt_cmci, "LVT CMCI", 0x2f0, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0x700, 0x1000, kLvtReset, "11.5.1"},
    // The delivery status has no place in x2APIC mode; processors let it be written.
    RegisterDescription{Register::icr_low, "interrupt command", 0x300, 1, Access::read_write,
                        Access::read_write, 0xccfff, 0x1000, 0, "11.6.1"},
    RegisterDescription{Register::icr_high, "interrupt command, high", 0x310, 1, Access::read_write,
                        Access::absent, 0xff000000, 0, 0, "11.6.1"},
    RegisterDescription{Register::lvt_timer, "LVT timer", 0x320, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0x60000, 0x1000, kLvtReset, "11.5.4"},
    RegisterDescription{Register::lvt_thermal, "LVT thermal", 0x330, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0x700, 0x1000, kLvtReset, "11.5.1"},
    RegisterDescription{Register::lvt_performance, "LVT performance", 0x340, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0x700, 0x1000, kLvtReset, "11.5.1"},
    RegisterDescription{Register::lvt_lint0, "LVT LINT0", 0x350, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0xa700, 0x5000, kLvtReset, "11.5.1"},
    RegisterDescription{Register::lvt_lint1, "LVT LINT1", 0x360, 1, Access::read_write,
                        Access::read_write, kLvtCommon | 0xa700, 0x5000, kLvtReset, "11.5.1"},
    RegisterDescription{Register::lvt_error, "LVT error", 0x370, 1, Access::read_write,
                        Access::read_write, kLvtCommon, 0x1000, kLvtReset, "11.5.1"},
    RegisterDescription{Register::initial_count, "timer initial count", 0x380, 1,
                        Access::read_write, Access::read_write, 0xffffffff, 0, 0, "11.5.4"},
    RegisterDescription{Register::current_count, "timer current count", 0x390, 1, Access::read_only,
                        Access::read_only, 0, 0, 0, "11.5.4"},
    RegisterDescription{Register::divide_configuration, "timer divide configuration", 0x3e0, 1,
                        Access::read_write, Access::read_write, 0xb, 0, 0, "11.5.4"},
    RegisterDescription{Register::self_ipi, "self IPI", 0x3f0, 1, Access::absent,
                        Access::write_only, 0xff, 0, 0, "11.12.11"},
};

inline constexpr unsigned kSlots = 64;  ///< 16-byte slots of the window that can hold registers

consteval std::array<std::uint8_t, kSlots> rows_by_slot() {
    std::array<std::uint8_t, kSlots> rows{};
    rows.fill(0xff);
    for (std::size_t i = 0; i < kRegisters.size(); ++i)
        for (unsigned slot = 0; slot < kRegisters[i].slots; ++slot)
            rows[kRegisters[i].offset / 16u + slot] = static_cast<std::uint8_t>(i);
    return rows;
}
inline constexpr std::array<std::uint8_t, kSlots> kRowBySlot = rows_by_slot();

/// The register whose 16-byte slot holds `offset`; nullptr: none there.
constexpr const RegisterDescription* find_register(std::uint32_t offset) noexcept {
    const std::uint32_t slot = offset / 16;
    if (slot >= kSlots || kRowBySlot[slot] == 0xff) return nullptr;
    return &kRegisters[kRowBySlot[slot]];
}

constexpr const RegisterDescription& describe(Register reg) noexcept {
    return kRegisters[static_cast<std::size_t>(reg)];
}

consteval bool table_in_order() {
    for (std::size_t i = 0; i < kRegisters.size(); ++i) {
        if (kRegisters[i].reg != static_cast<Register>(i)) return false;
        if (i > 0 && kRegisters[i - 1].offset + kRegisters[i - 1].slots * 16 > kRegisters[i].offset)
            return false;
    }
    return true;
}
static_assert(table_in_order());

}  // namespace hvsim::apic::spec
