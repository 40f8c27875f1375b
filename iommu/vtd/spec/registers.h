#pragma once
// Registers of a remapping unit.
// Source: Intel Virtualization Technology for Directed I/O, architecture specification (D51397),
// revision 4.1, chapter 11.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/bits.h"

namespace hvsim::iommu::vtd::spec {

enum class Register : std::uint8_t {
    ver,
    cap,
    ecap,
    gcmd,
    gsts,
    rtaddr,
    ccmd,
    fsts,
    fectl,
    fedata,
    feaddr,
    feuaddr,
    pmen,
    plmbase,
    plmlimit,
    phmbase,
    phmlimit,
    iqh,
    iqt,
    iqa,
    ics,
    iectl,
    iedata,
    ieaddr,
    ieuaddr,
    iqercd,
    irta,
    frcd,
    iva,
    iotlb,
    kCount
};

enum class Access : std::uint8_t { read_only, write_only, read_write, write_1_clear };
enum class Fidelity : std::uint8_t { functional, stored, absent };

/// Where the unit puts its movable blocks (CAP.FRO, ECAP.IRO), in bytes from the page's start.
inline constexpr std::uint16_t kFaultRecordOffset = 0x200;
inline constexpr std::uint16_t kIotlbOffset = 0x500;
inline constexpr unsigned kMaximumFaultRecords = (kIotlbOffset - kFaultRecordOffset) / 16;

struct RegisterRow {
    Register reg;
    std::uint16_t offset;
    std::uint8_t width;  ///< bytes
    std::string_view name;
    Access access;
    Fidelity fidelity;
    std::uint64_t writable;  ///< bits that a write stores (read_write) or can clear (write_1_clear)
    std::uint64_t reset;     ///< ver, cap and ecap are computed from the configuration
    std::string_view section;
};

// Fault recording registers are 16 bytes each, CAP.NFR + 1 of them; the row stands for the first.
inline constexpr std::array<RegisterRow, static_cast<std::size_t>(Register::kCount)> kRegisterTable{
    {
        {Register::ver, 0x000, 4, "VER", Access::read_only, Fidelity::functional, 0, 0, "11.4.1"},
        {Register::cap, 0x008, 8, "CAP", Access::read_only, Fidelity::functional, 0, 0, "11.4.2"},
        {Register::ecap, 0x010, 8, "ECAP", Access::read_only, Fidelity::functional, 0, 0, "11.4.3"},
        {Register::gcmd, 0x018, 4, "GCMD", Access::write_only, Fidelity::functional, 0, 0,
         "11.4.4.1"},
        {Register::gsts, 0x01c, 4, "GSTS", Access::read_only, Fidelity::functional, 0, 0,
         "11.4.4.2"},
        {Register::rtaddr, 0x020, 8, "RTADDR", Access::read_write, Fidelity::functional,
         0xffff'ffff'ffff'fc00, 0, "11.4.5"},
        {Register::ccmd, 0x028, 8, "CCMD", Access::read_write, Fidelity::functional,
         0xe000'0003'ffff'ffff, 0, "11.4.6.1"},
        {Register::fsts, 0x034, 4, "FSTS", Access::write_1_clear, Fidelity::functional, 0x71, 0,
         "11.4.7.1"},
        {Register::fectl, 0x038, 4, "FECTL", Access::read_write, Fidelity::functional, 0x8000'0000,
         0x8000'0000, "11.4.7.2"},
        {Register::fedata, 0x03c, 4, "FEDATA", Access::read_write, Fidelity::functional,
         0xffff'ffff, 0, "11.4.7.3"},
        {Register::feaddr, 0x040, 4, "FEADDR", Access::read_write, Fidelity::functional,
         0xffff'fffc, 0, "11.4.7.4"},
        {Register::feuaddr, 0x044, 4, "FEUADDR", Access::read_write, Fidelity::functional,
         0xffff'ffff, 0, "11.4.7.5"},
        {Register::pmen, 0x064, 4, "PMEN", Access::read_only, Fidelity::absent, 0, 0, "11.4.8.1"},
        {Register::plmbase, 0x068, 4, "PLMBASE", Access::read_only, Fidelity::absent, 0, 0,
         "11.4.8.2"},
        {Register::plmlimit, 0x06c, 4, "PLMLIMIT", Access::read_only, Fidelity::absent, 0, 0,
         "11.4.8.3"},
        {Register::phmbase, 0x070, 8, "PHMBASE", Access::read_only, Fidelity::absent, 0, 0,
         "11.4.8.4"},
        {Register::phmlimit, 0x078, 8, "PHMLIMIT", Access::read_only, Fidelity::absent, 0, 0,
         "11.4.8.5"},
        {Register::iqh, 0x080, 8, "IQH", Access::read_only, Fidelity::functional, 0, 0, "11.4.9.1"},
        {Register::iqt, 0x088, 8, "IQT", Access::read_write, Fidelity::functional, 0x7'fff0, 0,
         "11.4.9.2"},
        {Register::iqa, 0x090, 8, "IQA", Access::read_write, Fidelity::functional,
         0xffff'ffff'ffff'f807, 0, "11.4.9.3"},
        {Register::ics, 0x09c, 4, "ICS", Access::write_1_clear, Fidelity::functional, 0x1, 0,
         "11.4.9.4"},
        {Register::iectl, 0x0a0, 4, "IECTL", Access::read_write, Fidelity::functional, 0x8000'0000,
         0x8000'0000, "11.4.9.5"},
        {Register::iedata, 0x0a4, 4, "IEDATA", Access::read_write, Fidelity::functional,
         0xffff'ffff, 0, "11.4.9.6"},
        {Register::ieaddr, 0x0a8, 4, "IEADDR", Access::read_write, Fidelity::functional,
         0xffff'fffc, 0, "11.4.9.7"},
        {Register::ieuaddr, 0x0ac, 4, "IEUADDR", Access::read_write, Fidelity::functional,
         0xffff'ffff, 0, "11.4.9.8"},
        {Register::iqercd, 0x0b0, 8, "IQERCD", Access::read_only, Fidelity::functional, 0, 0,
         "11.4.9.9"},
        {Register::irta, 0x0b8, 8, "IRTA", Access::read_write, Fidelity::functional,
         0xffff'ffff'ffff'f80f, 0, "11.4.10"},
        {Register::frcd, kFaultRecordOffset, 16, "FRCD", Access::write_1_clear,
         Fidelity::functional, 0, 0, "11.4.7.6"},
        {Register::iva, kIotlbOffset, 8, "IVA", Access::write_only, Fidelity::functional,
         0xffff'ffff'ffff'f07f, 0, "11.4.6.4"},
        {Register::iotlb, kIotlbOffset + 8, 8, "IOTLB", Access::read_write, Fidelity::functional,
         0xb003'ffff'0000'0000, 0, "11.4.6.3"},
    }};

constexpr bool table_is_sound() {
    for (std::size_t i = 0; i < kRegisterTable.size(); ++i) {
        if (static_cast<std::size_t>(kRegisterTable[i].reg) != i) return false;
        if (i > 0 &&
            kRegisterTable[i].offset < kRegisterTable[i - 1].offset + kRegisterTable[i - 1].width)
            return false;
    }
    return true;
}
static_assert(table_is_sound(), "rows stand in the order of the enumeration and of offsets");

// CAP (11.4.2).
using CAP_ND = sim::Bits<2, 0>;
using CAP_SAGAW = sim::Bits<12, 8>;
using CAP_MGAW = sim::Bits<21, 16>;
using CAP_FRO = sim::Bits<33, 24>;
using CAP_SSLPS = sim::Bits<37, 34>;
using CAP_PSI = sim::Bits<39>;
using CAP_NFR = sim::Bits<47, 40>;
using CAP_MAMV = sim::Bits<53, 48>;
using CAP_DWD = sim::Bits<54>;
using CAP_DRD = sim::Bits<55>;

// ECAP (11.4.3).
using ECAP_C = sim::Bits<0>;
using ECAP_QI = sim::Bits<1>;
using ECAP_IR = sim::Bits<3>;
using ECAP_EIM = sim::Bits<4>;
using ECAP_PT = sim::Bits<6>;
using ECAP_SC = sim::Bits<7>;
using ECAP_IRO = sim::Bits<17, 8>;
using ECAP_MHMV = sim::Bits<23, 20>;

// GCMD (11.4.4.1) and GSTS (11.4.4.2) have the same positions.
using TE = sim::Bits<31>;
using SRTP = sim::Bits<30>;
using WBF = sim::Bits<27>;
using QIE = sim::Bits<26>;
using IRE = sim::Bits<25>;
using SIRTP = sim::Bits<24>;
using CFI = sim::Bits<23>;

// RTADDR (11.4.5).
using RTADDR_TTM = sim::Bits<11, 10>;
using RTADDR_RTA = sim::Bits<63, 12>;

// CCMD (11.4.6.1).
using CCMD_ICC = sim::Bits<63>;
using CCMD_CIRG = sim::Bits<62, 61>;
using CCMD_CAIG = sim::Bits<60, 59>;
using CCMD_FM = sim::Bits<33, 32>;
using CCMD_SID = sim::Bits<31, 16>;
using CCMD_DID = sim::Bits<15, 0>;

// IOTLB and IVA (11.4.6.2).
using IOTLB_IVT = sim::Bits<63>;
using IOTLB_IIRG = sim::Bits<61, 60>;
using IOTLB_IAIG = sim::Bits<58, 57>;
using IOTLB_DID = sim::Bits<47, 32>;
using IVA_AM = sim::Bits<5, 0>;
using IVA_IH = sim::Bits<6>;
using IVA_ADDR = sim::Bits<63, 12>;

/// Granularity of context-cache and IOTLB invalidations, in requests and in the answer.
enum class Granularity : std::uint8_t { none = 0, global = 1, domain = 2, selective = 3 };

// FSTS (11.4.7.1).
using FSTS_PFO = sim::Bits<0>;
using FSTS_PPF = sim::Bits<1>;
using FSTS_IQE = sim::Bits<4>;
using FSTS_ICE = sim::Bits<5>;
using FSTS_ITE = sim::Bits<6>;
using FSTS_FRI = sim::Bits<15, 8>;

// FECTL (11.4.7.2) and IECTL (11.4.9.5).
using ECTL_IM = sim::Bits<31>;
using ECTL_IP = sim::Bits<30>;

// FRCD (11.4.7.6), the high quadword.
using FRCD_F = sim::Bits<63>;
using FRCD_T1 = sim::Bits<62>;  ///< the request was a read
using FRCD_AT = sim::Bits<61, 60>;
using FRCD_FR = sim::Bits<39, 32>;
using FRCD_SID = sim::Bits<15, 0>;
// The low quadword.
using FRCD_FI_ADDRESS = sim::Bits<63, 12>;
using FRCD_FI_INDEX = sim::Bits<63, 48>;

// IQH (11.4.9.1), IQT (11.4.9.2), IQA (11.4.9.3), IQERCD (11.4.9.9).
using IQT_QT = sim::Bits<18, 4>;
using IQA_QS = sim::Bits<2, 0>;
using IQA_DW = sim::Bits<11>;
using IQA_IQA = sim::Bits<63, 12>;
using IQERCD_IQEI = sim::Bits<3, 0>;

/// IQERCD.IQEI: why the queue stopped. (Zero means "no information" in an error record; 6, a tail
/// that is not aligned to 256-bit descriptors, needs a unit that has those.)
enum class QueueError : std::uint8_t {
    none = 0,
    invalid_tail = 1,
    fetch_failed = 2,
    invalid_type = 3,
    reserved_field = 4,
    invalid_width = 5,
};

// IRTA (11.4.10).
using IRTA_S = sim::Bits<3, 0>;  ///< 2^(S+1) entries
using IRTA_EIME = sim::Bits<11>;
using IRTA_IRTA = sim::Bits<63, 12>;

}  // namespace hvsim::iommu::vtd::spec
