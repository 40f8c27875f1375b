#pragma once
// INS and OUTS of a guest whose ports its parent emulates: the parent reads the instruction, walks
// the guest's segments and page tables, and moves data between port and memory.
#include <cstdint>
#include <optional>
#include <span>

#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/intercept_messages.h"

namespace hvsim::hv::stack {

/// What an emulated instruction touches.
class StringIoTarget {
  public:
    virtual ~StringIoTarget() = default;
    /// The page behind a linear address, with the rights of the guest's code.
    virtual hc::TranslateResult translate(std::uint64_t linear_page, bool write) = 0;
    /// Guest-physical memory; where there is none, reads give ones and writes are lost.
    virtual void read(std::uint64_t gpa, std::span<std::uint8_t> out) = 0;
    virtual void write(std::uint64_t gpa, std::span<const std::uint8_t> in) = 0;
    virtual std::uint32_t read_port(std::uint16_t port, unsigned size) = 0;
    virtual void write_port(std::uint16_t port, unsigned size, std::uint32_t value) = 0;
    /// Base of a segment that the intercept message has not; hardware encoding.
    virtual std::uint64_t segment_base(unsigned segment) = 0;
};

/// The exception that ends an instruction.
struct StringIoFault {
    std::uint8_t vector = 0;
    std::uint32_t error_code = 0;
    std::uint64_t address = 0;  ///< #PF: for CR2
};

/// Registers as they are after the iterations done.
struct StringIoResult {
    std::uint64_t rip = 0, rcx = 0, rsi = 0, rdi = 0;
    unsigned iterations = 0;
    std::optional<StringIoFault> fault;  ///< in the iteration that `rip` still stands on
};

/// Iterations of one intercept at most: then the guest runs on the same instruction again, so that
/// interrupts can be taken between two of them (SDM 2B REP).
inline constexpr unsigned kStringIoIterations = 256;

/// SDM 2A INS, 2B OUTS. The message's instruction bytes must reach as far as the opcode.
StringIoResult emulate_string_io(const IoPortIntercept& intercept, StringIoTarget& target);

}  // namespace hvsim::hv::stack
