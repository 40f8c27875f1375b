#include "cpu/branches.h"

namespace hvsim::cpu {
namespace {

constexpr bool is_legacy_prefix(std::uint8_t byte) noexcept {
    switch (byte) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x66:
        case 0x67:
        case 0xf0:
        case 0xf2:
        case 0xf3:
            return true;
        default:
            return false;
    }
}

}  // namespace

Branch decode_branch(std::span<const std::uint8_t> bytes, CodeMode mode) noexcept {
    std::size_t at = 0;
    bool operand_override = false;
    for (; at < bytes.size() && is_legacy_prefix(bytes[at]); ++at)
        operand_override |= bytes[at] == 0x66;
    if (mode.long64 && at < bytes.size() && (bytes[at] & 0xf0) == 0x40) ++at;
    if (at >= bytes.size()) return {};
    const std::uint8_t opcode = bytes[at];
    const auto conditional = [at](unsigned behind) {
        return Branch{BranchKind::conditional, static_cast<std::uint8_t>(at + behind)};
    };
    constexpr Branch kAlways{BranchKind::always, 0};
    if (opcode == 0x0f) {
        if (at + 1 >= bytes.size()) return {};
        const std::uint8_t second = bytes[at + 1];
        if ((second & 0xf0) == 0x80) {  // Jcc with a displacement of 16 or 32 bits
            const bool wide = mode.long64 || mode.default32 != operand_override;
            return conditional(wide ? 6 : 4);
        }
        const bool system_call =
            second == 0x05 || second == 0x07 || second == 0x34 || second == 0x35;
        return system_call ? kAlways : Branch{};
    }
    if ((opcode & 0xf0) == 0x70 || (opcode >= 0xe0 && opcode <= 0xe3)) return conditional(2);
    switch (opcode) {
        case 0xe8:
        case 0xe9:
        case 0xeb:
        case 0xc2:
        case 0xc3:
        case 0xca:
        case 0xcb:
        case 0xcf:
            return kAlways;
        case 0x9a:
        case 0xea:
            return mode.long64 ? Branch{} : kAlways;
        case 0xff: {
            const unsigned field = at + 1 < bytes.size() ? bytes[at + 1] >> 3 & 7 : 0;
            return field >= 2 && field <= 5 ? kAlways : Branch{};
        }
        default:
            return {};
    }
}

NearBranch decode_near_branch(std::span<const std::uint8_t> bytes) noexcept {
    std::size_t at = 0;
    while (at < bytes.size() && is_legacy_prefix(bytes[at])) ++at;
    if (at < bytes.size() && (bytes[at] & 0xf0) == 0x40) ++at;
    const auto byte = [&](std::size_t i) { return at + i < bytes.size() ? bytes[at + i] : 0u; };
    using Kind = NearBranch::Kind;
    switch (byte(0)) {
        case 0xc3:
            return {Kind::ret, 0};
        case 0xc2:
            return {Kind::ret, static_cast<std::uint16_t>(byte(1) | byte(2) << 8)};
        case 0xe8:
            return {Kind::call, 0};
        case 0xe9:
        case 0xeb:
        case 0xe3:
            return {Kind::jump, 0};
        case 0xff: {
            const unsigned field = byte(1) >> 3 & 7;
            return {field == 2 ? Kind::call : field == 4 ? Kind::jump : Kind::none, 0};
        }
        case 0x0f:
            return {(byte(1) & 0xf0) == 0x80 ? Kind::jump : Kind::none, 0};
        default:
            return {(byte(0) & 0xf0) == 0x70 ? Kind::jump : Kind::none, 0};
    }
}

}  // namespace hvsim::cpu
