#include "cpu/instruction_length.h"

#include <capstone/capstone.h>

namespace hvsim::cpu {

InstructionShape instruction_shape(std::span<const std::uint8_t> bytes, CodeMode mode) {
    InstructionShape shape;
    const cs_mode bits = mode.long64 ? CS_MODE_64 : mode.default32 ? CS_MODE_32 : CS_MODE_16;
    csh handle = 0;
    if (cs_open(CS_ARCH_X86, bits, &handle) != CS_ERR_OK) return shape;
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    cs_insn* instruction = nullptr;
    if (cs_disasm(handle, bytes.data(), bytes.size(), 0, 1, &instruction) == 1) {
        shape.length = static_cast<std::uint8_t>(instruction->size);
        const cs_x86& x86 = instruction->detail->x86;
        for (unsigned i = 0; i < x86.op_count; ++i)
            if (x86.operands[i].type == X86_OP_MEM && shape.memory_size == 0)
                shape.memory_size = x86.operands[i].size;
        cs_free(instruction, 1);
    }
    cs_close(&handle);
    return shape;
}

}  // namespace hvsim::cpu
