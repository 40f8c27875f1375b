#pragma once
// VMX operation of a logical processor (SDM 3C chapter 24): what the VMX instructions of the
// program on its core do. The current VMCS is a Guest; everything else of a VMCS is in memory.
#include <array>
#include <memory>

#include "cpu/core.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {

class Operation final : public Virtualization, private HostSoftware {
  public:
    /// To be set as the extension of `core`.
    explicit Operation(Core& core);

    bool in_operation() const noexcept { return on_; }
    bool in_guest() const noexcept { return core_.guest_mode() != nullptr; }
    std::uint64_t vmxon_pointer() const noexcept { return vmxon_pointer_; }
    /// All ones: no current VMCS.
    std::uint64_t current_pointer() const noexcept {
        return current_ ? current_->address() : kNoPointer;
    }
    const Guest* current() const noexcept { return current_.get(); }

    // --- Virtualization ---
    bool execute(const Instruction& instruction) override;
    InitOutcome on_init() override;
    bool on_sipi(std::uint8_t vector) override;
    void reset(bool init) override;
    bool allows_cr(unsigned index, std::uint64_t value) const noexcept override;

  private:
    static constexpr std::uint64_t kNoPointer = ~std::uint64_t{0};

    /// The VMX instructions (SDM 3C chapter 31).
    enum class Name : std::uint8_t {
        none,
        vmcall,
        vmlaunch,
        vmresume,
        vmxoff,
        vmfunc,
        vmread,
        vmwrite,
        invept,
        invvpid,
        vmptrld,
        vmclear,
        vmxon,
        vmptrst,
    };
    static Name name_of(const Instruction& in) noexcept;
    static std::uint32_t opcode_of(Name name) noexcept;

    // HostSoftware
    bool on_vm_exit(ExecutionCore& core) override;

    /// A broken rule (spec/rules.h) and what was found; rule 0: none is.
    struct Finding {
        std::uint32_t rule = 0;
        std::uint64_t value = 0;
    };

    // operation.cpp
    Finding undefined_by(Name name) const;
    bool exits(Name name, const Instruction& in);
    void perform(Name name, const Instruction& in);
    void vmxon(const Instruction& in);
    void vmxoff(const Instruction& in);
    void enter(const Instruction& in, bool launch);
    void vmclear(const Instruction& in);
    void vmptrld(const Instruction& in);
    void vmptrst(const Instruction& in);
    Finding keeps_from_operation() const;
    bool is_region_address(std::uint64_t address) const noexcept;
    void make_current(std::uint64_t address);
    // field_instructions.cpp
    void vmread(const Instruction& in);
    void vmwrite(const Instruction& in);
    bool shadowed(Name name, const Instruction& in) const;
    std::uint64_t operand_field(const Instruction& in) const;
    // invalidation.cpp
    void invept(const Instruction& in);
    void invvpid(const Instruction& in);
    bool read_descriptor(const Instruction& in, std::array<std::uint64_t, 2>& descriptor);

    bool read_pointer(const Instruction& in, std::uint64_t& value);
    void succeed(const Instruction& in);
    void fail_invalid(const Instruction& in, Finding finding);
    void fail(const Instruction& in, InstructionError error, Finding finding);
    void set_result(std::uint64_t flags);
    void record_failure(InstructionError error, Finding finding);
    void record_refusal(std::uint8_t vector, Finding finding);
    void refuse(Finding finding);

    Core& core_;
    bool on_ = false;
    std::uint64_t vmxon_pointer_ = kNoPointer;
    std::unique_ptr<Guest> current_;
    GuestSide side_;
};

}  // namespace hvsim::cpu::vmx
