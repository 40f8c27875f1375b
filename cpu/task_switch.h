#pragma once
// Hardware task switches (SDM 3A chapter 8; APM 2 chapter 12): JMP and CALL to a TSS or task gate,
// IRET with NT set, and task gates in the IDT. Protected mode only: in IA-32e mode they are #GP.
#include <array>
#include <span>

#include "cpu/core.h"
#include "cpu/descriptor.h"

namespace hvsim::cpu {

/// What asks for it: values of bits 31:30 of the exit qualification (SDM 3C table 28-2).
enum class TaskSource : std::uint8_t { call = 0, iret = 1, jump = 2, gate = 3 };

/// One attempt. Until the new task has the processor a fault leaves everything as it was; what is
/// wrong with the segments of the new task shows in its own context (SDM 3A 8.3, table 8-1).
class TaskSwitch {
  public:
    /// `event`: what goes through a task gate of the IDT, else nullptr.
    TaskSwitch(Core& core, TaskSource source, const Event* event = nullptr)
        : core_(core), source_(source), event_(event) {}

    enum class Outcome { done, fault, nested_fault, exited };
    /// To the task of a TSS, or of the task gate, that JMP or CALL names.
    Outcome to_selector(std::uint16_t selector, std::uint64_t next_rip);
    /// To the task that the current TSS's link names.
    Outcome to_previous(std::uint64_t next_rip);
    /// To the task of a gate that has been checked. `flags`: the image of RFLAGS to save.
    Outcome to_gate(const Gate& gate, std::uint64_t next_rip, std::uint64_t flags);

    const Event& fault() const noexcept { return fault_; }
    /// The new task's TSS has its T bit set: a #DB is due before its first instruction.
    bool traps() const noexcept { return traps_; }
    /// The new task's TSS has 32 bits.
    bool is_wide() const noexcept { return wide_; }

    /// Whether a far JMP or CALL to `selector` names a TSS or a task gate.
    static bool is_task(Core& core, std::uint16_t selector);

  private:
    struct Registers {
        std::uint32_t cr3 = 0, eip = 0, eflags = 0;
        std::array<std::uint32_t, 8> gpr{};
        std::array<std::uint16_t, 6> segments{};  // in encoding order
        std::uint16_t ldt = 0;
    };

    Outcome finish(bool done) const noexcept;
    bool switch_to(std::uint16_t selector, std::uint64_t next_rip, std::uint64_t flags);
    bool find_tss(std::uint16_t selector);
    bool exits(std::uint16_t selector, std::uint64_t next_rip, std::uint64_t flags);
    bool read_new_state(Registers& state);
    bool prepare_writes(std::uint16_t old_selector, const Segment& old);
    bool save_old_state(const Segment& old, std::uint64_t next_rip, std::uint64_t flags);
    bool set_busy(std::uint16_t selector, bool busy);
    void load_registers(const Registers& state);
    bool load_segments(const Registers& state);
    bool load_ldt(std::uint16_t selector);
    bool load_code(std::uint16_t selector);
    bool load_stack(std::uint16_t selector, unsigned cpl);
    bool load_data(SegmentName name, std::uint16_t selector, unsigned cpl);

    bool descriptor_at(std::uint16_t selector, std::uint8_t vector, std::uint64_t& raw);
    bool access(std::uint64_t linear, std::span<std::uint8_t> bytes, mmu::Access kind);
    bool probe_write(std::uint64_t linear, std::size_t size);
    bool fail(std::uint8_t vector, std::uint16_t selector);

    Core& core_;
    TaskSource source_;
    const Event* event_;
    Segment new_tss_;
    bool wide_ = false, traps_ = false, nested_ = false, exited_ = false;
    Event fault_;
};

}  // namespace hvsim::cpu
