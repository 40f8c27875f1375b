#pragma once
// Delivery of interrupts and exceptions through the IDT (SDM 3A chapter 6).
#include <span>
#include <variant>

#include "cpu/core.h"
#include "cpu/descriptor.h"

namespace hvsim::cpu {

/// One attempt to deliver one event. Registers change only when it succeeds.
class Delivery {
  public:
    explicit Delivery(Core& core) : core_(core) {}

    enum class Outcome { delivered, fault, nested_fault, exited };
    /// `fault` and `nested_fault` leave the reason in fault() or in the core's nested fault.
    Outcome deliver(const Event& event);
    const Event& fault() const noexcept { return fault_; }
    /// It went to a task whose TSS asks for a debug trap.
    bool task_traps() const noexcept { return task_traps_; }

  private:
    struct Target {
        Segment cs;
        std::uint64_t rip = 0;
        bool clears_if = false;
        unsigned cpl = 0;
    };
    bool real_mode(const Event& event);
    bool protected_mode(const Event& event);
    bool long_mode(const Event& event);
    bool task_gate(const Event& event, const Gate& gate);
    bool push_error_code(const Event& event, bool wide);
    bool check_gate(const Event& event, const Gate& gate, std::uint32_t idt_error);
    bool load_code_segment(const Gate& gate, std::uint32_t ext, Target& target);
    bool read_descriptor(std::uint16_t selector, std::uint8_t vector, std::uint32_t error,
                         std::uint64_t& raw);
    bool inner_stack32(unsigned cpl, std::uint32_t ext, Segment& ss, std::uint64_t& sp);
    bool push_frame32(const Event& event, const Target& target, bool gate32, Segment ss,
                      std::uint64_t sp, bool switched);
    void enter(const Event& event, const Target& target);

    bool read(std::uint64_t linear, std::span<std::uint8_t> out);
    bool write(std::uint64_t linear, std::span<const std::uint8_t> in, bool user);
    template <typename T>
    bool read(std::uint64_t linear, T& value) {
        return read(linear, {reinterpret_cast<std::uint8_t*>(&value), sizeof value});
    }
    bool fail(std::uint8_t vector, std::uint32_t error) {
        fault_ = Event::fault(vector, error);
        return false;
    }
    std::uint64_t return_rip(const Event& event) const;
    std::uint64_t pushed_flags(const Event& event) const;

    Core& core_;
    Event fault_;
    bool nested_ = false, exited_ = false, task_traps_ = false;
};

/// How two exceptions combine (SDM 3A 6.15, table 6-5).
enum class Combination { serial, double_fault, shutdown };
Combination combine(std::uint8_t first, EventType first_type, std::uint8_t second);

}  // namespace hvsim::cpu
