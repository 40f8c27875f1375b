// VMREAD and VMWRITE, of the current VMCS or in a guest of the shadow VMCS (SDM 3C 25.10, 31.3).
#include <cstring>

#include "cpu/instructions.h"
#include "cpu/vmx/operation.h"

namespace hvsim::cpu::vmx {

/// The register operand that names a field: 64 bits in 64-bit mode, else 32.
std::uint64_t Operation::operand_field(const Instruction& in) const {
    const std::uint64_t value = core_.gpr(in.reg());
    return core_.code_mode().long64 ? value : value & 0xffffffff;
}

/// Whether a guest's VMREAD or VMWRITE is left to the shadow VMCS (SDM 3C 26.1.3).
bool Operation::shadowed(Name name, const Instruction& in) const {
    if (!current_->uses(secondary::kVmcsShadowing)) return false;
    const std::uint64_t field = operand_field(in);
    if (field >> 15 != 0) return false;
    const Region vmcs(core_.ram(), current_pointer());
    const std::uint64_t bitmap = vmcs.read(name == Name::vmread ? Field::VMREAD_BITMAP_ADDRESS
                                                                : Field::VMWRITE_BITMAP_ADDRESS);
    std::uint8_t byte = 0xff;
    core_.ram().read(bitmap + field / 8, byte);
    return (byte >> (field & 7) & 1) == 0;
}

void Operation::vmread(const Instruction& in) {
    const bool guest = in_guest();
    if (!current_) return fail_invalid(in, {523, kNoPointer});
    Region region(core_.ram(), current_pointer());
    if (guest) {
        const std::uint64_t link = region.read(Field::VMCS_LINK_POINTER);
        if (link == kNoPointer) return fail_invalid(in, {525, link});
        region = Region(core_.ram(), link);
    }
    const std::uint64_t encoding = operand_field(in);
    std::uint64_t value = 0;
    if (encoding >> 32 != 0 ||
        !read_component(core_.model(), region, static_cast<std::uint32_t>(encoding), value))
        return fail(in, InstructionError::unsupported_component, {541, encoding});
    const bool long64 = core_.code_mode().long64;
    if (!in.memory) {
        core_.set_gpr(in.rm(), long64 ? value : value & 0xffffffff);
    } else {
        Instructions instructions(core_);
        if (!instructions.write_operand(instructions.operand_linear(in),
                                        reinterpret_cast<std::uint8_t*>(&value), long64 ? 8 : 4))
            return;
    }
    succeed(in);
}

void Operation::vmwrite(const Instruction& in) {
    const bool guest = in_guest();
    if (!current_) return fail_invalid(in, {523, kNoPointer});
    Region region(core_.ram(), current_pointer());
    if (guest) {
        const std::uint64_t link = region.read(Field::VMCS_LINK_POINTER);
        if (link == kNoPointer) return fail_invalid(in, {525, link});
        region = Region(core_.ram(), link);
    }
    const bool long64 = core_.code_mode().long64;
    std::uint64_t value = 0;
    if (!in.memory) {
        value = long64 ? core_.gpr(in.rm()) : core_.gpr(in.rm()) & 0xffffffff;
    } else {
        Instructions instructions(core_);
        if (!instructions.read_operand(in, instructions.operand_linear(in),
                                       reinterpret_cast<std::uint8_t*>(&value), long64 ? 8 : 4))
            return;
    }
    const std::uint64_t encoding = operand_field(in);
    const auto component = static_cast<std::uint32_t>(encoding);
    const bool written =
        encoding >> 32 == 0 &&
        (guest ? write_component(core_.model(), region, component, value)
               : current_->write_encoded(component, value) == InstructionError::none);
    if (!written) return fail(in, InstructionError::unsupported_component, {541, encoding});
    succeed(in);
}

}  // namespace hvsim::cpu::vmx
