#include "cpu/engine/instruction_rules.h"

#include <array>
#include <initializer_list>

namespace hvsim::cpu::engine {
namespace {

/// A set of opcode bytes.
class Opcodes {
  public:
    struct Range {
        std::uint8_t first, last;
        constexpr Range(std::uint8_t only) : first(only), last(only) {}  // NOLINT: a list of both
        constexpr Range(std::uint8_t from, std::uint8_t to) : first(from), last(to) {}
    };
    constexpr Opcodes(std::initializer_list<Range> ranges) {
        for (const Range& range : ranges)
            for (unsigned byte = range.first; byte <= range.last; ++byte)
                bits_[byte / 64] |= std::uint64_t{1} << (byte % 64);
    }
    constexpr bool has(std::uint8_t byte) const {
        return (bits_[byte / 64] >> (byte % 64) & 1) != 0;
    }

  private:
    std::array<std::uint64_t, 4> bits_{};
};

// SSE instructions with a memory operand of 16 bytes that must be aligned (SDM 2A 2.4, exceptions
// type 1, 2 and 4 of the legacy forms), by map and mandatory prefix. Not MOVUPS, MOVUPD, MOVDQU,
// LDDQU and PCMPxSTRx.
constexpr Opcodes kPlain0f{{0x14, 0x15}, {0x28, 0x29}, 0x2b, {0x51, 0x59},
                           {0x5b, 0x5f}, 0xc2,         0xc6};
constexpr Opcodes k660f{{0x14, 0x15}, {0x28, 0x29}, {0x2b, 0x2d}, {0x51},       {0x54, 0x6d},
                        {0x6f, 0x70}, {0x74, 0x76}, {0x7c, 0x7d}, 0x7f,         0xc2,
                        0xc6,         {0xd0, 0xd5}, {0xd8, 0xef}, {0xf1, 0xf6}, {0xf8, 0xfe}};
constexpr Opcodes kF30f{0x12, 0x16, 0x5b, 0x70};
constexpr Opcodes kF20f{0x70, {0x7c, 0x7d}, 0xd0, 0xe6};
constexpr Opcodes k660f38{{0x00, 0x0b}, 0x10,         {0x14, 0x15}, 0x17,
                          {0x1c, 0x1e}, {0x28, 0x2b}, {0x37, 0x41}, {0xdb, 0xdf}};
constexpr Opcodes kPlain0f38{{0xc8, 0xcd}};
constexpr Opcodes k660f3a{{0x08, 0x09}, {0x0c, 0x0f}, {0x40, 0x42}, 0x44, 0xdf};

// What may have a LOCK prefix, with a memory destination (SDM 2A "LOCK").
constexpr Opcodes kLockable{{0x00, 0x01}, {0x08, 0x09}, {0x10, 0x11}, {0x18, 0x19},
                            {0x20, 0x21}, {0x28, 0x29}, {0x30, 0x31}, {0x80, 0x83},
                            {0x86, 0x87}, {0xf6, 0xf7}, {0xfe, 0xff}};
constexpr Opcodes kLockable0f{0xab, 0xb0, 0xb1, 0xb3, {0xba, 0xbb}, {0xc0, 0xc1}, 0xc7};

/// Whether the opcode extension in ModRM.reg is one of those that may.
bool is_lockable(bool two_bytes, std::uint8_t opcode, unsigned reg) {
    if (two_bytes) return opcode == 0xba ? reg >= 5 : opcode != 0xc7 || reg == 1;
    switch (opcode) {
        case 0x80:
        case 0x81:
        case 0x82:
        case 0x83:
            return reg != 7;
        case 0xf6:
        case 0xf7:
            return reg == 2 || reg == 3;
        case 0xfe:
        case 0xff:
            return reg <= 1;
        default:
            return true;
    }
}

struct Prefixes {
    bool lock = false, operand = false;
    std::uint8_t repeat = 0;  ///< the last of F2 and F3
};

bool is_aligned(const Prefixes& prefixes, std::uint8_t map, std::uint8_t opcode) {
    const bool plain = prefixes.repeat == 0 && !prefixes.operand;
    const bool with66 = prefixes.repeat == 0 && prefixes.operand;
    if (map == 0x38) return (with66 && k660f38.has(opcode)) || (plain && kPlain0f38.has(opcode));
    if (map == 0x3a) return with66 && k660f3a.has(opcode);
    if (prefixes.repeat == 0xf3) return kF30f.has(opcode);
    if (prefixes.repeat == 0xf2) return kF20f.has(opcode);
    return with66 ? k660f.has(opcode) : kPlain0f.has(opcode);
}

/// Reads the prefixes and leaves `at` behind the opcode's first byte, which it returns.
std::uint8_t read_prefixes(std::uint64_t& at, bool long64, std::uint8_t (*fetch)(std::uint64_t),
                           Prefixes& prefixes) {
    constexpr unsigned kMost = 14;  // an instruction has 15 bytes at most
    for (unsigned i = 0;; ++i) {
        const std::uint8_t byte = fetch(at++);
        switch (byte) {
            case 0x66:
                prefixes.operand = true;
                break;
            case 0xf0:
                prefixes.lock = true;
                break;
            case 0xf2:
            case 0xf3:
                prefixes.repeat = byte;
                break;
            case 0x26:
            case 0x2e:
            case 0x36:
            case 0x3e:
            case 0x64:
            case 0x65:
            case 0x67:
                break;
            default:
                if (!long64 || (byte & 0xf0) != 0x40) return byte;
        }
        if (i >= kMost) return 0x90;  // too long: the library refuses it
    }
}

}  // namespace

InstructionRules instruction_rules(std::uint64_t pc, bool long64,
                                   std::uint8_t (*fetch)(std::uint64_t address)) {
    Prefixes prefixes;
    std::uint64_t at = pc;
    std::uint8_t opcode = read_prefixes(at, long64, fetch, prefixes);
    const bool two_bytes = opcode == 0x0f;
    std::uint8_t map = 0;
    if (two_bytes) {
        opcode = fetch(at++);
        if (opcode == 0x38 || opcode == 0x3a) {
            map = opcode;
            opcode = fetch(at++);
        }
    }
    InstructionRules rules;
    if (prefixes.lock) {
        // MOV CR0 with LOCK can mean CR8 (APM 3 MOV CRn): that the client decides.
        if (two_bytes && map == 0 && (opcode == 0x20 || opcode == 0x22)) return rules;
        const bool may = map == 0 && (two_bytes ? kLockable0f : kLockable).has(opcode);
        const std::uint8_t modrm = may ? fetch(at) : 0xc0;
        rules.undefined = !may || modrm >= 0xc0 || !is_lockable(two_bytes, opcode, modrm >> 3 & 7);
        return rules;
    }
    if (!two_bytes) return rules;
    // TPAUSE, UMONITOR, UMWAIT.
    if (map == 0 && opcode == 0xae && (prefixes.operand || prefixes.repeat != 0)) {
        rules.undefined = (fetch(at) & 0xf8) == 0xf0;
        return rules;
    }
    if (map == 0 && opcode == 0x01 && !long64) {
        rules.undefined = (fetch(at) & 0xf8) == 0xe0;
        return rules;
    }
    rules.aligned = is_aligned(prefixes, map, opcode);
    return rules;
}

}  // namespace hvsim::cpu::engine
