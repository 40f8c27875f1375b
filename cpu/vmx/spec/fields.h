#pragma once
// VMCS fields and their encodings. Source: Intel SDM volume 3D (order 332831-083), appendix B.
#include <array>
#include <cstdint>
#include <string_view>

#include "cpu/vmx/spec/field_list.h"
#include "sim/bits.h"

namespace hvsim::cpu::vmx {

// Structure of an encoding (SDM 3D table B-1... B.1).
using ACCESS_HIGH = sim::Bits<0>;
using FIELD_INDEX = sim::Bits<9, 1>;
using FIELD_TYPE = sim::Bits<11, 10>;
using FIELD_WIDTH = sim::Bits<14, 13>;

enum class FieldType : std::uint8_t { control = 0, read_only = 1, guest = 2, host = 3 };
enum class FieldWidth : std::uint8_t { bits16 = 0, bits64 = 1, bits32 = 2, natural = 3 };

/// A field's encoding, full access.
enum class Field : std::uint16_t {
#define HVSIM_FIELD_ENUM(name, encoding) name = encoding,
    HVSIM_VMCS_FIELDS(HVSIM_FIELD_ENUM)
#undef HVSIM_FIELD_ENUM
};

struct FieldDescription {
    Field field;
    std::string_view name;

    constexpr std::uint32_t encoding() const noexcept { return static_cast<std::uint32_t>(field); }
    constexpr FieldType type() const noexcept {
        return static_cast<FieldType>(FIELD_TYPE::get(encoding()));
    }
    constexpr FieldWidth width() const noexcept {
        return static_cast<FieldWidth>(FIELD_WIDTH::get(encoding()));
    }
};

inline constexpr std::array kFieldTable{
#define HVSIM_FIELD_ROW(name, encoding) FieldDescription{Field::name, #name},
    HVSIM_VMCS_FIELDS(HVSIM_FIELD_ROW)
#undef HVSIM_FIELD_ROW
};

/// Position in kFieldTable of an encoding without its access bit, or -1.
class FieldPositions {
  public:
    constexpr FieldPositions() {
        for (auto& position : positions_) position = -1;
        for (std::size_t i = 0; i < kFieldTable.size(); ++i)
            positions_[slot(kFieldTable[i].encoding())] = static_cast<std::int16_t>(i);
    }
    constexpr int operator[](std::uint32_t encoding) const noexcept {
        constexpr auto kDefined =
            static_cast<std::uint32_t>(FIELD_INDEX::kMask | FIELD_TYPE::kMask | FIELD_WIDTH::kMask);
        const bool none = (encoding & ~kDefined) != 0 || FIELD_INDEX::get(encoding) >= kIndexes;
        return none ? -1 : positions_[slot(encoding)];
    }

  private:
    // By (width, type, index): at most 64 of a kind are defined.
    static constexpr std::size_t kIndexes = 64;
    static constexpr std::size_t slot(std::uint32_t encoding) noexcept {
        return (FIELD_WIDTH::get(encoding) * 4 + FIELD_TYPE::get(encoding)) * kIndexes +
               FIELD_INDEX::get(encoding);
    }
    std::array<std::int16_t, 16 * kIndexes> positions_{};
};
inline constexpr FieldPositions kFieldPositions;
constexpr int field_position(std::uint32_t encoding) noexcept {
    return kFieldPositions[encoding];
}
std::string_view field_name(Field field) noexcept;

// Controls (SDM 3C 25.6 to 25.8): bit numbers.
namespace pin {
inline constexpr std::uint32_t kExternalInterruptExiting = 1u << 0, kNmiExiting = 1u << 3,
                               kVirtualNmis = 1u << 5, kPreemptionTimer = 1u << 6,
                               kPostedInterrupts = 1u << 7;
}
namespace primary {
inline constexpr std::uint32_t kInterruptWindowExiting = 1u << 2, kTscOffsetting = 1u << 3,
                               kHltExiting = 1u << 7, kInvlpgExiting = 1u << 9,
                               kMwaitExiting = 1u << 10, kRdpmcExiting = 1u << 11,
                               kRdtscExiting = 1u << 12, kCr3LoadExiting = 1u << 15,
                               kCr3StoreExiting = 1u << 16, kCr8LoadExiting = 1u << 19,
                               kCr8StoreExiting = 1u << 20, kTprShadow = 1u << 21,
                               kNmiWindowExiting = 1u << 22, kMovDrExiting = 1u << 23,
                               kUnconditionalIoExiting = 1u << 24, kIoBitmaps = 1u << 25,
                               kMonitorTrapFlag = 1u << 27, kMsrBitmaps = 1u << 28,
                               kMonitorExiting = 1u << 29, kPauseExiting = 1u << 30,
                               kSecondaryControls = 1u << 31;
}
namespace secondary {
inline constexpr std::uint32_t kVirtualizeApicAccesses = 1u << 0, kEpt = 1u << 1,
                               kDescriptorTableExiting = 1u << 2, kRdtscp = 1u << 3,
                               kX2ApicMode = 1u << 4, kVpid = 1u << 5, kWbinvdExiting = 1u << 6,
                               kUnrestrictedGuest = 1u << 7, kApicRegisterVirtualization = 1u << 8,
                               kVirtualInterruptDelivery = 1u << 9, kPauseLoopExiting = 1u << 10,
                               kRdrandExiting = 1u << 11, kInvpcid = 1u << 12,
                               kVmFunctions = 1u << 13, kVmcsShadowing = 1u << 14,
                               kPageModificationLogging = 1u << 17, kModeBasedExecute = 1u << 22,
                               kTscScaling = 1u << 25;
}
namespace exit_control {
inline constexpr std::uint32_t kSaveDebugControls = 1u << 2, kHostAddressSpace64 = 1u << 9,
                               kAcknowledgeInterrupt = 1u << 15, kSavePat = 1u << 18,
                               kLoadPat = 1u << 19, kSaveEfer = 1u << 20, kLoadEfer = 1u << 21,
                               kSavePreemptionTimer = 1u << 22;
}
namespace entry_control {
inline constexpr std::uint32_t kLoadDebugControls = 1u << 2, kIa32eGuest = 1u << 9,
                               kLoadPat = 1u << 14, kLoadEfer = 1u << 15;
}

/// Interruption information, all four fields that have its format (SDM 3C 25.8.3, 25.9.2, 25.9.3).
namespace interruption {
using VECTOR = sim::Bits<7, 0>;
using TYPE = sim::Bits<10, 8>;
using ERROR_CODE_VALID = sim::Bits<11>;
using NMI_UNBLOCKING = sim::Bits<12>;
using VALID = sim::Bits<31>;
}  // namespace interruption

/// Guest interruptibility state (SDM 3C table 25-3).
namespace interruptibility {
inline constexpr std::uint32_t kBlockingBySti = 1u << 0, kBlockingByMovSs = 1u << 1,
                               kBlockingByNmi = 1u << 3;
}

/// Basic exit reasons (SDM 3D appendix C).
#define HVSIM_VMX_EXIT_REASONS(X)                                                                 \
    X(exception_or_nmi, 0)                                                                        \
    X(external_interrupt, 1) X(triple_fault, 2) X(init_signal, 3) X(sipi, 4)                      \
        X(interrupt_window, 7) X(nmi_window, 8) X(task_switch, 9) X(cpuid, 10) X(getsec, 11) X(   \
            hlt, 12) X(invd, 13) X(invlpg, 14) X(rdpmc, 15) X(rdtsc, 16) X(rsm, 17) X(vmcall, 18) \
            X(vmclear, 19) X(vmlaunch, 20) X(vmptrld, 21) X(vmptrst, 22) X(vmread, 23)            \
                X(vmresume, 24) X(vmwrite, 25) X(vmxoff, 26) X(vmxon, 27) X(cr_access, 28)        \
                    X(mov_dr, 29) X(io_instruction, 30) X(rdmsr, 31) X(wrmsr, 32)                 \
                        X(entry_failure_guest_state, 33) X(entry_failure_msr_loading, 34)         \
                            X(mwait, 36) X(monitor_trap_flag, 37) X(monitor, 39) X(pause, 40) X(  \
                                entry_failure_machine_check, 41) X(tpr_below_threshold, 43)       \
                                X(apic_access, 44) X(virtualized_eoi, 45) X(gdtr_idtr_access, 46) \
                                    X(ldtr_tr_access, 47) X(ept_violation, 48)                    \
                                        X(ept_misconfiguration, 49) X(invept, 50) X(rdtscp, 51)   \
                                            X(preemption_timer, 52) X(invvpid, 53) X(wbinvd, 54)  \
                                                X(xsetbv, 55) X(apic_write, 56) X(invpcid, 58)    \
                                                    X(vmfunc, 59)                                 \
                                                        X(page_modification_log_full, 62)

enum class ExitReason : std::uint16_t {
#define HVSIM_EXIT_ENUM(name, number) name = number,
    HVSIM_VMX_EXIT_REASONS(HVSIM_EXIT_ENUM)
#undef HVSIM_EXIT_ENUM
};
/// Empty when the number is no basic exit reason.
std::string_view exit_reason_name(std::uint32_t reason) noexcept;
inline constexpr std::uint32_t kEntryFailure = 1u << 31;  ///< in the exit-reason field

/// VM-instruction error numbers (SDM 3C 31.4).
enum class InstructionError : std::uint32_t {
    none = 0,
    vmcall_in_root = 1,
    vmclear_invalid_address = 2,
    vmclear_vmxon_pointer = 3,
    vmlaunch_not_clear = 4,
    vmresume_not_launched = 5,
    vmresume_after_vmxoff = 6,
    entry_invalid_controls = 7,
    entry_invalid_host_state = 8,
    vmptrld_invalid_address = 9,
    vmptrld_vmxon_pointer = 10,
    vmptrld_wrong_revision = 11,
    unsupported_component = 12,
    vmwrite_read_only = 13,
    vmxon_in_root = 15,
    entry_blocked_by_mov_ss = 26,
    invalid_operand_to_invept_invvpid = 28,
};

}  // namespace hvsim::cpu::vmx
