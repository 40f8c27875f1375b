#include "cpu/svm/vmcb.h"

#include <algorithm>

namespace hvsim::cpu::svm {

std::string_view field_name(std::uint16_t offset) noexcept {
    const auto found = std::find_if(kFieldTable.begin(), kFieldTable.end(),
                                    [offset](const auto& row) { return row.offset == offset; });
    return found == kFieldTable.end() ? std::string_view{} : found->name;
}

std::string_view exit_code_name(std::uint64_t code) noexcept {
    if (code < 0x08) code = 0x00;
    if (code >= 0x10 && code < 0x18) code = 0x10;
    if (code >= 0x20 && code < 0x60) code &= code < 0x40 ? ~std::uint64_t{0xf} : 0x40;
    switch (static_cast<ExitCode>(code)) {
#define HVSIM_EXIT_NAME(name, number) \
    case ExitCode::name:              \
        return "VMEXIT_" #name;
        HVSIM_SVM_EXIT_CODES(HVSIM_EXIT_NAME)
#undef HVSIM_EXIT_NAME
    }
    return {};
}

}  // namespace hvsim::cpu::svm
