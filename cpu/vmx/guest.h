#pragma once
// VMX non-root operation: one VMCS and the core whose guest state it describes.
#include <cstdint>
#include <string_view>

#include "cpu/core.h"
#include "cpu/virtual_apic_page.h"
#include "cpu/vmx/region.h"

namespace hvsim::cpu::vmx {

/// Why an entry was refused: the rule, its section in the SDM, the field and what was found.
struct EntryFailure {
    std::uint32_t rule = 0;
    std::string_view section;
    std::string_view demand;  ///< what the rule asks for
    Field field{};
    std::uint64_t value = 0;
};

/// `number` stands in spec/rules.h.
EntryFailure broken_rule(std::uint32_t number, Field field, std::uint64_t value);

/// Rules whose failure the exit qualification tells apart (SDM 3C 27.8).
inline constexpr std::uint32_t kLinkPointerRule = 397, kPdpteRule = 401, kNmiInjectionRule = 396,
                               kMsrLoadRule = 411;

/// How VMLAUNCH or VMRESUME ended.
struct EntryResult {
    InstructionError error = InstructionError::none;  ///< not none: VMfailValid, no entry
    bool guest_state_failed = false;                  ///< VM exit 33 or 34 instead of an entry
    EntryFailure failure;                             ///< of a refused entry
    bool entered() const noexcept { return error == InstructionError::none && !guest_state_failed; }
};

/// What a processor holds on its guests' side between two guests.
struct GuestSide {
    /// Whose linear and combined mappings (SDM 3C 29.4.1): one VPID's, through one EPT.
    struct Mappings {
        std::uint64_t vpid = 0;  ///< 0: without VPIDs; they do not outlive an entry or exit
        std::uint64_t eptp = 0;  ///< 0: without EPT
        bool mode_based_execute = false;
        bool operator==(const Mappings&) const = default;
    } mappings;
    /// The VMCS whose guest left its registers there, and how many have done so.
    std::uint64_t vmcs = ~std::uint64_t{0}, exits = 0;
};

/// A VMCS that is current, and VMX non-root operation under its controls.
class Guest final : public GuestMode {
  public:
    /// `address`: of the VMCS region in RAM, 4 KiB aligned, revision written.
    Guest(std::uint64_t address, ExecutionCore& core, HostSoftware& host);

    /// The program on `core` executes the VMX instructions itself: entries load the guest state
    /// over the program's, exits save it and load the host state (SDM 3C 27.3.2, 28.3, 28.5). The
    /// launch state is the region's. `side` is the core's.
    void attach(Core& core, GuestSide& side);

    std::uint64_t address() const noexcept { return region_.address(); }
    ExecutionCore& core() const noexcept { return core_; }
    bool is_attached() const noexcept { return program_ != nullptr; }
    /// The host is in IA-32e mode: a modelled hypervisor always, a program by its EFER.
    bool host_is_long() const {
        return program_ == nullptr || (program_->efer() & (std::uint64_t{1} << 10)) != 0;
    }

    /// VMREAD and VMWRITE of a supported field; guest-state fields come from the core while it
    /// holds them. Writes are truncated to the field's width.
    std::uint64_t read(Field field) const;
    void write(Field field, std::uint64_t value);
    /// VMREAD and VMWRITE by encoding; false: unsupported component.
    bool read_encoded(std::uint32_t encoding, std::uint64_t& value) const;
    InstructionError write_encoded(std::uint32_t encoding, std::uint64_t value);

    /// VMCLEAR: the core's state goes to memory, launch state becomes clear.
    void clear();
    /// Writes the state that the core holds to memory (for inspection); the core keeps it.
    void sync();

    /// VMLAUNCH (`launch`) or VMRESUME.
    EntryResult enter(bool launch);
    const EntryResult& last_entry() const noexcept { return last_entry_; }

    /// VMfailValid: the VM-instruction error field (a change of no rule).
    void set_instruction_error(InstructionError error) {
        set_raw(Field::VM_INSTRUCTION_ERROR, static_cast<std::uint32_t>(error));
    }
    /// The end of an exit in an attached guest, or of an entry that failed after the checks.
    void return_to_program(const Action* action);
    bool uses(std::uint32_t secondary_controls) const noexcept {
        return (secondary_ & secondary_controls) != 0;
    }
    std::uint32_t secondary_controls() const noexcept { return secondary_; }

    // --- GuestMode ---
    const mmu::SecondStage* second_stage() noexcept override { return ept_ ? &stage_ : nullptr; }
    bool intercepts(const Action& action) noexcept override;
    bool exit(const Action& action, const Event* vectoring) override;
    std::uint64_t visible_cr(unsigned index, std::uint64_t real) const noexcept override;
    std::uint64_t written_cr(unsigned index, std::uint64_t real,
                             std::uint64_t value) const noexcept override;
    std::uint64_t guest_tsc(std::uint64_t tsc) const noexcept override;
    bool exits_on_interrupt() const noexcept override {
        return (pin_ & pin::kExternalInterruptExiting) != 0;
    }
    bool wants_interrupt_window() const noexcept override {
        return (primary_ & primary::kInterruptWindowExiting) != 0;
    }
    bool wants_nmi_window() const noexcept override {
        return (primary_ & primary::kNmiWindowExiting) != 0;
    }
    bool has_virtual_nmis() const noexcept override { return (pin_ & pin::kVirtualNmis) != 0; }
    bool has_due(DueOrder order) const noexcept override { return due(order) != Due::nothing; }
    void take_due(DueOrder order) override;
    bool watches_boundaries() const noexcept override;
    sim::Time next_deadline() const noexcept override { return preemption_.deadline; }
    bool wants_step() const noexcept override {
        return (primary_ & primary::kMonitorTrapFlag) != 0;
    }
    void boundary_passed() override;
    bool defers_debug_trap(std::uint64_t bits) override;
    bool is_apic_access_page(std::uint64_t guest, std::uint64_t page) const noexcept override;
    engine::MmioHandler* serve_apic_access(std::uint32_t offset, mmu::Access access,
                                           unsigned size) override;

  private:
    /// What the controls make due at a boundary (due_events.cpp).
    enum class Due : std::uint8_t {
        nothing,
        trap,
        monitor_trap,
        debug_exception,
        preemption_timer,
        nmi_window,
        interrupt_window,
        virtual_interrupt,
    };
    std::uint64_t raw(Field field) const noexcept { return region_.read(field); }
    void set_raw(Field field, std::uint64_t value) { region_.write(field, value); }
    bool read_state(Field field, std::uint64_t& value) const;
    bool write_state(Field field, std::uint64_t value);
    bool write_unchecked_control(Field field, std::uint64_t value);
    void load_state();
    void cache_controls();
    Event inject_event();
    void refuse(EntryResult& result, std::uint64_t rip, const sim::Code& code);
    void leave_failed_entry(const EntryFailure& failure);
    // program_guest.cpp
    void note_program_write(Field field) noexcept;
    bool may_fail_late() const;
    bool begin_in_program(EntryResult& result);
    bool load_program_guest(EntryResult& result);
    void hold_mappings();
    void load_modes(std::uint64_t cr0, std::uint64_t efer);
    void load_tables();
    std::uint64_t entry_cr0() const;
    std::uint64_t entry_efer() const;
    void load_registers();
    void save_state(const Action& action);
    std::uint64_t saved_rflags(const Action& action) const;
    std::uint64_t saved_interruptibility() const;
    void vmx_abort(std::uint32_t indicator);
    // apic_virtualization.cpp
    VirtualApicPage virtual_apic() const;
    void virtualize_tpr();
    void virtualize_ppr();
    void virtualize_eoi();
    void evaluate_virtual_interrupts();
    void request_virtual_interrupt(unsigned vector);
    void deliver_virtual_interrupt();
    void start_apic_virtualization();
    void trap_after_instruction(ActionKind kind, std::uint64_t value);
    bool virtualizes_read(std::uint32_t offset) const;
    bool virtualizes_write(std::uint32_t offset) const;
    void emulate_apic_write(std::uint32_t offset);
    bool virtualizes_msr(std::uint32_t msr, bool write) const;
    void access_virtual_cr8(const Action& action);
    void read_virtual_msr(const Action& action);
    void write_virtual_msr(const Action& action);
    bool process_posted_interrupts();
    // virtual_functions.cpp
    bool serves(const Action& action) const noexcept;
    bool serve(const Action& action);
    bool switch_eptp();
    // due_events.cpp
    Due due(DueOrder order) const noexcept;
    void start_due_events();
    void stop_preemption_timer();
    bool in_io_bitmap(const Action& action) const;
    bool in_msr_bitmap(std::uint32_t msr, bool write) const;
    bool intercepts_exception(const Event& event) const;
    bool intercepts_cr(const Action& action) const;
    bool exits_pause_loop() noexcept;
    std::uint64_t displacement(const Action& action) const;
    std::uint64_t qualification(const Action& action, std::uint32_t& reason);
    sim::Duration exit_cost(const Action& action) const;

    Region region_;
    Core* program_ = nullptr;    ///< the core, where its program is the host,
    GuestSide* side_ = nullptr;  ///< and what it holds
    ExecutionCore& core_;
    HostSoftware& host_;
    bool state_in_core_ = false;
    bool launched_ = false;
    bool checks_due_ = true;             ///< a field of controls, host or guest state was written
    bool injection_checks_due_ = false;  ///< only the injected event was
    bool rip_check_due_ = false;         ///< only RIP was
    bool state_written_ = true;  ///< guest state was, other than what each entry loads anyway
    std::uint64_t left_as_ = 0;  ///< which of the side's exits was its last
    EntryResult last_entry_;

    // Controls of the current entry.
    std::uint32_t pin_ = 0, primary_ = 0, secondary_ = 0, exit_controls_ = 0;
    std::uint64_t exception_bitmap_ = 0, cr0_mask_ = 0, cr4_mask_ = 0, cr0_shadow_ = 0,
                  cr4_shadow_ = 0, tsc_offset_ = 0, io_bitmap_a_ = 0, io_bitmap_b_ = 0,
                  msr_bitmaps_ = 0, tsc_multiplier_ = 0;
    bool ept_ = false;
    engine::OptionalIntercepts intercepts_;
    mmu::SecondStage stage_;

    // An attached guest's own, from entry to exit.
    bool host_nmi_blocked_ = false;
    std::uint64_t pending_debug_ = 0;  ///< pending debug exceptions, as in the field
    bool mov_ss_ = false;              ///< the shadow at entry was blocking by MOV SS
    bool monitor_trap_ = false;        ///< a monitor-trap-flag exit is pending
    struct {
        std::uint64_t value = 0, start = 0;  ///< the field at entry, TSC at entry
        sim::Time deadline = sim::kNever;
    } preemption_;

    /// Page-modification logging into the VMCS's page.
    class PageLog final : public mmu::PageModificationLog {
      public:
        explicit PageLog(Guest& guest) : guest_(guest) {}
        bool append(std::uint64_t guest_physical) override;

      private:
        Guest& guest_;
    } page_log_{*this};
    /// Serves accesses to the APIC-access page from the virtual-APIC page.
    class ApicPage final : public engine::MmioHandler {
      public:
        explicit ApicPage(Guest& guest) : guest_(guest) {}
        std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override;
        void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override;

      private:
        Guest& guest_;
    } apic_page_{*this};
    std::uint64_t apic_access_page_ = 0;
    bool virtual_interrupt_ = false;  ///< recognized and not delivered
    struct {
        bool pending = false;
        ActionKind kind{};
        std::uint64_t value = 0;
    } trap_;  ///< exit behind the instruction that was emulated

    // PAUSE-loop exiting: TSC of the loop's first and of the last PAUSE since the entry.
    struct PauseLoop {
        std::uint32_t gap = 0, window = 0;
        bool begun = false;
        std::uint64_t first = 0, last = 0;
    } pause_loop_;
};

/// The rules of SDM 3C 27.2 (controls, host state) and 27.3.1 (guest state), in the manual's order.
/// True when all hold; otherwise `failure` names the first that does not.
bool check_controls(const Guest& guest, EntryFailure& failure);
bool check_host_state(const Guest& guest, EntryFailure& failure);
bool check_guest_state(const Guest& guest, EntryFailure& failure);
/// What an exit by an instruction with operands records beside its length.
std::uint64_t operand_displacement(const Instruction& in, std::uint64_t rip);
std::uint32_t instruction_information(const Action& action, bool long64);
/// An EPTP that VM entry and INVEPT accept (SDM 3C 27.2.1.1).
bool is_valid_eptp(const Model& model, std::uint64_t eptp) noexcept;
/// The rules that are about event injection alone; notes a failure in `result`.
void check_injection(const Guest& guest, EntryResult& result);
/// The rule about RIP alone, likewise.
void check_rip(const Guest& guest, EntryResult& result);

}  // namespace hvsim::cpu::vmx
