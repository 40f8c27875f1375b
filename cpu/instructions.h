#pragma once
// The instructions that the engine hands over: intercepted by a guest's controls, or performed here
// by the manual.
#include "cpu/core.h"
#include "cpu/task_switch.h"

namespace hvsim::cpu {

class Instructions {
  public:
    explicit Instructions(Core& core) : core_(core) {}
    /// RIP is on the instruction, nothing was executed.
    void handle(const engine::Intercept& intercept);

    /// Linear address of the memory operand of the instruction at RIP, and its bytes; false: the
    /// fault was delivered, or the exit performed.
    std::uint64_t operand_linear(const Instruction& in) const;
    bool read_operand(const Instruction& in, std::uint64_t linear, std::uint8_t* data,
                      std::size_t size);
    bool write_operand(std::uint64_t linear, std::uint8_t* data, std::size_t size);

  private:
    void exception(std::uint8_t vector, std::uint32_t error_code);
    bool returns_to_absent_stack(std::uint32_t selector);
    void undefined_opcode();
    void software_interrupt();
    void cpuid();
    void halt();
    void rdpmc();
    void rdtsc();
    void msr(bool write);
    void xsetbv();
    void io(const engine::Intercept& intercept);
    std::uint64_t string_linear(const Instruction& in, const Action& action) const;
    void string_io(const Instruction& in, const Action& action);
    bool io_permitted(std::uint16_t port, unsigned size);
    void control_register(engine::InterceptCode code);
    std::uint64_t written_cr(unsigned number, std::uint64_t value) const;
    void move_to_cr(const Action& action, unsigned length);
    void debug_register(bool write);
    void invlpg();
    void far_transfer(const engine::Intercept& intercept);
    void task_return(const engine::Intercept& intercept);
    void finish_task_switch(const TaskSwitch& task, TaskSwitch::Outcome outcome, unsigned length);
    bool denied_by_umip() const;
    void table_register(engine::InterceptCode code);
    void load_system_segment(const Instruction& in, bool task);
    /// `cost`: time it takes where it is not intercepted.
    void simple(ActionKind kind, sim::Duration cost = 0);
    /// Makes it an exit, or else goes on as told.
    void leave_or(ActionKind kind, void (Instructions::*otherwise)());
    void run_natively();
    void rdrand(const Instruction& in);
    bool absent_from_engine(const Instruction& in);
    void invpcid(const Instruction& in);
    void monitor(const Instruction& in);
    void mwait(const Instruction& in);
    void syscall();
    void sysenter();
    void sysexit();

    bool linear_access(std::uint64_t linear, std::uint8_t* data, std::size_t size,
                       mmu::Access access, bool system);
    bool fetch_intercepted(engine::InterceptCode code);
    const Instruction& fetch() const noexcept { return instruction_; }

    Core& core_;
    Instruction instruction_;  // the intercepted one
};

}  // namespace hvsim::cpu
