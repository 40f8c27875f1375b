#pragma once
// A core that runs modelled software: a register file, interrupts and hypercalls are real, the
// instructions in between are native steps with a cost.
#include <array>
#include <optional>
#include <span>

#include "cpu/bus.h"
#include "cpu/execution_core.h"

namespace hvsim::cpu {

class NativeCore;

/// One step of native software ran: what it cost and how it ended.
struct NativeStep {
    enum class End : std::uint8_t {
        more,  ///< another step follows
        idle,  ///< HLT until an interrupt
    };
    End end = End::idle;
    sim::Duration cost = 0;
};

/// Software that runs as native steps. A step runs to completion; its state is its own.
class NativeProgram {
  public:
    virtual ~NativeProgram() = default;
    virtual NativeStep step(NativeCore& core, sim::Time now) = 0;
    /// An interrupt was delivered through the IDT, between two steps.
    virtual sim::Duration interrupt(NativeCore& core, std::uint8_t vector, sim::Time now) = 0;
};

struct NativeCoreConfig {
    const Model* model = &default_model(Vendor::intel);
    sim::Subject subject;
};

class NativeCore final : public ExecutionCore {
  public:
    NativeCore(sim::Ram& ram, Bus& bus, const sim::TimingProfile& timing, sim::Recorder& recorder,
               const NativeCoreConfig& config);
    ~NativeCore() override;

    void set_program(NativeProgram* program) noexcept { program_ = program; }

    // --- instructions of the software that exit; only within a step or interrupt() ---
    /// VMCALL or VMMCALL with the input value in RCX, the parameters in RDX and R8; repeated while
    /// the hypervisor leaves RIP on it. Returns RAX.
    std::uint64_t hypercall(std::uint64_t input, std::uint64_t rdx, std::uint64_t r8);
    /// WRMSR and RDMSR; false (or nullopt): #GP.
    bool write_msr(std::uint32_t msr, std::uint64_t value);
    std::optional<std::uint64_t> read_msr(std::uint32_t msr);

    // --- memory of the software, by guest-physical address ---
    /// False: an address that the second stage does not map (nothing was transferred beyond it).
    bool read_memory(std::uint64_t gpa, std::span<std::uint8_t> out);
    bool write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in);
    /// Device registers, 1 to 8 bytes; all ones and nothing where the second stage denies it.
    std::uint64_t read_device(std::uint64_t gpa, unsigned size);
    void write_device(std::uint64_t gpa, unsigned size, std::uint64_t value);

    // --- ExecutionCore ---
    CoreStop run(sim::Time now, sim::Time deadline) override;
    void set_now(sim::Time now) noexcept override { now_ = now; }
    sim::Time now() const noexcept override { return now_; }
    void charge(sim::Duration cost) noexcept override { now_ += cost; }
    void shorten_deadline(sim::Time deadline) noexcept override;
    void request_stop() noexcept override { stop_requested_ = true; }
    void poll_soon() noexcept override {}
    const Model& model() const noexcept override { return *config_.model; }
    void set_guest_mode(GuestMode* mode) noexcept override {
        guest_ = mode;
        if (mode != nullptr) last_guest_ = mode;
    }
    void inject(const Event& event) override;
    bool has_injection() const noexcept override { return injection_pending_; }
    const Event& injection() const noexcept override { return injection_; }
    void cancel_injection() noexcept override { injection_pending_ = false; }
    void assist(std::uint64_t guest_physical, engine::MmioHandler& handler) override;
    void invalidate_nested() override { nested_tlb_.invalidate_all(); }
    void set_optional_intercepts(const engine::OptionalIntercepts&) override {}
    void complete_instruction(unsigned length) override { rip_ += length; }
    apic::LocalApic* local_apic() noexcept override { return apic_; }
    void set_local_apic(apic::LocalApic* apic) noexcept override { apic_ = apic; }
    sim::Subject& subject() noexcept override { return subject_; }
    sim::Recorder& recorder() noexcept override { return recorder_; }
    const sim::TimingProfile& timing() const noexcept override { return timing_; }
    sim::Ram& ram() noexcept override { return ram_; }
    mmu::NestedTlb& nested_tlb() noexcept override { return nested_tlb_; }
    std::uint64_t host_tsc() override;

    // --- ArchState ---
    std::uint64_t gpr(unsigned index) const override { return gpr_.at(index); }
    void set_gpr(unsigned index, std::uint64_t value) override { gpr_.at(index) = value; }
    std::uint64_t rip() const override { return rip_; }
    void set_rip(std::uint64_t value) override { rip_ = value; }
    std::uint64_t rflags() const override { return rflags_; }
    void set_rflags(std::uint64_t value) override { rflags_ = value | 2; }
    Segment segment(SegmentName name) const override {
        return segments_[static_cast<unsigned>(name)];
    }
    void set_segment(SegmentName name, const Segment& segment) override {
        segments_[static_cast<unsigned>(name)] = segment;
    }
    TableRegister gdtr() const override { return gdtr_; }
    void set_gdtr(const TableRegister& value) override { gdtr_ = value; }
    TableRegister idtr() const override { return idtr_; }
    void set_idtr(const TableRegister& value) override { idtr_ = value; }
    std::uint64_t cr(unsigned index) const override { return cr_.at(index); }
    void set_cr(unsigned index, std::uint64_t value) override { cr_.at(index) = value; }
    std::uint64_t dr(unsigned index) const override { return dr_.at(index); }
    void set_dr(unsigned index, std::uint64_t value) override { dr_.at(index) = value; }
    std::uint64_t efer() const override { return efer_; }
    void set_efer(std::uint64_t value) override { efer_ = value; }
    std::uint64_t pat() const override { return pat_; }
    void set_pat(std::uint64_t value) override { pat_ = value; }
    std::uint64_t xcr0() const override { return xcr0_; }
    void set_xcr0(std::uint64_t value) override { xcr0_ = value; }
    std::uint64_t native_msr(std::uint32_t msr) const override;
    void set_native_msr(std::uint32_t msr, std::uint64_t value) override;
    std::array<std::uint8_t, 512> fxsave() const override { return fpu_; }
    void fxrstor(const std::array<std::uint8_t, 512>& image) override { fpu_ = image; }
    bool interrupt_shadow() const override { return false; }
    void set_interrupt_shadow(bool) override {}
    bool nmi_blocked() const override { return false; }
    void set_nmi_blocked(bool) override {}
    ActivityState activity() const override { return activity_; }
    void set_activity(ActivityState state) override { activity_ = state; }
    void flush_tlb() override {}

  private:
    bool exits(const Action& action);
    bool exit_instruction(const Action& action);
    bool process_one_event();
    /// False: refused; the nested fault is kept.
    bool translate(std::uint64_t gpa, mmu::Access access, std::uint64_t& system);

    sim::Ram& ram_;
    Bus& bus_;
    const sim::TimingProfile& timing_;
    sim::Recorder& recorder_;
    NativeCoreConfig config_;
    sim::Subject subject_;
    NativeProgram* program_ = nullptr;
    apic::LocalApic* apic_ = nullptr;
    GuestMode* guest_ = nullptr;
    GuestMode* last_guest_ = nullptr;
    mmu::NestedTlb nested_tlb_;

    sim::Time now_ = 0, deadline_ = 0;
    bool stop_requested_ = false, left_guest_ = false;
    bool injection_pending_ = false;
    Event injection_;
    ActivityState activity_ = ActivityState::active;

    std::array<std::uint64_t, engine::kGprCount> gpr_{};
    std::uint64_t rip_ = 0x1000, rflags_ = 0x202;
    std::array<Segment, engine::kSegmentCount> segments_{};
    TableRegister gdtr_, idtr_;
    std::array<std::uint64_t, 9> cr_{};
    std::array<std::uint64_t, 8> dr_{};
    std::uint64_t efer_ = 0, pat_ = 0, xcr0_ = 1;
    std::array<std::uint64_t, 11> msrs_{};
    std::array<std::uint8_t, 512> fpu_{};
};

}  // namespace hvsim::cpu
