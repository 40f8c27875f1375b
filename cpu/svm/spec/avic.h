#pragma once
// The tables and exits of the advanced virtual interrupt controller. Source: AMD64 Architecture
// Programmer's Manual volume 2 (publication 24593, revision 3.44), 15.29.
#include <array>
#include <cstdint>

#include "sim/bits.h"

namespace hvsim::cpu::svm::avic {

inline constexpr std::uint64_t kPageAddress = 0x000ffffffffff000;  ///< of a pointer or APIC_BAR

/// AVIC_PHYSICAL_TABLE's low bits: the index of the last entry (15.29.4.3).
using MAX_INDEX = sim::Bits<11, 0>;
inline constexpr std::uint64_t kMaxIndexXapic = 255, kMaxIndexX2apic = 511;

/// An entry of the physical APIC ID table, 8 bytes (table 15-23).
namespace physical_entry {
using HOST_ID = sim::Bits<11, 0>;
using IS_RUNNING = sim::Bits<62>;
using VALID = sim::Bits<63>;
}  // namespace physical_entry

/// An entry of the logical APIC ID table, 4 bytes (15.29.5.3). In the flat model its index is the
/// number of the destination's bit, in the cluster model four times the cluster more.
namespace logical_entry {
using GUEST_ID = sim::Bits<7, 0>;
using VALID = sim::Bits<31>;
}  // namespace logical_entry

// Offsets of registers in the backing page (table 15-22).
inline constexpr std::uint32_t kId = 0x20, kTpr = 0x80, kPpr = 0xa0, kEoi = 0xb0, kDfr = 0xe0,
                               kIsr = 0x100, kTmr = 0x180, kIrr = 0x200, kEsr = 0x280,
                               kIcrLow = 0x300, kIcrHigh = 0x310, kSelfIpi = 0x3f0;

/// What an access to a register does (15.29.3.1): reaches the backing page, and perhaps more;
/// exits behind the instruction, which has changed the page; or exits instead of it.
enum class Behaviour : std::uint8_t { allowed, accelerated, trap, fault };

struct RegisterRow {
    std::uint16_t first, last;  ///< offsets
    Behaviour read, write;
    bool x2apic_read, x2apic_write;  ///< what RDMSR and WRMSR accept (16.11.1)
};

/// Table 15-22. Other offsets are plain memory, and no MSRs of an x2APIC.
inline constexpr std::array kRegisters{
    RegisterRow{0x020, 0x020, Behaviour::allowed, Behaviour::trap, true, false},         // ID
    RegisterRow{0x030, 0x030, Behaviour::allowed, Behaviour::fault, true, false},        // version
    RegisterRow{0x080, 0x080, Behaviour::allowed, Behaviour::accelerated, true, true},   // TPR
    RegisterRow{0x090, 0x090, Behaviour::fault, Behaviour::fault, true, false},          // APR
    RegisterRow{0x0a0, 0x0a0, Behaviour::allowed, Behaviour::fault, true, false},        // PPR
    RegisterRow{0x0b0, 0x0b0, Behaviour::allowed, Behaviour::accelerated, false, true},  // EOI
    RegisterRow{0x0c0, 0x0c0, Behaviour::allowed, Behaviour::trap, false, false},  // remote read
    RegisterRow{0x0d0, 0x0d0, Behaviour::allowed, Behaviour::trap, true, false},   // LDR
    RegisterRow{0x0e0, 0x0e0, Behaviour::allowed, Behaviour::trap, false, false},  // DFR
    RegisterRow{0x0f0, 0x0f0, Behaviour::allowed, Behaviour::trap, true, true},    // SVR
    RegisterRow{0x100, 0x270, Behaviour::allowed, Behaviour::fault, true, false},  // ISR, TMR, IRR
    RegisterRow{0x280, 0x280, Behaviour::allowed, Behaviour::trap, true, true},    // ESR
    RegisterRow{0x300, 0x300, Behaviour::allowed, Behaviour::accelerated, true, true},  // ICR low
    RegisterRow{0x310, 0x310, Behaviour::allowed, Behaviour::allowed, false, false},    // and high
    RegisterRow{0x320, 0x380, Behaviour::allowed, Behaviour::trap, true, true},  // LVT, timer
    RegisterRow{0x390, 0x390, Behaviour::fault, Behaviour::fault, true, false},  // current count
    RegisterRow{0x3e0, 0x3e0, Behaviour::allowed, Behaviour::trap, true, true},  // divider
    RegisterRow{0x3f0, 0x3f0, Behaviour::allowed, Behaviour::accelerated, false, true},  // self IPI
    RegisterRow{0x400, 0x420, Behaviour::fault, Behaviour::fault, false, false},  // extended space
    RegisterRow{0x480, 0x530, Behaviour::fault, Behaviour::fault, false, false},
    RegisterRow{0x540, 0xff0, Behaviour::fault, Behaviour::fault, false, false},
};

/// EXITINFO2 of VMEXIT_AVIC_INCOMPLETE_IPI: why in the upper half (table 15-27), and a table's
/// index below. EXITINFO1 is ICRH and ICRL.
enum class IpiFailure : std::uint32_t {
    invalid_type = 0,
    target_not_running = 1,
    invalid_target = 2,
    invalid_backing_page = 3,
    invalid_vector = 4,
};

/// EXITINFO1 of VMEXIT_AVIC_NOACCEL (table 15-28). EXITINFO2 is the vector of a refused EOI.
namespace noaccel {
using OFFSET = sim::Bits<11, 0>;
using WRITE = sim::Bits<32>;
}  // namespace noaccel

}  // namespace hvsim::cpu::svm::avic
