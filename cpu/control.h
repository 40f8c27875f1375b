#pragma once
// Words of control bits, by name: for dumps of control blocks and for docs/fidelity.md.
#include <cstdint>
#include <span>
#include <string_view>

namespace hvsim::cpu {

enum class Support : std::uint8_t {
    functional,  ///< does what the manual says
    stored,      ///< may be set, without effect
    absent,      ///< refused by the next entry
};

struct Control {
    std::uint8_t bit;
    std::string_view name;
    Support support;
};

/// The named bits of one field of a control block.
struct ControlWord {
    std::uint16_t field;  ///< encoding in the VMCS, offset in the VMCB
    std::string_view name;
    std::string_view section;  ///< of the extension's manual
    std::span<const Control> bits;
};

constexpr const ControlWord* find_control_word(std::span<const ControlWord> words,
                                               std::uint16_t field) noexcept {
    for (const ControlWord& word : words)
        if (word.field == field) return &word;
    return nullptr;
}

}  // namespace hvsim::cpu
