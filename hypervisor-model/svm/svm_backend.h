#pragma once
// A virtual processor on AMD-V: its VMCB, and what the hypervisor puts into it.
#include "cpu/svm/guest.h"
#include "hypervisor-model/host/vp_backend.h"

namespace hvsim::hv {

/// Memory that a virtual processor's control structures take from its partition's pool; addresses.
struct SvmPages {
    std::uint64_t vmcb = 0;
    std::uint64_t msr_permission_map = 0;  ///< two contiguous pages
    std::uint64_t io_permission_map = 0;   ///< three contiguous pages
};

struct SvmBackendConfig {
    std::uint64_t nested_cr3 = 0;
    std::uint32_t asid = 1;
    std::uint8_t physical_address_bits = 48;
};

class SvmBackend final : public VpBackend {
  public:
    SvmBackend(const SvmPages& pages, const SvmBackendConfig& config, cpu::ExecutionCore& core,
               cpu::HostSoftware& host);

    // --- VpBackend ---
    void load(apic::LocalApic& apic) override { core_.set_local_apic(&apic); }
    EntryReport enter() override;
    ExitInfo exit_info() const override;
    void skip_instruction(unsigned length) override;
    void request_interrupt_window(bool wanted) override;
    void request_nmi_window(bool wanted) override;
    bool emulate_cr_access(const ExitInfo& exit, apic::LocalApic& virtual_apic) override;
    void set_tsc_offset(std::uint64_t offset) override;
    void exit_when_spinning(bool wanted) override;
    void invalidate_guest_physical() override { flush_tlb(); }
    void sync() override;
    cpu::ExecutionCore& core() noexcept override { return core_; }

    // --- VpContext ---
    std::uint64_t gpr(unsigned index) const override;
    void set_gpr(unsigned index, std::uint64_t value) override;
    std::uint64_t rip() const override { return get(cpu::svm::vmcb::RIP); }
    void set_rip(std::uint64_t value) override { set(cpu::svm::vmcb::RIP, value); }
    std::uint64_t rflags() const override { return get(cpu::svm::vmcb::RFLAGS); }
    void set_rflags(std::uint64_t value) override { set(cpu::svm::vmcb::RFLAGS, value); }
    std::uint64_t cr(unsigned index) const override;
    void set_cr(unsigned index, std::uint64_t value) override;
    std::uint64_t dr(unsigned index) const override;
    void set_dr(unsigned index, std::uint64_t value) override;
    std::uint64_t efer() const override;
    void set_efer(std::uint64_t value) override;
    Segment segment(SegmentName name) const override;
    void set_segment(SegmentName name, const Segment& segment) override;
    TableRegister gdtr() const override;
    void set_gdtr(const TableRegister& value) override;
    TableRegister idtr() const override;
    void set_idtr(const TableRegister& value) override;
    bool read_msr(std::uint32_t msr, std::uint64_t& value) const override;
    bool write_msr(std::uint32_t msr, std::uint64_t value) override;
    std::uint64_t xcr0() const override { return core_.xcr0(); }
    void set_xcr0(std::uint64_t value) override { core_.set_xcr0(value); }
    std::array<std::uint8_t, 512> fxsave() const override { return core_.fxsave(); }
    void fxrstor(const std::array<std::uint8_t, 512>& image) override { core_.fxrstor(image); }
    bool interrupt_shadow() const override;
    void set_interrupt_shadow(bool value) override;
    bool halted() const override { return halted_; }
    void set_halted(bool value) override { halted_ = value; }
    bool has_pending_injection() const override;
    void inject(const InjectedEvent& event) override;
    void flush_tlb() override;

  private:
    void write_controls(const SvmPages& pages, const SvmBackendConfig& config);
    /// Loads and stores of the VMCB; a guest that has been entered is brought up to date around
    /// them.
    template <typename T>
    T get(cpu::svm::FieldAt<T> field) const {
        if (guest_.in_guest()) guest_.sync();
        return guest_.vmcb().get(field);
    }
    template <typename T>
    void set(cpu::svm::FieldAt<T> field, T value) {
        const bool entered = guest_.in_guest();
        if (entered) guest_.sync();
        guest_.vmcb().set(field, value);
        if (entered) guest_.adopt();
    }

    cpu::ExecutionCore& core_;
    mutable cpu::svm::Guest guest_;
    std::uint32_t clean_ = 0;  ///< what has not changed since the last VMRUN
    bool flush_due_ = false;   ///< the next VMRUN drops the ASID's translations
    bool halted_ = false;
    void set_window();

    bool interrupt_window_ = false, nmi_window_ = false;
    bool window_ = false;  ///< as VINTR has it
};

}  // namespace hvsim::hv
