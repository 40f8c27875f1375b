#pragma once
// VMCS fields and their encodings. Source: Intel SDM volume 3D (order 332831-083), appendix B.
#include <array>
#include <cstdint>
#include <string_view>

#include "sim/bits.h"

namespace hvsim::cpu::vmx {

// Structure of an encoding (SDM 3D table B-1... B.1).
using ACCESS_HIGH = sim::Bits<0>;
using FIELD_INDEX = sim::Bits<9, 1>;
using FIELD_TYPE = sim::Bits<11, 10>;
using FIELD_WIDTH = sim::Bits<14, 13>;

enum class FieldType : std::uint8_t { control = 0, read_only = 1, guest = 2, host = 3 };
enum class FieldWidth : std::uint8_t { bits16 = 0, bits64 = 1, bits32 = 2, natural = 3 };

#define HVSIM_VMCS_FIELDS(X)                              \
    X(VPID, 0x0000)                                       \
    X(POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0x0002)       \
    X(EPTP_INDEX, 0x0004)                                 \
    X(GUEST_ES_SELECTOR, 0x0800)                          \
    X(GUEST_CS_SELECTOR, 0x0802)                          \
    X(GUEST_SS_SELECTOR, 0x0804)                          \
    X(GUEST_DS_SELECTOR, 0x0806)                          \
    X(GUEST_FS_SELECTOR, 0x0808)                          \
    X(GUEST_GS_SELECTOR, 0x080a)                          \
    X(GUEST_LDTR_SELECTOR, 0x080c)                        \
    X(GUEST_TR_SELECTOR, 0x080e)                          \
    X(GUEST_INTERRUPT_STATUS, 0x0810)                     \
    X(PML_INDEX, 0x0812)                                  \
    X(HOST_ES_SELECTOR, 0x0c00)                           \
    X(HOST_CS_SELECTOR, 0x0c02)                           \
    X(HOST_SS_SELECTOR, 0x0c04)                           \
    X(HOST_DS_SELECTOR, 0x0c06)                           \
    X(HOST_FS_SELECTOR, 0x0c08)                           \
    X(HOST_GS_SELECTOR, 0x0c0a)                           \
    X(HOST_TR_SELECTOR, 0x0c0c)                           \
    X(IO_BITMAP_A, 0x2000)                                \
    X(IO_BITMAP_B, 0x2002)                                \
    X(MSR_BITMAPS, 0x2004)                                \
    X(EXIT_MSR_STORE_ADDRESS, 0x2006)                     \
    X(EXIT_MSR_LOAD_ADDRESS, 0x2008)                      \
    X(ENTRY_MSR_LOAD_ADDRESS, 0x200a)                     \
    X(EXECUTIVE_VMCS_POINTER, 0x200c)                     \
    X(PML_ADDRESS, 0x200e)                                \
    X(TSC_OFFSET, 0x2010)                                 \
    X(VIRTUAL_APIC_ADDRESS, 0x2012)                       \
    X(APIC_ACCESS_ADDRESS, 0x2014)                        \
    X(POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x2016)        \
    X(VM_FUNCTION_CONTROLS, 0x2018)                       \
    X(EPT_POINTER, 0x201a)                                \
    X(EOI_EXIT_BITMAP_0, 0x201c)                          \
    X(EOI_EXIT_BITMAP_1, 0x201e)                          \
    X(EOI_EXIT_BITMAP_2, 0x2020)                          \
    X(EOI_EXIT_BITMAP_3, 0x2022)                          \
    X(EPTP_LIST_ADDRESS, 0x2024)                          \
    X(VMREAD_BITMAP_ADDRESS, 0x2026)                      \
    X(VMWRITE_BITMAP_ADDRESS, 0x2028)                     \
    X(VIRTUALIZATION_EXCEPTION_ADDRESS, 0x202a)           \
    X(XSS_EXITING_BITMAP, 0x202c)                         \
    X(TSC_MULTIPLIER, 0x2032)                             \
    X(GUEST_PHYSICAL_ADDRESS, 0x2400)                     \
    X(VMCS_LINK_POINTER, 0x2800)                          \
    X(GUEST_DEBUGCTL, 0x2802)                             \
    X(GUEST_PAT, 0x2804)                                  \
    X(GUEST_EFER, 0x2806)                                 \
    X(GUEST_PERF_GLOBAL_CTRL, 0x2808)                     \
    X(GUEST_PDPTE0, 0x280a)                               \
    X(GUEST_PDPTE1, 0x280c)                               \
    X(GUEST_PDPTE2, 0x280e)                               \
    X(GUEST_PDPTE3, 0x2810)                               \
    X(HOST_PAT, 0x2c00)                                   \
    X(HOST_EFER, 0x2c02)                                  \
    X(HOST_PERF_GLOBAL_CTRL, 0x2c04)                      \
    X(PIN_BASED_CONTROLS, 0x4000)                         \
    X(PRIMARY_CONTROLS, 0x4002)                           \
    X(EXCEPTION_BITMAP, 0x4004)                           \
    X(PAGE_FAULT_ERROR_CODE_MASK, 0x4006)                 \
    X(PAGE_FAULT_ERROR_CODE_MATCH, 0x4008)                \
    X(CR3_TARGET_COUNT, 0x400a)                           \
    X(EXIT_CONTROLS, 0x400c)                              \
    X(EXIT_MSR_STORE_COUNT, 0x400e)                       \
    X(EXIT_MSR_LOAD_COUNT, 0x4010)                        \
    X(ENTRY_CONTROLS, 0x4012)                             \
    X(ENTRY_MSR_LOAD_COUNT, 0x4014)                       \
    X(ENTRY_INTERRUPTION_INFO, 0x4016)                    \
    X(ENTRY_EXCEPTION_ERROR_CODE, 0x4018)                 \
    X(ENTRY_INSTRUCTION_LENGTH, 0x401a)                   \
    X(TPR_THRESHOLD, 0x401c)                              \
    X(SECONDARY_CONTROLS, 0x401e)                         \
    X(PLE_GAP, 0x4020)                                    \
    X(PLE_WINDOW, 0x4022)                                 \
    X(VM_INSTRUCTION_ERROR, 0x4400)                       \
    X(EXIT_REASON, 0x4402)                                \
    X(EXIT_INTERRUPTION_INFO, 0x4404)                     \
    X(EXIT_INTERRUPTION_ERROR_CODE, 0x4406)               \
    X(IDT_VECTORING_INFO, 0x4408)                         \
    X(IDT_VECTORING_ERROR_CODE, 0x440a)                   \
    X(EXIT_INSTRUCTION_LENGTH, 0x440c)                    \
    X(EXIT_INSTRUCTION_INFO, 0x440e)                      \
    X(GUEST_ES_LIMIT, 0x4800)                             \
    X(GUEST_CS_LIMIT, 0x4802)                             \
    X(GUEST_SS_LIMIT, 0x4804)                             \
    X(GUEST_DS_LIMIT, 0x4806)                             \
    X(GUEST_FS_LIMIT, 0x4808)                             \
    X(GUEST_GS_LIMIT, 0x480a)                             \
    X(GUEST_LDTR_LIMIT, 0x480c)                           \
    X(GUEST_TR_LIMIT, 0x480e)                             \
    X(GUEST_GDTR_LIMIT, 0x4810)                           \
    X(GUEST_IDTR_LIMIT, 0x4812)                           \
    X(GUEST_ES_ACCESS_RIGHTS, 0x4814)                     \
    X(GUEST_CS_ACCESS_RIGHTS, 0x4816)                     \
    X(GUEST_SS_ACCESS_RIGHTS, 0x4818)                     \
    X(GUEST_DS_ACCESS_RIGHTS, 0x481a)                     \
    X(GUEST_FS_ACCESS_RIGHTS, 0x481c)                     \
    X(GUEST_GS_ACCESS_RIGHTS, 0x481e)                     \
    X(GUEST_LDTR_ACCESS_RIGHTS, 0x4820)                   \
    X(GUEST_TR_ACCESS_RIGHTS, 0x4822)                     \
    X(GUEST_INTERRUPTIBILITY, 0x4824)                     \
    X(GUEST_ACTIVITY, 0x4826)                             \
    X(GUEST_SMBASE, 0x4828)                               \
    X(GUEST_SYSENTER_CS, 0x482a)                          \
    X(PREEMPTION_TIMER_VALUE, 0x482e)                     \
    X(HOST_SYSENTER_CS, 0x4c00)                           \
    X(CR0_MASK, 0x6000)                                   \
    X(CR4_MASK, 0x6002)                                   \
    X(CR0_READ_SHADOW, 0x6004)                            \
    X(CR4_READ_SHADOW, 0x6006)                            \
    X(CR3_TARGET_0, 0x6008)                               \
    X(CR3_TARGET_1, 0x600a)                               \
    X(CR3_TARGET_2, 0x600c)                               \
    X(CR3_TARGET_3, 0x600e)                               \
    X(EXIT_QUALIFICATION, 0x6400)                         \
    X(IO_RCX, 0x6402)                                     \
    X(IO_RSI, 0x6404)                                     \
    X(IO_RDI, 0x6406)                                     \
    X(IO_RIP, 0x6408)                                     \
    X(GUEST_LINEAR_ADDRESS, 0x640a)                       \
    X(GUEST_CR0, 0x6800)                                  \
    X(GUEST_CR3, 0x6802)                                  \
    X(GUEST_CR4, 0x6804)                                  \
    X(GUEST_ES_BASE, 0x6806)                              \
    X(GUEST_CS_BASE, 0x6808)                              \
    X(GUEST_SS_BASE, 0x680a)                              \
    X(GUEST_DS_BASE, 0x680c)                              \
    X(GUEST_FS_BASE, 0x680e)                              \
    X(GUEST_GS_BASE, 0x6810)                              \
    X(GUEST_LDTR_BASE, 0x6812)                            \
    X(GUEST_TR_BASE, 0x6814)                              \
    X(GUEST_GDTR_BASE, 0x6816)                            \
    X(GUEST_IDTR_BASE, 0x6818)                            \
    X(GUEST_DR7, 0x681a)                                  \
    X(GUEST_RSP, 0x681c)                                  \
    X(GUEST_RIP, 0x681e)                                  \
    X(GUEST_RFLAGS, 0x6820)                               \
    X(GUEST_PENDING_DEBUG, 0x6822)                        \
    X(GUEST_SYSENTER_ESP, 0x6824)                         \
    X(GUEST_SYSENTER_EIP, 0x6826)                         \
    X(HOST_CR0, 0x6c00)                                   \
    X(HOST_CR3, 0x6c02)                                   \
    X(HOST_CR4, 0x6c04)                                   \
    X(HOST_FS_BASE, 0x6c06)                               \
    X(HOST_GS_BASE, 0x6c08)                               \
    X(HOST_TR_BASE, 0x6c0a)                               \
    X(HOST_GDTR_BASE, 0x6c0c)                             \
    X(HOST_IDTR_BASE, 0x6c0e)                             \
    X(HOST_SYSENTER_ESP, 0x6c10)                          \
    X(HOST_SYSENTER_EIP, 0x6c12)                          \
    X(HOST_RSP, 0x6c14)                                   \
    X(HOST_RIP, 0x6c16)

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
int field_position(std::uint32_t encoding) noexcept;
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
                               kPageModificationLogging = 1u << 17,
                               kModeBasedExecute = 1u << 22, kTscScaling = 1u << 25;
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
#define HVSIM_VMX_EXIT_REASONS(X)                                                                  \
    X(exception_or_nmi, 0) X(external_interrupt, 1) X(triple_fault, 2) X(init_signal, 3)           \
    X(sipi, 4) X(interrupt_window, 7) X(nmi_window, 8) X(task_switch, 9) X(cpuid, 10)              \
    X(getsec, 11) X(hlt, 12) X(invd, 13) X(invlpg, 14) X(rdpmc, 15) X(rdtsc, 16) X(rsm, 17)        \
    X(vmcall, 18) X(vmclear, 19) X(vmlaunch, 20) X(vmptrld, 21) X(vmptrst, 22) X(vmread, 23)       \
    X(vmresume, 24) X(vmwrite, 25) X(vmxoff, 26) X(vmxon, 27) X(cr_access, 28) X(mov_dr, 29)       \
    X(io_instruction, 30) X(rdmsr, 31) X(wrmsr, 32) X(entry_failure_guest_state, 33)               \
    X(entry_failure_msr_loading, 34) X(mwait, 36) X(monitor_trap_flag, 37) X(monitor, 39)          \
    X(pause, 40) X(entry_failure_machine_check, 41) X(tpr_below_threshold, 43) X(apic_access, 44)  \
    X(virtualized_eoi, 45) X(gdtr_idtr_access, 46) X(ldtr_tr_access, 47) X(ept_violation, 48)      \
    X(ept_misconfiguration, 49) X(invept, 50) X(rdtscp, 51) X(preemption_timer, 52)                \
    X(invvpid, 53) X(wbinvd, 54) X(xsetbv, 55) X(apic_write, 56) X(vmfunc, 59) X(page_modification_log_full, 62)

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
