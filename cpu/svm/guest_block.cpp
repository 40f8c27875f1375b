#include "cpu/svm/guest_block.h"

namespace hvsim::cpu::svm {

std::vector<FieldValue> GuestBlock::fields() const {
    std::vector<FieldValue> fields;
    for (const FieldDescription& row : kFieldTable) {
        FieldValue field{row.name, row.offset, row.width, 0};
        std::array<std::uint8_t, sizeof field.value> bytes{};
        vmcb_.ram().read_bytes(vmcb_.address() + row.offset, {bytes.data(), row.width});
        for (unsigned i = 0; i < row.width; ++i)
            field.value |= static_cast<std::uint64_t>(bytes[i]) << 8 * i;
        fields.push_back(field);
    }
    return fields;
}

}  // namespace hvsim::cpu::svm
