#pragma once
// A virtual processor on VT-x: its VMCS, and what the hypervisor puts into it.
#include "cpu/vmx/guest.h"
#include "hypervisor-model/host/vp_backend.h"

namespace hvsim::hv {

/// Pages that a virtual processor's control structures take from its partition's pool.
struct VmxPages {
    std::uint64_t vmcs = 0, msr_bitmap = 0, io_bitmap_a = 0, io_bitmap_b = 0;  ///< addresses
};

struct VmxBackendConfig {
    std::uint64_t ept_pointer = 0;
    std::uint16_t vpid = 1;
    std::uint64_t host_cr3 = 0;
};

class VmxBackend final : public VpBackend {
  public:
    VmxBackend(const VmxPages& pages, const VmxBackendConfig& config, cpu::ExecutionCore& core,
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
    void invalidate_guest_physical() override { core_.invalidate_nested(); }
    void sync() override { vmcs_.sync(); }
    cpu::ExecutionCore& core() noexcept override { return core_; }

    // --- VpContext ---
    std::uint64_t gpr(unsigned index) const override;
    void set_gpr(unsigned index, std::uint64_t value) override;
    std::uint64_t rip() const override { return vmcs_.read(Field::GUEST_RIP); }
    void set_rip(std::uint64_t value) override { vmcs_.write(Field::GUEST_RIP, value); }
    std::uint64_t rflags() const override { return vmcs_.read(Field::GUEST_RFLAGS); }
    void set_rflags(std::uint64_t value) override { vmcs_.write(Field::GUEST_RFLAGS, value); }
    std::uint64_t cr(unsigned index) const override;
    void set_cr(unsigned index, std::uint64_t value) override;
    std::uint64_t dr(unsigned index) const override;
    void set_dr(unsigned index, std::uint64_t value) override;
    std::uint64_t efer() const override { return vmcs_.read(Field::GUEST_EFER); }
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
    void flush_tlb() override { core_.flush_tlb(); }

  private:
    using Field = cpu::vmx::Field;

    void write_controls(const VmxPages& pages, const VmxBackendConfig& config);
    void write_host_state(const VmxBackendConfig& config);
    void write_cr0(std::uint64_t value);
    void update_ia32e_control();

    cpu::ExecutionCore& core_;
    cpu::vmx::Guest vmcs_;
    bool launched_ = false;
    bool halted_ = false;
    void set_primary_control(std::uint32_t control, bool wanted);

    bool window_ = false, nmi_window_ = false;
};

}  // namespace hvsim::hv
