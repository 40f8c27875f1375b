#pragma once
// Exceptions, interrupts and the actions of a guest that virtualization may intercept.
#include <cstdint>

#include "cpu/engine/engine.h"
#include "mmu/walk.h"
#include "sim/time.h"

namespace hvsim::cpu {

/// Exception vectors (SDM 3A 6.3.1, table 6-1).
enum Vector : std::uint8_t {
    kDE = 0,
    kDB = 1,
    kNmi = 2,
    kBP = 3,
    kOF = 4,
    kBR = 5,
    kUD = 6,
    kNM = 7,
    kDF = 8,
    kTS = 10,
    kNP = 11,
    kSS = 12,
    kGP = 13,
    kPF = 14,
    kMF = 16,
    kAC = 17,
    kMC = 18,
    kXM = 19,
};

/// SDM 3A 6.15 and 3C 27.4: whether the vector pushes an error code (protected modes).
constexpr bool has_error_code(std::uint8_t vector) noexcept {
    return vector == kDF || (vector >= kTS && vector <= kPF) || vector == kAC;
}

/// SDM 3C 25.8.3, interruption type; the same values in the VMCB's EVENTINJ (APM 2 15.20) but for
/// the last three, which it has not.
enum class EventType : std::uint8_t {
    external_interrupt = 0,
    nmi = 2,
    hardware_exception = 3,
    software_interrupt = 4,
    privileged_software_exception = 5,
    software_exception = 6,
};

/// An event on its way through the IDT.
struct Event {
    EventType type = EventType::hardware_exception;
    std::uint8_t vector = 0;
    bool has_error_code = false;
    std::uint32_t error_code = 0;
    std::uint8_t instruction_length = 0;  ///< software events: RIP pushed is behind the instruction
    std::uint64_t address = 0;            ///< #PF: becomes CR2; #DB: the DR6 bits

    bool is_exception() const noexcept {
        return type == EventType::hardware_exception || type == EventType::software_exception ||
               type == EventType::privileged_software_exception;
    }
    static Event fault(std::uint8_t vector, std::uint32_t error_code = 0) {
        return {
            EventType::hardware_exception, vector, cpu::has_error_code(vector), error_code, 0, 0};
    }
    static Event page_fault(std::uint64_t address, std::uint32_t error_code) {
        return {EventType::hardware_exception, kPF, true, error_code, 0, address};
    }
};

struct Instruction;

/// What a guest does that a VMCS or VMCB may intercept.
enum class ActionKind : std::uint8_t {
    exception,
    external_interrupt,
    nmi,
    smi,
    interrupt_window,
    nmi_window,
    triple_fault,
    init,
    sipi,
    cpuid,
    hlt,
    pause,
    invd,
    wbinvd,
    invlpg,
    invpcid,
    rdtsc,
    rdtscp,
    rdpmc,
    rdmsr,
    wrmsr,
    io,
    cr_read,
    cr_write,
    clts,
    lmsw,
    smsw,
    dr_read,
    dr_write,
    monitor,
    mwait,
    rsm,
    hypercall,        ///< VMCALL on Intel, VMMCALL on AMD
    vmx_instruction,  ///< any other VMX or SVM instruction; `opcode` tells which
    gdtr_idtr_access,
    ldtr_tr_access,
    xsetbv,
    task_switch,
    software_interrupt,
    icebp,
    iret,
    pushf,
    popf,
    nested_page_fault,
    preemption_timer,
    monitor_trap,
    tpr_below_threshold,
    virtualized_eoi,
    apic_write,  ///< behind the instruction, also AMD's
    apic_access,
};

/// One such action with its operands; `instruction_length` 0 where the manuals leave it undefined.
struct Action {
    ActionKind kind{};
    std::uint8_t instruction_length = 0;
    std::uint8_t number = 0;   ///< control or debug register, vector of a software interrupt
    std::uint8_t gpr = 0;      ///< register operand
    std::uint32_t opcode = 0;  ///< vmx_instruction, descriptor instructions: 0x0f01c1 style
    std::uint32_t msr = 0;
    std::uint64_t value = 0;   ///< source operand (CR, DR, MSR, LMSW, OUT)
    std::uint64_t linear = 0;  ///< memory operand or faulting linear address
    struct {
        std::uint16_t port = 0;
        std::uint8_t size = 0;
        bool in = false, string = false, rep = false, immediate = false;
        std::uint8_t address_bits = 64;  ///< INS, OUTS: size of the address,
        std::uint8_t segment = 0;        ///< and its segment, hardware encoding
    } io;
    const Instruction* decoded = nullptr;     ///< where its operands matter to the exit
    Event event;                              ///< exception, external_interrupt, task_switch
    bool resume_flag = false;                 ///< task_switch: RFLAGS.RF as it would be saved
    const mmu::NestedFault* fault = nullptr;  ///< nested_page_fault
};

/// When something that a guest's controls make due comes, among the core's own events.
enum class DueOrder : std::uint8_t { before_nmi, before_interrupts, after_interrupts };

/// What the virtualization extension of the running guest says of an action.
class GuestMode {
  public:
    virtual ~GuestMode() = default;
    /// The second translation stage; nullptr = guest-physical is system-physical.
    virtual const mmu::SecondStage* second_stage() noexcept = 0;
    /// Whether the action causes an exit under the current controls.
    virtual bool intercepts(const Action& action) noexcept = 0;
    /// Performs the exit: writes the exit information, hands the processor to the host software.
    /// True when that entered the guest again (the core goes on), false when the core must leave
    /// run(). `vectoring`: the event during whose delivery the exit happened, or nullptr.
    virtual bool exit(const Action& action, const Event* vectoring) = 0;
    /// Bits of CR0 and CR4 that reading or writing handles specially: what MOV from CRn returns.
    virtual std::uint64_t visible_cr(unsigned index, std::uint64_t real) const noexcept = 0;
    /// What a guest's MOV to CRn that does not exit puts into the real register.
    virtual std::uint64_t written_cr(unsigned index, std::uint64_t real,
                                     std::uint64_t value) const noexcept = 0;
    /// TSC as the guest reads it, from the processor's own.
    virtual std::uint64_t guest_tsc(std::uint64_t tsc) const noexcept = 0;
    /// External interrupts of the processor exit instead of being delivered by the guest's IDT.
    virtual bool exits_on_interrupt() const noexcept = 0;
    /// An exit is due as soon as RFLAGS.IF is 1 and there is no shadow.
    virtual bool wants_interrupt_window() const noexcept = 0;
    /// An exit, or a virtual NMI, is due as soon as NMIs are not blocked.
    virtual bool wants_nmi_window() const noexcept { return false; }
    /// The blocking of NMIs that the core keeps is that of virtual NMIs; physical ones exit.
    virtual bool has_virtual_nmis() const noexcept { return false; }
    /// Whether a physical interrupt that does not exit may now be delivered by the guest's IDT,
    /// where the program of a bare machine is the host. `open`: RFLAGS.IF is 1 and there is no
    /// shadow.
    virtual bool takes_interrupts(bool open) const noexcept { return open; }
    /// PDPTEs of PAE paging are read at each walk, not at the load of CR3 (APM 2 15.25.10).
    virtual bool walks_pdptes() const noexcept { return false; }

    /// Another processor has changed the guest's virtual APIC.
    virtual void take_doorbell() {}

    // --- asked only where the program of a bare machine is the host ---
    /// Something of the guest's controls is due at this boundary between two instructions (timer,
    /// trap, window, virtual interrupt), in that place of the order.
    virtual bool has_due(DueOrder) const noexcept { return false; }
    /// Performs it: an exit, or the delivery of an event.
    virtual void take_due(DueOrder) {}
    /// Something may become due by what the guest does (RFLAGS.IF, IRET): look at each boundary.
    virtual bool watches_boundaries() const noexcept { return false; }
    /// A time at which something will be due.
    virtual sim::Time next_deadline() const noexcept { return sim::kNever; }
    /// The guest is to run one instruction at a time, and told when it, or the delivery of an
    /// event, has completed.
    virtual bool wants_step() const noexcept { return false; }
    virtual void boundary_passed() {}
    /// A debug trap (DR6 bits) came with the instruction that has completed; true: the guest makes
    /// it due at this boundary.
    virtual bool defers_debug_trap(std::uint64_t) { return false; }
    /// The page with these guest-physical and system-physical addresses is the guest's virtualized
    /// APIC.
    virtual bool is_apic_access_page(std::uint64_t, std::uint64_t) const noexcept { return false; }
    /// Who serves an access at `offset` of it; nullptr: it exits.
    virtual engine::MmioHandler* serve_apic_access(std::uint32_t, mmu::Access, unsigned) {
        return nullptr;
    }
};

}  // namespace hvsim::cpu
