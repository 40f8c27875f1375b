#pragma once
// SVM as the program on a core uses it (APM 2 chapter 15): VMRUN, VMLOAD, VMSAVE, STGI, CLGI,
// VMMCALL, INVLPGA and the MSRs of the extension. Host and guest share the core.
#include <cstdint>

#include "cpu/svm/guest.h"
#include "cpu/svm/host_state.h"
#include "cpu/virtualization.h"

namespace hvsim::cpu::svm {

/// As CPUID announces them.
Features announced_features(const Core& core);

class Operation final : public Virtualization, private HostSoftware {
  public:
    /// `core` outlives this object.
    explicit Operation(Core& core);

    // --- Virtualization ---
    bool execute(const Instruction& instruction) override;
    bool holds_events() const noexcept override { return !gif_; }
    InitOutcome on_init() override;
    void reset(bool init) override;
    bool allows_efer(std::uint64_t value) const noexcept override;
    bool read_msr(std::uint32_t number, std::uint64_t& value, bool& fault) override;
    bool write_msr(std::uint32_t number, std::uint64_t value, bool& fault) override;

    bool gif() const noexcept { return gif_; }
    const Guest& guest() const noexcept { return guest_; }

  private:
    // HostSoftware: the host's program goes on behind its VMRUN.
    bool on_vm_exit(ExecutionCore& core) override;

    bool refuse(std::uint8_t vector, std::uint32_t rule, std::uint64_t value);
    bool check_address(std::uint64_t address);
    bool translate_virtual(std::uint64_t& address, const Instruction& in);
    bool vmmcall(const Instruction& in);
    void vmrun(const Instruction& in, std::uint64_t address);
    void invlpga(std::uint64_t linear, std::uint32_t asid);
    bool ring_doorbell(std::uint64_t value);
    void set_gif(bool value);
    void release_events();
    void end_exit();
    void swap_in_branches();
    void swap_out_branches();
    Host surroundings() const;

    Core& core_;
    Features features_;
    Guest guest_;
    HostState host_;  ///< of the latest VMRUN
    bool gif_ = true;
    bool guest_has_branches_ = false;  ///< LBR virtualization, while a guest runs
    std::uint64_t vm_cr_ = 0, hsave_ = 0, key_ = 0, tsc_ratio_ = kTscRatioOne;
};

}  // namespace hvsim::cpu::svm
