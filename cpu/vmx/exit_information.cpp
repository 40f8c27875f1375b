// The instruction-information field and the qualification of exits by instructions with operands
// (SDM 3C 28.2.1, 28.2.5, tables 28-8 to 28-14).
#include "cpu/vmx/guest.h"
#include "sim/bits.h"

namespace hvsim::cpu::vmx {
namespace {

using sim::Bits;

// Fields that the tables share.
using SCALING = Bits<1, 0>;
using REG1 = Bits<6, 3>;
using ADDRESS_SIZE = Bits<9, 7>;
using IS_REGISTER = Bits<10>;
using OPERAND_SIZE = Bits<11>;  ///< 1: 32 bits
using SEGMENT = Bits<17, 15>;
using INDEX = Bits<21, 18>;
using INDEX_INVALID = Bits<22>;
using BASE = Bits<26, 23>;
using BASE_INVALID = Bits<27>;
using IDENTITY = Bits<29, 28>;  ///< of a descriptor-table instruction
using REG2 = Bits<31, 28>;

constexpr std::uint32_t address_size(const Instruction& in) noexcept {
    return in.address_bits == 64 ? 2 : in.address_bits == 32 ? 1 : 0;
}

/// The memory operand's part, the same in all tables.
std::uint32_t memory_information(const Instruction& in) {
    std::uint32_t info = 0;
    const std::uint32_t shift = in.scale == 8 ? 3 : in.scale == 4 ? 2 : in.scale == 2 ? 1 : 0;
    info = SCALING::set(info, shift);
    info = ADDRESS_SIZE::set(info, address_size(in));
    info = SEGMENT::set(info, static_cast<std::uint64_t>(operand_segment(in)));
    if (in.index < 0)
        info = INDEX_INVALID::set(info, 1);
    else
        info = INDEX::set(info, static_cast<std::uint64_t>(in.index));
    const bool has_base = in.base >= 0 && in.base < 16;
    if (!has_base)
        info = BASE_INVALID::set(info, 1);
    else
        info = BASE::set(info, static_cast<std::uint64_t>(in.base));
    return info;
}

/// Register or memory operand in r/m; a register goes into REG1.
std::uint32_t rm_information(const Instruction& in) {
    if (in.memory) return memory_information(in);
    return IS_REGISTER::set(REG1::set(0u, in.rm()), 1);
}

}  // namespace

/// Displacement of the memory operand; with RIP-relative addressing the address itself.
std::uint64_t operand_displacement(const Instruction& in, std::uint64_t rip) {
    if (!in.memory) return 0;
    const auto displacement = static_cast<std::uint64_t>(in.displacement);
    return in.base == 16 ? displacement + rip + in.length : displacement;
}

std::uint32_t instruction_information(const Action& action, bool long64) {
    if (action.decoded == nullptr) return 0;
    const Instruction& in = *action.decoded;
    switch (action.kind) {
        case ActionKind::io:
            return SEGMENT::set(ADDRESS_SIZE::set(0u, address_size(in)), action.io.segment);
        case ActionKind::gdtr_idtr_access: {  // SGDT, SIDT, LGDT, LIDT
            const bool wide = !long64 && !in.operand16;
            return OPERAND_SIZE::set(IDENTITY::set(memory_information(in), in.reg_field() & 3),
                                     wide ? 1 : 0);
        }
        case ActionKind::ldtr_tr_access:  // SLDT, STR, LLDT, LTR
            return IDENTITY::set(rm_information(in), in.reg_field() & 3);
        default:
            break;
    }
    switch (in.opcode) {
        case 0x0f78:
        case 0x0f79:
            return REG2::set(rm_information(in), in.reg());
        case 0x0f3880:
        case 0x0f3881:
        case 0x0f3882:
            return REG2::set(memory_information(in), in.reg());
        case 0x0fc7:
            return memory_information(in);
        default:
            return 0;
    }
}

}  // namespace hvsim::cpu::vmx
