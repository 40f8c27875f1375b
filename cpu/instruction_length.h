#pragma once
// Length and memory operand of any instruction, by the disassembler: for exits of instructions that
// the engine alone has decoded. Slow; not for paths that are taken often.
#include <cstdint>
#include <span>

#include "cpu/decode.h"

namespace hvsim::cpu {

struct InstructionShape {
    std::uint8_t length = 0;       ///< 0: no instruction
    std::uint8_t memory_size = 0;  ///< bytes of its first memory operand, 0: none or unknown
};

InstructionShape instruction_shape(std::span<const std::uint8_t> bytes, CodeMode mode);

}  // namespace hvsim::cpu
