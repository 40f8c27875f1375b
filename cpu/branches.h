#pragma once
// Which instructions transfer control, as last-branch records need to know (SDM 3B 18.4; APM 2
// 13.1.6).
#include <cstdint>
#include <span>

#include "cpu/decode.h"

namespace hvsim::cpu {

enum class BranchKind : std::uint8_t { none, always, conditional };

struct Branch {
    BranchKind kind = BranchKind::none;
    std::uint8_t length = 0;  ///< of a conditional one: behind it execution goes on when not taken
};

/// Decodes the instruction at the beginning of `bytes`. INT n and its like are no branches here:
/// their delivery is recorded as that of an event.
Branch decode_branch(std::span<const std::uint8_t> bytes, CodeMode mode) noexcept;

/// A near branch of 64-bit mode: what it does to the stack.
struct NearBranch {
    enum class Kind : std::uint8_t { none, jump, call, ret };
    Kind kind = Kind::none;
    std::uint16_t released = 0;  ///< bytes that RET takes besides the address
};

/// `bytes` are the whole instruction.
NearBranch decode_near_branch(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace hvsim::cpu
