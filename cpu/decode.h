#pragma once
// Decoding of the instructions that can be intercepted: their length and operands. (Everything else
// is executed by the engine and never looked at; explanations come from the disassembler.)
#include <cstdint>
#include <optional>
#include <span>

#include "cpu/arch_state.h"

namespace hvsim::cpu {

/// Sizes that CS gives instructions (SDM 1 3.3): default operand and address size, 64-bit mode.
struct CodeMode {
    bool long64 = false;
    bool default32 = false;
};

/// One decoded instruction.
struct Instruction {
    std::uint8_t length = 0;
    std::uint32_t opcode = 0;  ///< 0xf4, 0x0f20, ...; without prefixes
    std::uint8_t modrm = 0;
    bool has_modrm = false;
    bool operand_prefix = false, operand16 = false;  ///< 66, and what it makes of the operand size
    bool address_override = false, rep = false, repne = false, lock = false;
    std::uint8_t rex = 0;
    int segment_override = -1;  ///< SegmentName value, or -1
    std::uint32_t immediate = 0;

    // Memory operand: base + index*scale + displacement; -1 = none, 16 = RIP.
    bool memory = false;
    int base = -1, index = -1;
    unsigned scale = 1;
    std::int64_t displacement = 0;
    unsigned address_bits = 64;

    unsigned mod() const noexcept { return modrm >> 6; }
    unsigned reg() const noexcept { return (modrm >> 3 & 7) | (rex & 4 ? 8u : 0u); }
    unsigned reg_field() const noexcept { return modrm >> 3 & 7; }
    unsigned rm() const noexcept { return (modrm & 7) | (rex & 1 ? 8u : 0u); }
};

/// Decodes `bytes` (up to 15). Empty when they are too few for the instruction, or too many.
std::optional<Instruction> decode(std::span<const std::uint8_t> bytes, CodeMode mode);

/// Offset part of the memory operand's address, truncated to the address size. `next_rip` is the
/// address behind the instruction.
template <typename State>
std::uint64_t effective_offset(const Instruction& in, const State& state, std::uint64_t next_rip) {
    std::uint64_t offset = static_cast<std::uint64_t>(in.displacement);
    if (in.base == 16)
        offset += next_rip;
    else if (in.base >= 0)
        offset += state.gpr(static_cast<unsigned>(in.base));
    if (in.index >= 0) offset += state.gpr(static_cast<unsigned>(in.index)) * in.scale;
    if (in.address_bits == 64) return offset;
    return offset & ((std::uint64_t{1} << in.address_bits) - 1);
}

/// In 64-bit mode: whether the data access of the instruction in `bytes` that failed at the linear
/// address `linear` goes through SS, so that a non-canonical address is #SS and not #GP (SDM 1
/// 3.7.4, 3A 6.15 "interrupt 12"). `state` is that before the instruction.
bool accesses_stack(std::span<const std::uint8_t> bytes, const ArchState& state,
                    std::uint64_t linear);

/// The segment that the memory operand uses (SDM 1 3.7.4).
engine::SegmentName operand_segment(const Instruction& in);

}  // namespace hvsim::cpu
