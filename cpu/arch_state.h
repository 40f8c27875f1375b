#pragma once
// The register state of one processor core, as VM entry loads and VM exit saves it. Two kinds of
// core have one: a Core around an execution engine, and the NativeCore of software that is
// modelled.
#include <array>
#include <cstdint>

#include "cpu/engine/engine.h"

namespace hvsim::cpu {

using engine::Gpr;
using engine::Segment;
using engine::SegmentName;
using engine::TableRegister;

/// SDM 3C 25.4.2, guest activity state.
enum class ActivityState : std::uint32_t { active = 0, hlt = 1, shutdown = 2, wait_for_sipi = 3 };

class ArchState {
  public:
    virtual ~ArchState() = default;

    virtual std::uint64_t gpr(unsigned index) const = 0;
    virtual void set_gpr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t rip() const = 0;
    virtual void set_rip(std::uint64_t value) = 0;
    virtual std::uint64_t rflags() const = 0;
    virtual void set_rflags(std::uint64_t value) = 0;
    virtual Segment segment(SegmentName name) const = 0;
    virtual void set_segment(SegmentName name, const Segment& segment) = 0;
    virtual TableRegister gdtr() const = 0;
    virtual void set_gdtr(const TableRegister& value) = 0;
    virtual TableRegister idtr() const = 0;
    virtual void set_idtr(const TableRegister& value) = 0;
    virtual std::uint64_t cr(unsigned index) const = 0;  ///< 0, 2, 3, 4, 8
    /// Sets without checks; drops cached translations when CR0, CR3 or CR4 changes the mapping.
    virtual void set_cr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t dr(unsigned index) const = 0;  ///< 0-3, 6, 7
    virtual void set_dr(unsigned index, std::uint64_t value) = 0;
    virtual std::uint64_t efer() const = 0;
    virtual void set_efer(std::uint64_t value) = 0;
    virtual std::uint64_t pat() const = 0;
    virtual void set_pat(std::uint64_t value) = 0;
    virtual std::uint64_t xcr0() const = 0;
    virtual void set_xcr0(std::uint64_t value) = 0;
    /// STAR, LSTAR, CSTAR, FMASK, FS/GS/KernelGS base, TSC_AUX, SYSENTER_*.
    virtual std::uint64_t native_msr(std::uint32_t msr) const = 0;
    virtual void set_native_msr(std::uint32_t msr, std::uint64_t value) = 0;
    virtual std::array<std::uint8_t, 512> fxsave() const = 0;
    virtual void fxrstor(const std::array<std::uint8_t, 512>& image) = 0;

    /// Blocking by STI or by MOV SS, until one instruction has run.
    virtual bool interrupt_shadow() const = 0;
    virtual void set_interrupt_shadow(bool value) = 0;
    virtual bool nmi_blocked() const = 0;
    virtual void set_nmi_blocked(bool value) = 0;
    virtual ActivityState activity() const = 0;
    virtual void set_activity(ActivityState state) = 0;

    virtual void flush_tlb() = 0;

    unsigned cpl() const { return segment(SegmentName::ss).access_rights >> 5 & 3; }
};

}  // namespace hvsim::cpu
