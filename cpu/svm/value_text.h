#pragma once
// Values of VMCB fields in words.
#include <cstdint>
#include <string>

namespace hvsim::cpu::svm {

/// What the value of the field at `offset` stands for: set control bits, register bits, an exit
/// code; empty where the number says it all.
std::string value_text(std::uint16_t offset, std::uint64_t value);

}  // namespace hvsim::cpu::svm
