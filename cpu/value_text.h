#pragma once
// Values of registers and control blocks in words: which bits are set, what a number stands for.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cpu/control.h"

namespace hvsim::cpu {

struct BitName {
    std::uint8_t bit;
    std::string_view name;
};

/// The set bits by name, "bit 17" where one has none; "none" for 0.
std::string bits_text(std::span<const BitName> names, std::uint64_t value);
std::string bits_text(std::span<const Control> names, std::uint64_t value);

std::span<const BitName> cr0_bits() noexcept;
std::span<const BitName> cr4_bits() noexcept;
std::string cr0_text(std::uint64_t value);
std::string cr4_text(std::uint64_t value);
std::string efer_text(std::uint64_t value);
std::string rflags_text(std::uint64_t value);
/// "#UD"; by number where it has no name.
std::string vector_text(std::uint64_t vector);

/// A segment's type, S, DPL, P, AVL, L, D/B and G, each at its place in VMX access rights.
std::string access_rights_text(std::uint32_t rights);

/// Which bits of `value` a processor refuses that demands `must_be_one` and allows `may_be_one`:
/// "bit 1 must be 1, bit 40 must be 0"; names where `names` has them.
std::string refused_bits_text(std::span<const Control> names, std::uint64_t value,
                              std::uint64_t must_be_one, std::uint64_t may_be_one);
std::string refused_bits_text(std::span<const BitName> names, std::uint64_t value,
                              std::uint64_t must_be_one, std::uint64_t may_be_one);

}  // namespace hvsim::cpu
