#pragma once
// The architectural state of a virtual processor as the hypervisor reaches it: through VMREAD and
// VMWRITE of its VMCS, loads and stores of its VMCB, or the register file of a native task's
// processor. Three implementations, one meaning.
#include <array>
#include <cstdint>

#include "cpu/engine/engine.h"

namespace hvsim::hv {

using cpu::engine::Segment;
using cpu::engine::SegmentName;
using cpu::engine::TableRegister;

/// An event that the next entry injects (SDM 3C 25.8.3; APM 2 15.20).
struct InjectedEvent {
    enum class Type : std::uint8_t {
        external_interrupt = 0,
        nmi = 2,
        hardware_exception = 3,
        software_interrupt = 4,
        privileged_software_exception = 5,
        software_exception = 6,
    };
    Type type = Type::external_interrupt;
    std::uint8_t vector = 0;
    bool has_error_code = false;
    std::uint32_t error_code = 0;
    std::uint8_t instruction_length = 0;  ///< software events only
};

class VpContext {
  public:
    virtual ~VpContext() = default;

    virtual std::uint64_t gpr(unsigned index) const = 0;  ///< hardware encoding order
    virtual void set_gpr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t rip() const = 0;
    virtual void set_rip(std::uint64_t value) = 0;
    virtual std::uint64_t rflags() const = 0;
    virtual void set_rflags(std::uint64_t value) = 0;
    virtual std::uint64_t cr(unsigned index) const = 0;  ///< 0, 2, 3, 4 as the guest sees them
    virtual void set_cr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t dr(unsigned index) const = 0;  ///< 0-3, 6, 7
    virtual void set_dr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t efer() const = 0;
    virtual void set_efer(std::uint64_t value) = 0;
    virtual Segment segment(SegmentName name) const = 0;
    virtual void set_segment(SegmentName name, const Segment& segment) = 0;
    virtual TableRegister gdtr() const = 0;
    virtual void set_gdtr(const TableRegister& value) = 0;
    virtual TableRegister idtr() const = 0;
    virtual void set_idtr(const TableRegister& value) = 0;
    /// STAR, LSTAR, CSTAR, FMASK, FS/GS/KernelGS base, SYSENTER_*, PAT, TSC_AUX. False: no such.
    virtual bool read_msr(std::uint32_t msr, std::uint64_t& value) const = 0;
    virtual bool write_msr(std::uint32_t msr, std::uint64_t value) = 0;
    virtual std::uint64_t xcr0() const = 0;
    virtual void set_xcr0(std::uint64_t value) = 0;
    virtual std::array<std::uint8_t, 512> fxsave() const = 0;
    virtual void fxrstor(const std::array<std::uint8_t, 512>& image) = 0;

    virtual bool interrupt_shadow() const = 0;
    virtual void set_interrupt_shadow(bool value) = 0;
    /// Halted, as the activity state or the hypervisor's own record says.
    virtual bool halted() const = 0;
    virtual void set_halted(bool value) = 0;
    /// An event that the next entry will inject and that has not been delivered yet.
    virtual bool has_pending_injection() const = 0;
    virtual void inject(const InjectedEvent& event) = 0;
    /// Drops cached translations of this processor (INVEPT/INVVPID, or ASID flush).
    virtual void flush_tlb() = 0;

    unsigned cpl() const { return segment(SegmentName::ss).access_rights >> 5 & 3; }
};

}  // namespace hvsim::hv
