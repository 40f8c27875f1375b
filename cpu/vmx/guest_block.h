#pragma once
#include "cpu/control_block.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {

/// The VMCS of a guest.
class GuestBlock final : public ControlBlock {
  public:
    explicit GuestBlock(const Guest& guest) : guest_(guest) {}
    bool is_vmcs() const noexcept override { return true; }
    std::uint64_t address() const noexcept override { return guest_.address(); }
    std::uint64_t exit_reason() const override { return guest_.read(Field::EXIT_REASON) & 0xffff; }
    std::vector<FieldValue> fields() const override;

  private:
    const Guest& guest_;
};

}  // namespace hvsim::cpu::vmx
