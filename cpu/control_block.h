#pragma once
// A VMCS or VMCB by its fields, for those who want to look at it while a machine runs.
#include <cstdint>
#include <string_view>
#include <vector>

namespace hvsim::cpu {

class ExecutionCore;

struct FieldValue {
    std::string_view name;
    std::uint16_t number = 0;  ///< encoding in the VMCS, offset in the VMCB
    std::uint8_t bytes = 8;
    std::uint64_t value = 0;
};

/// The control block of an exit or of an entry that failed.
class ControlBlock {
  public:
    virtual ~ControlBlock() = default;
    virtual bool is_vmcs() const noexcept = 0;
    virtual std::uint64_t address() const noexcept = 0;
    /// Basic exit reason, or EXITCODE.
    virtual std::uint64_t exit_reason() const = 0;
    /// All fields in the order of their numbers, with the state that the processor still holds.
    virtual std::vector<FieldValue> fields() const = 0;
};

/// Is shown control blocks when they hold all that the processor has written there, and before the
/// host software goes on. It changes nothing and takes no time.
class ControlBlockWatch {
  public:
    virtual ~ControlBlockWatch() = default;
    virtual void on_exit(ExecutionCore& core, const ControlBlock& block) = 0;
    /// By a rule of VM entry (spec/rules.h).
    virtual void on_failed_entry(ExecutionCore& core, const ControlBlock& block) = 0;
};

}  // namespace hvsim::cpu
