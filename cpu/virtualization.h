#pragma once
// The virtualization extension of a logical processor as the program on it uses it: VMX (SDM 3C
// chapters 24 to 34) or SVM (APM 2 chapter 15). A core has one where its program may execute the
// extension's instructions itself; where a modelled hypervisor performs entries and exits, it has
// none.
#include <cstdint>

namespace hvsim::cpu {

struct Instruction;

/// What becomes of an INIT signal that has reached the processor.
enum class InitOutcome {
    reset,    ///< the processor resets itself, as without the extension
    held,     ///< stays pending in the local APIC (VMX root operation, GIF 0)
    handled,  ///< it became a VM exit, or an exception
};

class Virtualization {
  public:
    virtual ~Virtualization() = default;

    /// Performs an instruction of the extension, RIP on it, the guest's exits and all faults
    /// included: VMXON to VMFUNC, or VMRUN to INVLPGA. False: there is no such instruction as
    /// things are now, and nothing has happened: #UD.
    virtual bool execute(const Instruction& instruction) = 0;

    /// Interrupts, NMIs, SMIs and INITs are held back (GIF 0, APM 2 15.17).
    virtual bool holds_events() const noexcept { return false; }
    /// An INIT is pending in the local APIC; it is taken there for `reset` and `handled` only.
    virtual InitOutcome on_init() { return InitOutcome::reset; }
    /// A start-up IPI has been taken. True: it became an exit of a guest that waited for it.
    virtual bool on_sipi(std::uint8_t) { return false; }
    /// The processor was reset (`init`: by INIT).
    virtual void reset(bool init) = 0;

    /// Whether MOV to CR0 or CR4 may set `value`, which is valid otherwise; false: #GP(0) (bits
    /// that VMX operation fixes).
    virtual bool allows_cr(unsigned, std::uint64_t) const noexcept { return true; }
    /// Whether EFER may become `value` (SVME with SVMDIS); false: #GP(0).
    virtual bool allows_efer(std::uint64_t) const noexcept { return true; }
    /// RDMSR and WRMSR outside of what a guest's bitmaps intercept. True: `msr` is one that the
    /// extension keeps itself and has answered; `fault` tells #GP(0).
    virtual bool read_msr(std::uint32_t, std::uint64_t&, bool&) { return false; }
    virtual bool write_msr(std::uint32_t, std::uint64_t, bool&) { return false; }
};

}  // namespace hvsim::cpu
