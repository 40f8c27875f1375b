#include "cpu/decode.h"

namespace hvsim::cpu {
namespace {

constexpr std::size_t kMaxLength = 15;  // SDM 2A 2.3.11

/// Reads on through the bytes of one instruction.
class Cursor {
  public:
    explicit Cursor(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    bool next(std::uint8_t& byte) {
        if (at_ >= bytes_.size() || at_ >= kMaxLength) return false;
        byte = bytes_[at_++];
        return true;
    }
    void back() { --at_; }
    std::uint8_t position() const { return static_cast<std::uint8_t>(at_); }
    bool number(unsigned size, std::int64_t& value) {
        std::uint64_t raw = 0;
        for (unsigned i = 0; i < size; ++i) {
            std::uint8_t byte = 0;
            if (!next(byte)) return false;
            raw |= static_cast<std::uint64_t>(byte) << (8 * i);
        }
        const unsigned shift = 64 - 8 * size;
        value = size == 0 ? 0 : static_cast<std::int64_t>(raw << shift) >> shift;
        return true;
    }

  private:
    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
};

/// Legacy prefixes and REX (SDM 2A 2.1.1, 2.2.1); leaves the cursor behind the opcode's first byte.
bool prefixes(Cursor& cursor, Instruction& in, CodeMode mode, std::uint8_t& first) {
    for (;;) {
        if (!cursor.next(first)) return false;
        switch (first) {
            case 0x66:
                in.operand_prefix = true;
                break;
            case 0x67:
                in.address_override = true;
                break;
            case 0xf0:
                in.lock = true;
                break;
            case 0xf2:
                in.repne = true;
                break;
            case 0xf3:
                in.rep = true;
                break;
            case 0x26:
                in.segment_override = 0;
                break;
            case 0x2e:
                in.segment_override = 1;
                break;
            case 0x36:
                in.segment_override = 2;
                break;
            case 0x3e:
                in.segment_override = 3;
                break;
            case 0x64:
                in.segment_override = 4;
                break;
            case 0x65:
                in.segment_override = 5;
                break;
            default:
                if (mode.long64 && (first & 0xf0) == 0x40) {
                    in.rex = first;
                    return cursor.next(first);
                }
                return true;
        }
    }
}

bool memory_operand16(Cursor& cursor, Instruction& in) {
    static constexpr int kBase[8] = {engine::kRbx, engine::kRbx, engine::kRbp, engine::kRbp,
                                     engine::kRsi, engine::kRdi, engine::kRbp, engine::kRbx};
    static constexpr int kIndex[8] = {engine::kRsi, engine::kRdi, engine::kRsi, engine::kRdi,
                                      -1,           -1,           -1,           -1};
    const unsigned rm = in.modrm & 7;
    in.base = kBase[rm];
    in.index = kIndex[rm];
    unsigned size = in.mod() == 1 ? 1 : in.mod() == 2 ? 2 : 0;
    if (in.mod() == 0 && rm == 6) {
        in.base = -1;
        size = 2;
    }
    return cursor.number(size, in.displacement);
}

bool memory_operand(Cursor& cursor, Instruction& in, CodeMode mode) {
    in.memory = true;
    if (in.address_bits == 16) return memory_operand16(cursor, in);
    unsigned size = in.mod() == 1 ? 1 : in.mod() == 2 ? 4 : 0;
    const unsigned rm = in.modrm & 7;
    if (rm == 4) {  // SIB (SDM 2A table 2-3)
        std::uint8_t sib = 0;
        if (!cursor.next(sib)) return false;
        const int index = (sib >> 3 & 7) | (in.rex & 2 ? 8 : 0);
        in.index = index == 4 ? -1 : index;
        in.scale = 1u << (sib >> 6);
        in.base = (sib & 7) | (in.rex & 1 ? 8 : 0);
        if ((sib & 7) == 5 && in.mod() == 0) {
            in.base = -1;
            size = 4;
        }
    } else if (rm == 5 && in.mod() == 0) {
        in.base = mode.long64 ? 16 : -1;
        size = 4;
    } else {
        in.base = static_cast<int>(in.rm());
    }
    return cursor.number(size, in.displacement);
}

/// Bytes of immediate of the one-byte opcodes that can be intercepted.
unsigned immediate_size(std::uint32_t opcode) {
    switch (opcode) {
        case 0xcd:
        case 0xe4:
        case 0xe5:
        case 0xe6:
        case 0xe7:
            return 1;
        default:
            return 0;
    }
}

bool takes_modrm(std::uint32_t opcode) {
    if (opcode < 0x0f00) return false;
    switch (opcode) {
        case 0x0f05:
        case 0x0f06:
        case 0x0f07:
        case 0x0f08:
        case 0x0f09:
        case 0x0f0b:
        case 0x0f30:
        case 0x0f31:
        case 0x0f32:
        case 0x0f33:
        case 0x0f34:
        case 0x0f35:
        case 0x0f37:
        case 0x0fa2:
        case 0x0faa:
            return false;
        default:
            return true;
    }
}

/// One-byte opcodes that push or pop and name no other memory.
bool only_moves_stack(std::uint8_t opcode) {
    switch (opcode) {
        case 0x68:
        case 0x6a:
        case 0x9c:
        case 0x9d:
        case 0xc2:
        case 0xc3:
        case 0xc8:
        case 0xc9:
        case 0xca:
        case 0xcb:
        case 0xcf:
        case 0xe8:
            return true;
        default:
            return opcode >= 0x50 && opcode <= 0x5f;
    }
}

/// One-byte opcodes of 64-bit mode with a ModRM byte (SDM 2D table A-2).
bool one_byte_takes_modrm(std::uint8_t opcode) {
    switch (opcode) {
        case 0x63:
        case 0x69:
        case 0x6b:
        case 0xc0:
        case 0xc1:
        case 0xc6:
        case 0xc7:
        case 0xf6:
        case 0xf7:
        case 0xfe:
        case 0xff:
            return true;
        default:
            return (opcode < 0x40 && (opcode & 7) < 4) || (opcode >= 0x80 && opcode <= 0x8f) ||
                   (opcode >= 0xd0 && opcode <= 0xd3) || (opcode >= 0xd8 && opcode <= 0xdf);
    }
}

}  // namespace

bool accesses_stack(std::span<const std::uint8_t> bytes, const ArchState& state,
                    std::uint64_t linear) {
    constexpr CodeMode kMode{true, true};
    Instruction in;
    Cursor cursor(bytes);
    std::uint8_t byte = 0;
    if (!prefixes(cursor, in, kMode, byte)) return false;
    const bool two_bytes = byte == 0x0f;
    if (two_bytes) {
        if (!cursor.next(byte)) return false;
        if ((byte & 0xf6) == 0xa0) return true;  // PUSH and POP of FS and GS
        if ((byte == 0x38 || byte == 0x3a) && !cursor.next(byte)) return false;
    } else if (only_moves_stack(byte)) {
        return true;
    } else if (!one_byte_takes_modrm(byte)) {
        return false;
    }
    in.address_bits = in.address_override ? 32 : 64;
    if (!cursor.next(in.modrm)) return false;
    if (in.mod() == 3) return !two_bytes && (byte == 0x8f || byte == 0xff);
    if (!memory_operand(cursor, in, kMode)) return false;
    // POP, CALL and PUSH of a memory operand reach both.
    const unsigned field = in.reg_field();
    const bool also_stack =
        !two_bytes && (byte == 0x8f || (byte == 0xff && (field == 2 || field == 3 || field == 6)));
    constexpr std::uint64_t kWidest = 10;
    if (also_stack && linear - effective_offset(in, state, state.rip()) >= kWidest) return true;
    const bool through_base = in.segment_override >= static_cast<int>(engine::SegmentName::fs);
    return !through_base && (in.base == engine::kRsp || in.base == engine::kRbp);
}

std::optional<Instruction> decode(std::span<const std::uint8_t> bytes, CodeMode mode) {
    Instruction in;
    Cursor cursor(bytes);
    std::uint8_t byte = 0;
    if (!prefixes(cursor, in, mode, byte)) return std::nullopt;
    in.operand16 = in.operand_prefix == mode.default32;
    in.opcode = byte;
    if (byte == 0x0f) {
        if (!cursor.next(byte)) return std::nullopt;
        in.opcode = 0x0f00u | byte;
        if (byte == 0x38 || byte == 0x3a) {
            if (!cursor.next(byte)) return std::nullopt;
            in.opcode = in.opcode << 8 | byte;
        }
    }
    in.address_bits = mode.long64      ? (in.address_override ? 32 : 64)
                      : mode.default32 ? (in.address_override ? 16 : 32)
                                       : (in.address_override ? 32 : 16);
    if (takes_modrm(in.opcode)) {
        in.has_modrm = true;
        if (!cursor.next(in.modrm)) return std::nullopt;
        // MOV to and from control and debug registers ignore mod (SDM 2B MOV).
        const bool register_only = in.opcode >= 0x0f20 && in.opcode <= 0x0f23;
        if (in.mod() != 3 && !register_only && !memory_operand(cursor, in, mode))
            return std::nullopt;
    }
    std::int64_t immediate = 0;
    if (!cursor.number(immediate_size(in.opcode), immediate)) return std::nullopt;
    in.immediate = static_cast<std::uint32_t>(immediate) & 0xff;
    in.length = cursor.position();
    return in;
}

engine::SegmentName operand_segment(const Instruction& in) {
    if (in.segment_override >= 0) return static_cast<engine::SegmentName>(in.segment_override);
    const bool stack = in.base == engine::kRsp || in.base == engine::kRbp;
    return stack ? engine::SegmentName::ss : engine::SegmentName::ds;
}

}  // namespace hvsim::cpu
