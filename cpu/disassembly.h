#pragma once
// Instructions as text, for those who read a trace or a report. Nothing of a run depends on it.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cpu/decode.h"
#include "sim/event.h"

namespace hvsim::cpu {

/// The instruction that `code` begins with, in Intel's syntax; its bytes where it is none. Empty
/// when there is no code.
std::string disassemble(const sim::Code& code, std::uint64_t rip);
/// Length of that instruction in bytes; 0: it is none, or goes on behind the code.
std::size_t instruction_size(const sim::Code& code);
/// The first `count` instructions of code that stands at `address`, fewer when the bytes end or are
/// none: "ffffffff81000000  0f 01 c1          vmcall".
std::vector<std::string> disassembly(std::span<const std::uint8_t> bytes, CodeMode mode,
                                     std::uint64_t address, std::size_t count);

}  // namespace hvsim::cpu
