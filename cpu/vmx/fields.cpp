#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/region.h"

namespace hvsim::cpu::vmx {
std::string_view field_name(Field field) noexcept {
    const int position = field_position(static_cast<std::uint32_t>(field));
    return position < 0 ? std::string_view{} : kFieldTable[static_cast<std::size_t>(position)].name;
}

bool find_component(const Model& model, std::uint32_t encoding, Field& field, bool& high) noexcept {
    high = ACCESS_HIGH::test(encoding);
    const std::uint32_t full = encoding & ~static_cast<std::uint32_t>(ACCESS_HIGH::kMask);
    if (field_position(full) < 0) return false;
    field = static_cast<Field>(full);
    if (!has_field(model, field)) return false;
    return !high || static_cast<FieldWidth>(FIELD_WIDTH::get(full)) == FieldWidth::bits64;
}

bool read_component(const Model& model, const Region& region, std::uint32_t encoding,
                    std::uint64_t& value) noexcept {
    Field field{};
    bool high = false;
    if (!find_component(model, encoding, field, high)) return false;
    value = region.read(field) >> (high ? 32 : 0);
    return true;
}

bool write_component(const Model& model, Region& region, std::uint32_t encoding,
                     std::uint64_t value) {
    Field field{};
    bool high = false;
    if (!find_component(model, encoding, field, high)) return false;
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
