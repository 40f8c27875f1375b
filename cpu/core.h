#pragma once
// A processor core that executes guest code: the architecture (exceptions, CPUID, MSRs, control
// registers, time-stamp counter, page walks) around one execution engine.
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "cpu/branches.h"
#include "cpu/bus.h"
#include "cpu/debug_registers.h"
#include "cpu/decode.h"
#include "cpu/execution_core.h"
#include "cpu/last_branches.h"
#include "cpu/models/model.h"
#include "cpu/virtualization.h"

namespace hvsim::cpu {

/// Clocks that no processor may see going back (house rule: a read returns the greater of the own
/// time and what was given out before).
class SharedClock {
  public:
    /// The time that a reader whose local time is `local` is given.
    sim::Time read(sim::Time local) noexcept {
        if (local > given_) given_ = local;
        return given_;
    }

  private:
    sim::Time given_ = 0;
};

class MsrFile;

struct CoreConfig {
    const Model* model = nullptr;
    std::uint32_t apic_id = 0;
    std::uint32_t processor_count = 1;
    bool virtualization = true;  ///< VT-x or AMD-V present and enabled by the firmware
    bool nx = true;
    bool slat = true;  ///< SVM with nested paging
    sim::Subject subject;
};

class Core final : public ExecutionCore, private engine::EngineClient, private engine::MmioHandler {
  public:
    /// `apic`: local APIC that delivers to this core when it runs outside a guest; may be nullptr.
    Core(engine::EngineGroup& engines, sim::Ram& ram, Bus& bus, SharedClock& clock,
         const sim::TimingProfile& timing, sim::Recorder& recorder, const CoreConfig& config,
         apic::LocalApic* apic);
    ~Core() override;

    // --- running ---

    /// Runs from local time `now` until `deadline` (first block boundary at or after it).
    CoreStop run(sim::Time now, sim::Time deadline) override;
    /// Local time, exact inside callbacks and after run().
    sim::Time now() const noexcept override { return base_ + engine_->code_bytes() * ps_per_byte_; }
    void set_now(sim::Time now) noexcept override;
    /// Adds what something cost to the local time.
    void charge(sim::Duration cost) noexcept override;
    /// Moves the local time forward to `time` if it is behind.
    void advance_local_time(sim::Time time) noexcept;
    /// Brings the deadline of the current run forward.
    void shorten_deadline(sim::Time deadline) noexcept override;
    void request_stop() noexcept override;
    bool running() const noexcept { return running_; }
    /// Something (interrupt, INIT, window request) may have become pending: look at it at the next
    /// block boundary.
    void poll_soon() noexcept override;

    // --- virtualization ---

    /// The extension whose instructions the program on this core may execute; nullptr: they are
    /// undefined, or exits of the guest that the core runs for modelled host software.
    void set_virtualization(Virtualization* extension) noexcept { extension_ = extension; }
    Virtualization* virtualization() noexcept { return extension_; }
    /// An INIT is pending: resets the core, or what the extension makes of it.
    InitOutcome on_init();
    /// A start-up IPI was taken: starts there, unless the extension makes an exit of it.
    void on_sipi(std::uint8_t vector);
    GuestMode* guest_mode() noexcept { return guest_; }
    /// A program's entries and exits change sides. The guest's has an engine of its own, so that
    /// neither loses its translated code and translations; it comes into being with the first
    /// entry. Registers that neither entries nor exits load go along, the others are as that side
    /// left them, also cr() and efer(): who changes sides loads them, and flushes the TLB where the
    /// architecture says so.
    void change_sides(engine::Transition transition);
    bool on_guest_side() const noexcept { return on_guest_side_; }
    /// Drops translations that one side holds, or both, from either.
    void flush_guest_tlb();
    void flush_guest_tlb_page(std::uint64_t linear);
    void flush_host_tlb_page(std::uint64_t linear);
    void flush_both_sides();
    /// When the guest's controls want attention, also of a core that waits.
    sim::Time guest_deadline() const noexcept;
    /// Delivers an interrupt, acknowledged already, through the IDT.
    bool interrupt_requested() const;
    std::uint8_t acknowledge_interrupt();
    void deliver_interrupt(std::uint8_t vector);
    /// The core runs as a guest under `mode` (nullptr: outside a guest).
    void set_guest_mode(GuestMode* mode) noexcept override;
    /// Delivers `event` through the guest's IDT at the next instruction boundary (VM-entry
    /// injection). Only between runs or inside an exit.
    void inject(const Event& event) override;
    bool has_injection() const noexcept override { return injection_pending_; }
    void cancel_injection() noexcept override { injection_pending_ = false; }
    const Event& injection() const noexcept override { return injection_; }
    /// Executes the instruction at RIP with the page of the last nested page fault served by
    /// `handler`; takes effect when the exit's handler has entered the guest again.
    void assist(std::uint64_t guest_physical, engine::MmioHandler& handler) override;
    /// Drops cached second-stage translations as INVEPT does.
    void invalidate_nested() override;

    // --- ArchState ---
    std::uint64_t gpr(unsigned index) const override { return engine_->gpr(index); }
    void set_gpr(unsigned index, std::uint64_t value) override { engine_->set_gpr(index, value); }
    std::uint64_t rip() const override { return engine_->rip(); }
    void set_rip(std::uint64_t value) override { engine_->set_rip(value); }
    std::uint64_t rflags() const override { return engine_->rflags(); }
    /// Without the arithmetic flags and DF: cheaper.
    std::uint64_t system_flags() const { return engine_->system_flags(); }
    void set_rflags(std::uint64_t value) override;
    Segment segment(SegmentName name) const override { return engine_->segment(name); }
    void set_segment(SegmentName name, const Segment& value) override {
        engine_->set_segment(name, value);
    }
    TableRegister gdtr() const override { return engine_->gdtr(); }
    void set_gdtr(const TableRegister& value) override { engine_->set_gdtr(value); }
    TableRegister idtr() const override { return engine_->idtr(); }
    void set_idtr(const TableRegister& value) override { engine_->set_idtr(value); }
    std::uint64_t cr(unsigned index) const override;
    void set_cr(unsigned index, std::uint64_t value) override;
    std::uint64_t dr(unsigned index) const override { return engine_->dr(index); }
    void set_dr(unsigned index, std::uint64_t value) override;
    std::uint64_t efer() const override { return efer_; }
    void set_efer(std::uint64_t value) override;
    std::uint64_t pat() const override { return pat_; }
    void set_pat(std::uint64_t value) override { pat_ = value; }
    std::uint64_t xcr0() const override { return engine_->xcr0(); }
    void set_xcr0(std::uint64_t value) override { engine_->set_xcr0(value); }
    std::uint64_t native_msr(std::uint32_t msr) const override { return engine_->native_msr(msr); }
    void set_native_msr(std::uint32_t msr, std::uint64_t value) override {
        engine_->set_native_msr(msr, value);
    }
    std::array<std::uint8_t, 512> fxsave() const override { return engine_->fxsave(); }
    void fxrstor(const std::array<std::uint8_t, 512>& image) override { engine_->fxrstor(image); }
    bool interrupt_shadow() const override { return engine_->interrupt_shadow(); }
    void set_interrupt_shadow(bool value) override { engine_->set_interrupt_shadow(value); }
    bool nmi_blocked() const override { return engine_->nmi_blocked(); }
    void set_nmi_blocked(bool value) override { engine_->set_nmi_blocked(value); }
    /// A wait by MWAIT is no activity state of its own (SDM 3C 25.4.2).
    ActivityState activity() const override {
        return waits_on_memory() ? ActivityState::active : activity_;
    }
    void set_activity(ActivityState state) override {
        activity_ = state;
        monitor_.waiting = false;
    }
    /// It executes nothing until an event comes: by HLT or by MWAIT.
    bool halted() const noexcept { return activity_ != ActivityState::active; }
    /// It waits by MWAIT for a store to the monitored line, too.
    bool waits_on_memory() const noexcept {
        return monitor_.waiting && activity_ == ActivityState::hlt;
    }
    bool monitor_armed() const noexcept { return monitor_.armed; }
    /// MONITOR of a linear address that can be read, and MWAIT.
    void arm_monitor(std::uint64_t linear);
    void wait_on_memory(bool breaks_on_interrupts);
    /// The line that it waits for has changed.
    bool memory_wait_is_over() const;
    void flush_tlb() override;
    void flush_tlb_page(std::uint64_t linear);
    /// Which local APIC delivers to this core: the one of the processor that it runs on.
    void set_local_apic(apic::LocalApic* apic) noexcept override { apic_ = apic; }
    /// Which control-register accesses the guest's controls ask to see (others run natively).
    void set_optional_intercepts(const engine::OptionalIntercepts& intercepts) override;
    std::uint64_t tsc();
    std::uint64_t host_tsc() override;
    CpuidResult native_cpuid(std::uint32_t leaf, std::uint32_t subleaf) const;
    /// MSR accesses outside a guest, or that the guest's bitmap passes; false: #GP(0).
    bool read_msr(std::uint32_t index, std::uint64_t& value);
    bool write_msr(std::uint32_t index, std::uint64_t value);
    /// MOV to CRn by the program, with the architecture's checks; false: #GP(0).
    bool write_cr_checked(unsigned index, std::uint64_t value);
    MsrFile& msrs() noexcept { return *msrs_; }
    /// While they are enabled the core runs one instruction at a time.
    LastBranches& last_branches() noexcept { return last_branches_; }
    std::uint64_t debugctl() const noexcept;
    void set_debugctl(std::uint64_t value) noexcept;
    /// The PDPTE registers of PAE paging; loading them from `cr3`'s table fails on reserved bits.
    const std::array<std::uint64_t, 4>& pdptes() const noexcept { return pdptes_; }
    void set_pdptes(const std::array<std::uint64_t, 4>& pdptes) noexcept;
    bool load_pdptes_of(std::uint64_t cr3);
    sim::Ram& ram() noexcept override { return ram_; }
    sim::Recorder& recorder() noexcept override { return recorder_; }
    const sim::TimingProfile& timing() const noexcept override { return timing_; }
    mmu::NestedTlb& nested_tlb() noexcept override { return nested_tlb_; }
    /// Outcome of a walk of the current paging structures, with its costs.
    mmu::WalkResult walk(std::uint64_t linear, const mmu::AccessRequest& request) noexcept;

    /// Reads the PDPTEs that CR3 names, where PAE paging is on. False: reserved bits are set.
    bool reload_pdptes() {
        return paging_.mode != mmu::PagingMode::pae || load_pdptes_of(engine_->cr(3));
    }

    /// State after power-on or INIT (SDM 3A 10.1.1, table 10-1). `init`: keeps what INIT keeps.
    void reset(bool init);
    /// The shutdown state (SDM 3A 6.15), whatever a guest's controls say.
    void enter_shutdown();
    /// Starts at the page that a SIPI names (SDM 3A 9.4.4).
    void start_at_sipi(std::uint8_t vector);

    /// Copies bytes at a linear address, as an instruction fetch or else with supervisor rights;
    /// false on a fault (no side effect on the fault state, no cost).
    bool peek_linear(std::uint64_t linear, std::span<std::uint8_t> out,
                     mmu::Access access = mmu::Access::read);
    std::size_t peek_code(std::span<std::uint8_t> out) override;
    sim::Code fetched_code(unsigned most) override;

    sim::Subject& subject() noexcept override { return subject_; }
    const Model& model() const noexcept override { return *model_; }
    engine::Engine& engine() noexcept { return *engine_; }
    /// That of the side which does not run; nullptr before the first entry.
    engine::Engine* other_engine() noexcept { return other_.engine.get(); }
    /// Code bytes executed, by the engines or by the core itself.
    std::uint64_t code_bytes() const noexcept {
        const std::uint64_t others = other_.engine ? other_.engine->code_bytes() : 0;
        return engine_->code_bytes() + others + counters_.performed_bytes;
    }
    /// Instructions executed, for reports (engine::Engine::instructions()).
    std::uint64_t instructions() const noexcept {
        const std::uint64_t others = other_.engine ? other_.engine->instructions() : 0;
        return engine_->instructions() + others + counters_.performed;
    }
    apic::LocalApic* local_apic() noexcept override { return apic_; }

    struct Counters {
        // Instructions that the core performed, not the engine.
        std::uint64_t performed = 0, performed_bytes = 0;
        std::uint64_t exceptions = 0, interrupts = 0, walks = 0, walk_steps = 0, injections = 0;
        sim::Duration greatest_overshoot = 0;
    };
    const Counters& counters() const noexcept { return counters_; }

    enum class LinearAccess { done, fault, nested };
    /// Copies bytes from or to linear addresses as the processor itself does (descriptor tables,
    /// stacks): with supervisor rights, or the current level's when `user`. `fault` and the nested
    /// fault tell why not.
    /// `operand`: of an instruction; it may be in a device.
    LinearAccess access_linear(std::uint64_t linear, std::uint8_t* data, std::size_t size,
                               mmu::Access access, bool user, Event& fault, bool operand = false);
    /// Goes on behind the instruction that was emulated: RIP, shadow, single step.
    void complete_instruction(unsigned length) override;
    /// True when the action was intercepted (and the exit performed).
    bool exits(const Action& action, const Event* vectoring = nullptr);
    /// Delivers an event through the IDT, with exits, double and triple faults (SDM 3A 6.15).
    void deliver(Event event, bool intercept_it = true);
    /// An instruction of that many bytes was performed, not by the engine.
    void count_performed(unsigned length);
    static constexpr std::uint64_t kTaskTrap = std::uint64_t{1} << 15;  ///< DR6.BT
    /// A debug trap with these bits for DR6 came with the instruction that has completed.
    void debug_trap(std::uint64_t bits);
    /// What an instruction that the core performs has accessed, for breakpoints.
    void note_access(std::uint64_t linear, std::size_t size, bool write);
    void note_port(std::uint16_t port, unsigned size);
    /// That instruction, or an iteration of it, has completed; `flags`: RFLAGS when it began.
    void trap_if_due(std::uint64_t flags);
    bool has_debug_bits() const noexcept { return debug_bits_ != 0; }
    /// A #DB with these bits for DR6 is on its way to a handler.
    void enter_debug_exception(std::uint64_t bits);
    /// Debug traps that MOV SS has held off are part of the #DB of an INT1 behind it.
    std::uint64_t take_held_debug_bits() noexcept { return std::exchange(held_debug_bits_, 0); }
    void raise(std::uint8_t vector, std::uint32_t error_code = 0) {
        deliver(Event::fault(vector, error_code));
    }
    /// The next of the numbers that RDRAND gives: a sequence of the processor's own (SplitMix64).
    std::uint64_t next_random() noexcept {
        random_ += 0x9e3779b97f4a7c15;
        std::uint64_t value = random_ + (std::uint64_t{apic_id_} << 32);
        value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
        value = (value ^ value >> 27) * 0x94d049bb133111eb;
        return value ^ value >> 31;
    }
    CodeMode code_mode() const;
    std::optional<Instruction> fetch_instruction();
    sim::Time tsc_time();

  private:
    /// What MONITOR watches (SDM 3A 9.10.4).
    struct Monitor {
        static constexpr std::size_t kLine = 64;
        bool armed = false, waiting = false;
        bool breaks_on_interrupts = false;  ///< the wait ends with a masked interrupt, too
        std::uint64_t line = 0;             ///< system-physical
        std::array<std::uint8_t, kLine> content{};
    };

    friend class Delivery;
    friend class Instructions;
    friend class TaskSwitch;

    // engine::EngineClient
    bool translate(std::uint64_t linear, engine::Access access, bool user,
                   engine::Translation& out) noexcept override;
    engine::MmioHandler* assisting(std::uint64_t& physical) noexcept override;
    void on_intercept(const engine::Intercept& intercept) override;
    void on_limit() override;
    // engine::MmioHandler: the bus, for accesses outside a guest
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override;
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override;

    void access_device(std::uint64_t physical, std::span<std::uint8_t> data, bool write);
    mmu::PagingState paging_state() const;
    void update_optional_intercepts();
    void end_memory_wait();
    void paging_changed();
    void set_tsc_offset(std::uint64_t offset);
    bool load_pdptes(std::uint64_t cr3);
    bool pae_paging_with(std::uint64_t cr0, std::uint64_t cr4) const noexcept;
    const mmu::SecondStage& second_stage() noexcept;
    static constexpr std::uint64_t large_region(std::uint64_t linear) noexcept {
        return std::uint64_t{1} << (linear >> 21 & 63);
    }
    void update_limit() noexcept;
    void advance_apic();
    bool is_apic_page(std::uint64_t page) const noexcept;
    void handle_page_fault(const engine::Intercept& intercept);
    void undo_branch(const engine::Intercept& intercept);
    void access_guest_apic(const engine::Intercept& intercept);
    void run_assist();
    void shutdown();
    bool is_quiet() const noexcept;
    /// Looks at pending injections, interrupts, windows; true when the core may go on executing.
    bool process_events();
    bool process_one_event();
    void prepare_instruction();
    void pass_boundary(bool completed);
    void look_for_branch();

    // core_debug.cpp
    void update_breakpoints();
    void forget_breakpoint_pages();
    bool is_breakpoint_page(std::uint64_t linear) const noexcept;
    std::uint64_t linear_rip() const;
    std::size_t peek_instruction(std::uint64_t linear, std::span<std::uint8_t> out);
    void renew_shadow();
    template <typename Matches>
    std::uint64_t breakpoint_hits(Matches matches) const;
    void process_breakpoint();
    void on_debug_trap(const engine::Intercept& intercept);
    bool traps_branches_only() const noexcept;
    void set_branch_traps(bool on) noexcept;

    enum class Due : std::uint8_t {
        nothing,
        injection,
        held_debug_trap,
        smi,
        guest_before_nmi,
        nmi,
        guest_before_interrupts,
        interrupt,
        nmi_window,
        interrupt_window,
        guest_after_interrupts,
    };
    Due due_event() const;
    bool awaits_event() const;
    bool takes_nmi() const;
    bool takes_interrupt(bool open) const;
    bool process_nmi();
    bool process_interrupt();
    bool exits(ActionKind kind);
    bool read_pdpte(std::uint64_t linear, const mmu::AccessRequest& request,
                    mmu::WalkResult& result) noexcept;

    /// What each side has of its own: of the one that runs, the members of the same names.
    struct Side {
        std::unique_ptr<engine::Engine> engine;
        std::uint64_t cr0 = 0, cr4 = 0, efer = 0;
        mmu::PagingState paging;
        std::array<std::uint64_t, 4> pdptes{};
        std::uint64_t large_fills = 0;
        engine::OptionalIntercepts requested, optional;
    };
    void swap_sides();
    void flush_other_side();
    void flush_other_side_page(std::uint64_t linear);

    engine::EngineGroup& engines_;
    std::unique_ptr<engine::Engine> engine_;
    Side other_;
    bool on_guest_side_ = false;
    sim::Ram& ram_;
    Bus& bus_;
    SharedClock& clock_;
    const sim::TimingProfile& timing_;
    sim::Recorder& recorder_;
    const Model* model_;
    apic::LocalApic* apic_;
    std::uint32_t apic_id_, processor_count_;
    bool virtualization_ = true, nx_ = true, slat_ = true;
    sim::Subject subject_;

    GuestMode* guest_ = nullptr;
    Virtualization* extension_ = nullptr;
    mmu::SecondStage physical_;  // outside a guest: system-physical addresses
    mmu::NestedTlb nested_tlb_;
    mmu::PagingState paging_;
    std::array<std::uint64_t, 4> pdptes_{};
    std::uint64_t large_fills_ = 0;  // 2 MiB regions (hashed) filled from large pages
    engine::OptionalIntercepts requested_, optional_;  // as asked for, and as they are
    std::uint64_t ps_per_byte_;
    sim::Time base_ = 0;  // local time minus the time of the engine's code bytes
    sim::Time deadline_ = 0;
    std::uint64_t intercepted_at_ = ~std::uint64_t{0};  // code bytes at the latest intercept
    bool running_ = false;
    bool handling_ = false;  ///< inside on_intercept(): the limit is set at its end
    bool stop_requested_ = false, left_guest_ = false;
    bool poll_ = false;  // look for events at each block boundary
    CoreStop stop_ = CoreStop::deadline;

    std::uint64_t cr0_ = 0, cr4_ = 0, efer_ = 0, pat_ = 0;
    ActivityState activity_ = ActivityState::active;
    bool injection_pending_ = false;
    Event injection_;
    std::uint64_t tsc_offset_ = 0;  // IA32_TSC_ADJUST
    std::uint64_t random_ = 0;      // of RDRAND
    std::unique_ptr<MsrFile> msrs_;

    // What translate() found when it refused; read by the page_fault intercept that follows.
    struct Refusal {
        enum class Kind : std::uint8_t {
            page_fault,
            non_canonical,
            nested,
            device,
            guest_apic,
            code_breakpoint,
        } kind{};
        std::uint32_t error_code = 0;
        std::uint64_t physical = 0;
    } refusal_;
    mmu::NestedFault nested_fault_;
    std::uint64_t nested_linear_ = 0;  // where access_linear() came upon it

    LastBranches last_branches_;
    Branch branch_;  // what the instruction at branch_from_ is, while it runs
    std::uint64_t branch_from_ = 0;
    std::array<Breakpoint, 4> breakpoints_{};
    bool any_breakpoint_ = false, code_breakpoints_ = false;  // DR7 enables one
    std::uint64_t dr6_ = 0;              // the engine changes its own at each single step
    std::uint64_t debug_bits_ = 0;       // of the instruction that the core performs
    std::uint64_t held_debug_bits_ = 0;  // that MOV SS holds off,
    bool holds_debug_ = false;           // until behind the next instruction
    bool step_next_ = false;           // the next instruction is on an execution breakpoint's page
    bool stepping_ = false;            // one instruction runs alone
    std::uint64_t stepped_from_ = 0;   // linear address of the latest that did
    std::uint64_t stepped_flags_ = 0;  // RFLAGS before it
    bool stack_shadow_ = false;        // it was MOV SS or POP SS
    bool took_branch_ = false;
    Monitor monitor_;
    engine::MmioHandler* assist_handler_ = nullptr;
    std::uint64_t assist_physical_ = 0, assist_linear_ = 0;
    Counters counters_;
};

}  // namespace hvsim::cpu
