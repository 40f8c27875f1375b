#pragma once
// What the processor checks of a program that uses its virtualization extension: rules are data, so
// that a failure can be told in words and all of them can be listed (docs/fidelity.md).
#include <cstdint>
#include <span>
#include <string_view>

namespace hvsim::cpu {

/// One demand of the manual.
struct Rule {
    std::uint32_t number;
    std::string_view section;  ///< of the extension's manual; with its name where it is another one
    std::string_view field;    ///< what is looked at: by name, or in words where it is several
    std::string_view demand;   ///< what the field has to hold, as a noun phrase
};

/// Rules whose failure has the same outcome.
struct RuleGroup {
    std::string_view what;     ///< "controls at VM entry"
    std::string_view outcome;  ///< "#UD"
    std::span<const Rule> rules;
};

/// The rule and its group; null: no rule has that number.
struct RuleReference {
    const Rule* rule = nullptr;
    const RuleGroup* group = nullptr;
};
constexpr RuleReference find_rule(std::span<const RuleGroup> groups,
                                  std::uint32_t number) noexcept {
    for (const RuleGroup& group : groups)
        for (const Rule& rule : group.rules)
            if (rule.number == number) return {&rule, &group};
    return {};
}
/// Numbers ascend from row to row and group to group, so that none is used twice.
constexpr bool numbers_ascend(std::span<const RuleGroup> groups) noexcept {
    std::uint32_t last = 0;
    for (const RuleGroup& group : groups)
        for (const Rule& rule : group.rules) {
            if (rule.number <= last) return false;
            last = rule.number;
        }
    return true;
}

}  // namespace hvsim::cpu
