#pragma once
// Instructions as text, for people.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cpu/decode.h"

namespace hvsim::cpu {

/// The first `count` instructions of code that stands at `address`, fewer when the bytes end or are
/// none: "ffffffff81000000  0f 01 c1          vmcall".
std::vector<std::string> disassembly(std::span<const std::uint8_t> bytes, CodeMode mode,
                                     std::uint64_t address, std::size_t count);

}  // namespace hvsim::cpu
