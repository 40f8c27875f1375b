#pragma once
// The processor-side half of a virtual processor: registers, controls, entry and the meaning of an
// exit. One interface, an implementation by VT-x and one by AMD-V.
#include <cstdint>
#include <string_view>

#include "cpu/execution_core.h"
#include "hypervisor-model/vp_context.h"

namespace hvsim::hv {

/// What the exit-information fields say, in terms that both vendors share.
enum class ExitKind : std::uint8_t {
    exception,
    nmi,
    external_interrupt,
    interrupt_window,
    triple_fault,
    cpuid,
    hlt,
    pause_loop,  ///< the guest spins
    xsetbv,
    io,
    msr_read,
    msr_write,
    cr_access,  ///< handled by VpBackend::emulate_cr_access
    hypercall,
    nested_page_fault,
    nested_misconfiguration,
    cache_control,               ///< INVD, WBINVD: nothing to do
    virtualization_instruction,  ///< a VMX or SVM instruction of a guest that has none
    other,
};

struct ExitInfo {
    ExitKind kind = ExitKind::other;
    std::uint32_t raw_reason = 0;
    std::uint8_t instruction_length = 0;
    std::uint8_t vector = 0;  ///< exception; external_interrupt when acknowledged by the exit
    bool has_vector = false;
    std::uint32_t error_code = 0;
    bool has_error_code = false;
    std::uint64_t qualification = 0;
    struct {
        std::uint16_t port = 0;
        std::uint8_t size = 0;
        bool in = false, string = false, rep = false;
    } io;
    std::uint64_t gpa = 0;
    std::uint64_t gva = 0;
    bool gva_valid = false;
    bool write = false, execute = false;  ///< nested_page_fault
    /// nested_page_fault: at the address of an instruction's load or store, not of a page table,
    /// and not while an event was delivered.
    bool operand = false;
};

/// A refused entry, in words for the report.
struct EntryReport {
    bool entered = true;
    std::uint32_t rule = 0;
    std::string_view section, field, demand;
    std::uint64_t value = 0;
};

/// A guest spins when PAUSEs follow each other within kPauseGap cycles of the TSC for longer than
/// kSpinWindow; kSpinPauses is about that window where PAUSEs are counted.
inline constexpr std::uint16_t kPauseGap = 512, kSpinPauses = 64;
inline constexpr std::uint32_t kSpinWindow = 4096;

class VpBackend : public VpContext {
  public:
    /// The logical processor that `apic` belongs to takes the control structure (VMPTRLD).
    virtual void load(apic::LocalApic& apic) = 0;
    /// VMLAUNCH, VMRESUME or VMRUN.
    virtual EntryReport enter() = 0;
    virtual ExitInfo exit_info() const = 0;
    /// Goes behind the exit's instruction.
    virtual void skip_instruction(unsigned length) = 0;
    /// Asks for (or no longer for) an exit as soon as the guest can take an interrupt.
    virtual void request_interrupt_window(bool wanted) = 0;
    /// Likewise for an NMI, which the guest blocks.
    virtual void request_nmi_window(bool wanted) = 0;
    /// Performs the intercepted MOV to or from a control register; false: #GP(0). `tpr_changed`:
    /// CR8 was written.
    virtual bool emulate_cr_access(const ExitInfo& exit, apic::LocalApic& virtual_apic) = 0;
    virtual void set_tsc_offset(std::uint64_t offset) = 0;
    /// Whether a guest that spins exits (ExitKind::pause_loop), from the next entry on.
    virtual void exit_when_spinning(bool wanted) = 0;
    /// Guest-physical mappings have changed (INVEPT; TLB_CONTROL).
    virtual void invalidate_guest_physical() = 0;
    /// The control structure in memory shows the state that the core holds.
    virtual void sync() = 0;
    virtual cpu::ExecutionCore& core() noexcept = 0;
};

}  // namespace hvsim::hv
