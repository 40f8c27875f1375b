#include "cpu/vmx/region.h"

namespace hvsim::cpu::vmx {
namespace {

// Index of a field by (width, type, index): at most 64 of a kind are defined.
constexpr std::size_t kIndexes = 64;
constexpr std::size_t slot(std::uint32_t encoding) {
    return (FIELD_WIDTH::get(encoding) * 4 + FIELD_TYPE::get(encoding)) * kIndexes +
           FIELD_INDEX::get(encoding);
}

constexpr auto make_positions() {
    std::array<std::int16_t, 16 * kIndexes> positions{};
    for (auto& position : positions) position = -1;
    for (std::size_t i = 0; i < kFieldTable.size(); ++i)
        positions[slot(kFieldTable[i].encoding())] = static_cast<std::int16_t>(i);
    return positions;
}
constexpr auto kPositions = make_positions();

}  // namespace

int field_position(std::uint32_t encoding) noexcept {
    constexpr std::uint32_t kDefined = FIELD_INDEX::kMask | FIELD_TYPE::kMask | FIELD_WIDTH::kMask;
    if ((encoding & ~kDefined) != 0 || FIELD_INDEX::get(encoding) >= kIndexes) return -1;
    return kPositions[slot(encoding)];
}

std::string_view field_name(Field field) noexcept {
    const int position = field_position(static_cast<std::uint32_t>(field));
    return position < 0 ? std::string_view{} : kFieldTable[static_cast<std::size_t>(position)].name;
}

bool find_component(std::uint32_t encoding, Field& field, bool& high) noexcept {
    high = ACCESS_HIGH::test(encoding);
    const std::uint32_t full = encoding & ~static_cast<std::uint32_t>(ACCESS_HIGH::kMask);
    if (field_position(full) < 0) return false;
    field = static_cast<Field>(full);
    return !high || static_cast<FieldWidth>(FIELD_WIDTH::get(full)) == FieldWidth::bits64;
}

bool read_component(const Region& region, std::uint32_t encoding, std::uint64_t& value) noexcept {
    Field field{};
    bool high = false;
    if (!find_component(encoding, field, high)) return false;
    value = region.read(field) >> (high ? 32 : 0);
    return true;
}

bool write_component(Region& region, std::uint32_t encoding, std::uint64_t value) {
    Field field{};
    bool high = false;
    if (!find_component(encoding, field, high)) return false;
    if (high) value = (region.read(field) & 0xffffffff) | value << 32;
    region.write(field, value);
    return true;
}

std::string_view exit_reason_name(std::uint32_t reason) noexcept {
    switch (static_cast<ExitReason>(reason & 0xffff)) {
#define HVSIM_EXIT_NAME(name, number) \
    case ExitReason::name:            \
        return #name;
        HVSIM_VMX_EXIT_REASONS(HVSIM_EXIT_NAME)
#undef HVSIM_EXIT_NAME
    }
    return {};
}

}  // namespace hvsim::cpu::vmx
