#include "cpu/vmx/guest_block.h"

namespace hvsim::cpu::vmx {

std::vector<FieldValue> GuestBlock::fields() const {
    constexpr std::uint8_t kBytes[] = {2, 8, 4, 8};  // by FieldWidth
    std::vector<FieldValue> fields;
    for (const FieldDescription& row : kFieldTable)
        fields.push_back({row.name, static_cast<std::uint16_t>(row.encoding()),
                          kBytes[static_cast<unsigned>(row.width())], guest_.read(row.field)});
    return fields;
}

}  // namespace hvsim::cpu::vmx
