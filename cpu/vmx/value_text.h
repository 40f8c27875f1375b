#pragma once
// Values of VMCS fields in words.
#include <string>
#include <string_view>

#include "cpu/vmx/spec/fields.h"

namespace hvsim::cpu::vmx {

/// What the value stands for: set control bits, register bits, an exit reason; empty where the
/// number says it all.
std::string value_text(Field field, std::uint64_t value);
/// SDM 3C 31.4; empty: no such error.
std::string_view instruction_error_text(std::uint64_t error) noexcept;
/// What exactly breaks a rule that is about reserved bits: "bit 1 must be 1"; empty for others.
std::string broken_bits_text(std::uint32_t rule, std::uint64_t value);

}  // namespace hvsim::cpu::vmx
