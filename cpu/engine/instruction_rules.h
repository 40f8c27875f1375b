#pragma once
// What the architecture demands of an instruction and the library does not ask: looked at when a
// block is translated, so that it costs nothing when the block runs.
#include <cstdint>

namespace hvsim::cpu::engine {

struct InstructionRules {
    /// #UD: a LOCK prefix where none may be, or an instruction that no processor model has; and
    /// SMSW with a register outside 64-bit mode, of which the library knows 16 bits: the client
    /// performs it.
    bool undefined = false;
    /// #GP(0) unless its memory operand of 16 bytes is aligned.
    bool aligned = false;
};

/// Rules for the instruction at `pc`. `fetch` gives its bytes; no more of them are asked for than
/// the library is going to read.
InstructionRules instruction_rules(std::uint64_t pc, bool long64,
                                   std::uint8_t (*fetch)(std::uint64_t address));

}  // namespace hvsim::cpu::engine
