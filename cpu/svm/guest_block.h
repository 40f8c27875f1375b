#pragma once
#include "cpu/control_block.h"
#include "cpu/svm/vmcb.h"

namespace hvsim::cpu::svm {

/// A VMCB in memory, which holds everything at a #VMEXIT.
class GuestBlock final : public ControlBlock {
  public:
    explicit GuestBlock(const Vmcb& vmcb) : vmcb_(vmcb) {}
    bool is_vmcs() const noexcept override { return false; }
    std::uint64_t address() const noexcept override { return vmcb_.address(); }
    std::uint64_t exit_reason() const override { return vmcb_.get(vmcb::EXITCODE); }
    std::vector<FieldValue> fields() const override;

  private:
    const Vmcb& vmcb_;
};

}  // namespace hvsim::cpu::svm
