#pragma once
// Layout of the virtual machine control block. Source: AMD64 Architecture Programmer's Manual
// volume 2 (publication 24593, revision 3.40), appendix B; exit codes: appendix C.
#include <array>
#include <cstdint>
#include <string_view>

#include "cpu/svm/spec/field_list.h"
#include "sim/bits.h"

namespace hvsim::cpu::svm {

inline constexpr std::uint16_t kVmcbSize = 4096;
inline constexpr std::uint16_t kStateSaveArea = 0x400;  ///< table B-2's offsets count from here

/// A field: where it lies, and its type for loads and stores.
template <typename T>
struct FieldAt {
    using Type = T;
    std::uint16_t offset;
};

#define HVSIM_VMCB_FIELD(name, type, offset, table) \
    inline constexpr FieldAt<type> name{static_cast<std::uint16_t>(offset)};
namespace vmcb {
HVSIM_VMCB_FIELDS(HVSIM_VMCB_FIELD)
}
#undef HVSIM_VMCB_FIELD

struct FieldDescription {
    std::uint16_t offset;
    std::uint8_t width;  ///< bytes
    std::string_view name;
    std::string_view table;  ///< of appendix B
};

inline constexpr std::array kFieldTable{
#define HVSIM_VMCB_ROW(name, type, offset, table) \
    FieldDescription{static_cast<std::uint16_t>(offset), sizeof(type), #name, table},
    HVSIM_VMCB_FIELDS(HVSIM_VMCB_ROW)
#undef HVSIM_VMCB_ROW
};

/// Fields ascend and do not overlap.
constexpr bool is_well_formed_layout() noexcept {
    unsigned end = 0;
    for (const FieldDescription& field : kFieldTable) {
        if (field.offset < end) return false;
        end = field.offset + field.width;
    }
    return end <= kVmcbSize;
}
static_assert(is_well_formed_layout());

/// Name of the field at an offset; empty when none begins there.
std::string_view field_name(std::uint16_t offset) noexcept;

/// Guest instruction bytes (APM 2 15.8.4), behind their count.
inline constexpr std::uint16_t kInstructionBytes = 0x0d1;
inline constexpr unsigned kInstructionBytesMax = 15;

/// The order of segments in the state save area is that of the hardware encoding, then GDTR, LDTR,
/// IDTR, TR.
inline constexpr std::uint16_t kSegmentStride = 16;

/// Segment attributes: bits 55:52 and 47:40 of the descriptor (APM 2 15.5.1).
namespace attrib {
using TYPE = sim::Bits<3, 0>;
using S = sim::Bits<4>;
using DPL = sim::Bits<6, 5>;
using P = sim::Bits<7>;
using LOW = sim::Bits<7, 0>;
using HIGH = sim::Bits<11, 8>;  ///< AVL, L, D/B, G
using L = sim::Bits<9>;
using DB = sim::Bits<10>;
using G = sim::Bits<11>;
}  // namespace attrib

/// VINTR (APM 2 15.21).
namespace vintr {
using V_TPR = sim::Bits<7, 0>;
using V_IRQ = sim::Bits<8>;
using VGIF = sim::Bits<9>;
using V_NMI = sim::Bits<11>;
using V_NMI_MASK = sim::Bits<12>;
using V_INTR_PRIO = sim::Bits<19, 16>;
using V_IGN_TPR = sim::Bits<20>;
using V_INTR_MASKING = sim::Bits<24>;
using VGIF_ENABLE = sim::Bits<25>;
using V_NMI_ENABLE = sim::Bits<26>;
using X2AVIC_ENABLE = sim::Bits<30>;
using AVIC_ENABLE = sim::Bits<31>;
using V_INTR_VECTOR = sim::Bits<39, 32>;
}  // namespace vintr

namespace interrupt_shadow {
using SHADOW = sim::Bits<0>;
using GUEST_INTERRUPT_MASK = sim::Bits<1>;  ///< RFLAGS.IF of an SEV-ES guest
}  // namespace interrupt_shadow

namespace nested_control {
using NP_ENABLE = sim::Bits<0>;
using SEV = sim::Bits<1>;
using SEV_ES = sim::Bits<2>;
using GMET = sim::Bits<3>;
}  // namespace nested_control

namespace virtual_extensions {
using LBR = sim::Bits<0>;            ///< LBR virtualization (APM 2 15.23)
using VMLOAD_VMSAVE = sim::Bits<1>;  ///< virtualized VMLOAD and VMSAVE (APM 2 15.33.2)
}  // namespace virtual_extensions

/// EVENTINJ and EXITINTINFO (APM 2 15.20, 15.7.2).
namespace event {
using VECTOR = sim::Bits<7, 0>;
using TYPE = sim::Bits<10, 8>;
using EV = sim::Bits<11>;  ///< an error code is pushed
using V = sim::Bits<31>;
using ERRORCODE = sim::Bits<63, 32>;
inline constexpr std::uint64_t kInterrupt = 0, kNmi = 2, kException = 3, kSoftwareInterrupt = 4;
}  // namespace event

/// TLB_CONTROL (APM 2 15.16.2).
namespace tlb_control {
inline constexpr std::uint8_t kNothing = 0, kFlushAll = 1, kFlushAsid = 3, kFlushAsidNonGlobal = 7;
}

/// VMCB clean field (APM 2 15.15.3): a set bit lets the processor use what it cached at the last
/// exit.
namespace clean {
inline constexpr std::uint32_t kIntercepts = 1u << 0,  ///< intercepts, TSC offset, pause filter
    kPermissionMaps = 1u << 1,                         ///< IOPM_BASE_PA, MSRPM_BASE_PA
    kAsid = 1u << 2, kTpr = 1u << 3,                   ///< VINTR
    kNestedPaging = 1u << 4,                           ///< NESTED_CONTROL, N_CR3, G_PAT
    kControlRegisters = 1u << 5,                       ///< CR0, CR3, CR4, EFER
    kDebugRegisters = 1u << 6,                         ///< DR6, DR7
    kDescriptorTables = 1u << 7,                       ///< GDTR, IDTR
    kSegments = 1u << 8,                               ///< CS, DS, SS, ES, CPL
    kCr2 = 1u << 9, kLastBranch = 1u << 10, kAvic = 1u << 11, kShadowStack = 1u << 12;
inline constexpr std::uint32_t kAll = (1u << 13) - 1;
}  // namespace clean

/// EXITINFO1 of VMEXIT_IOIO (APM 2 15.10.2).
namespace ioio {
using TYPE = sim::Bits<0>;  ///< 1: IN
using STR = sim::Bits<2>;
using REP = sim::Bits<3>;
using SZ8 = sim::Bits<4>;
using SZ16 = sim::Bits<5>;
using SZ32 = sim::Bits<6>;
using A16 = sim::Bits<7>;
using A32 = sim::Bits<8>;
using A64 = sim::Bits<9>;
using SEG = sim::Bits<12, 10>;
using PORT = sim::Bits<31, 16>;
}  // namespace ioio

/// EXITINFO1 of MOV CRn and MOV DRn (APM 2 15.8.1).
namespace mov_exit {
using GPR = sim::Bits<3, 0>;
using MOV = sim::Bits<63>;  ///< CR only: a MOV, not CLTS, LMSW or SMSW
}  // namespace mov_exit

inline constexpr std::uint64_t kIopmBytes = 0x3000;   // APM 2 15.10.1
inline constexpr std::uint64_t kMsrpmBytes = 0x2000;  // APM 2 15.11
/// The last bytes of the permission maps that are looked at (APM 2 15.10.1, 15.11): a port beyond
/// 0xffff has its bit behind those of all others.
inline constexpr std::uint64_t kIopmLast = 0x2000, kMsrpmLast = 0x1fff;

/// #VMEXIT codes. 0x00 to 0x5f are ranges: + register or vector. From 0x60 the code minus 0x60 is
/// the bit number of the intercept in INTERCEPT_MISC1, MISC2 and MISC3, one after another.
#define HVSIM_SVM_EXIT_CODES(X)                                                                    \
    X(CR0_READ, 0x00)                                                                              \
    X(CR8_READ, 0x08)                                                                              \
    X(CR0_WRITE, 0x10) X(CR8_WRITE, 0x18) X(DR0_READ, 0x20) X(DR0_WRITE, 0x30) X(EXCP0, 0x40) X(   \
        INTR, 0x60) X(NMI, 0x61) X(SMI, 0x62) X(INIT, 0x63) X(VINTR, 0x64) X(CR0_SEL_WRITE, 0x65)  \
        X(IDTR_READ, 0x66) X(GDTR_READ, 0x67) X(LDTR_READ, 0x68) X(TR_READ, 0x69) X(               \
            IDTR_WRITE, 0x6a) X(GDTR_WRITE, 0x6b) X(LDTR_WRITE, 0x6c) X(TR_WRITE, 0x6d)            \
            X(RDTSC, 0x6e) X(RDPMC, 0x6f) X(PUSHF, 0x70) X(POPF, 0x71) X(CPUID, 0x72) X(RSM, 0x73) \
                X(IRET, 0x74) X(SWINT, 0x75) X(INVD, 0x76) X(PAUSE, 0x77) X(HLT, 0x78)             \
                    X(INVLPG, 0x79) X(INVLPGA, 0x7a) X(IOIO, 0x7b) X(MSR, 0x7c)                    \
                        X(TASK_SWITCH, 0x7d) X(FERR_FREEZE, 0x7e) X(SHUTDOWN, 0x7f) X(VMRUN, 0x80) \
                            X(VMMCALL, 0x81) X(VMLOAD, 0x82) X(VMSAVE, 0x83) X(STGI, 0x84)         \
                                X(CLGI, 0x85) X(SKINIT, 0x86) X(RDTSCP, 0x87) X(                   \
                                    ICEBP, 0x88) X(WBINVD, 0x89) X(MONITOR, 0x8a) X(MWAIT, 0x8b)   \
                                    X(MWAIT_CONDITIONAL, 0x8c) X(XSETBV, 0x8d) X(RDPRU, 0x8e) X(   \
                                        EFER_WRITE_TRAP, 0x8f) X(CR0_WRITE_TRAP, 0x90)             \
                                        X(INVLPGB, 0xa0) X(INVLPGB_ILLEGAL, 0xa1) X(INVPCID, 0xa2) \
                                            X(MCOMMIT, 0xa3) X(TLBSYNC, 0xa4) X(BUSLOCK, 0xa5)     \
                                                X(IDLE_HLT, 0xa6) X(NPF, 0x400)                    \
                                                    X(AVIC_INCOMPLETE_IPI, 0x401)                  \
                                                        X(AVIC_NOACCEL, 0x402) X(VMGEXIT, 0x403)   \
                                                            X(INVALID, ~std::uint64_t{0})          \
                                                                X(BUSY, ~std::uint64_t{1})

enum class ExitCode : std::uint64_t {
#define HVSIM_EXIT_ENUM(name, number) name = number,
    HVSIM_SVM_EXIT_CODES(HVSIM_EXIT_ENUM)
#undef HVSIM_EXIT_ENUM
};
/// "VMEXIT_NPF"; ranges by their first name ("VMEXIT_EXCP0"). Empty: no exit code.
std::string_view exit_code_name(std::uint64_t code) noexcept;

/// Bit of an intercept in MISC1 (word 0), MISC2 (word 1), MISC3 (word 2).
constexpr unsigned intercept_word(ExitCode code) noexcept {
    return static_cast<unsigned>((static_cast<std::uint64_t>(code) - 0x60) / 32);
}
constexpr std::uint32_t intercept_mask(ExitCode code) noexcept {
    return 1u << (static_cast<std::uint64_t>(code) - 0x60) % 32;
}

}  // namespace hvsim::cpu::svm
