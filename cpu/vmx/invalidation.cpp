// INVEPT and INVVPID (SDM 3C 29.4.3.1, 31.3).
#include <array>

#include "cpu/instructions.h"
#include "cpu/linear_address.h"
#include "cpu/vmx/operation.h"

namespace hvsim::cpu::vmx {
namespace {

enum class InveptType : std::uint64_t { single_context = 1, all_contexts = 2 };
enum class InvvpidType : std::uint64_t {
    individual_address = 0,
    single_context = 1,
    all_contexts = 2,
    single_context_but_globals = 3,
};

}  // namespace

bool Operation::read_descriptor(const Instruction& in, std::array<std::uint64_t, 2>& descriptor) {
    Instructions instructions(core_);
    return instructions.read_operand(in, instructions.operand_linear(in),
                                     reinterpret_cast<std::uint8_t*>(descriptor.data()),
                                     sizeof descriptor);
}

void Operation::invept(const Instruction& in) {
    const std::uint64_t type = operand_field(in);
    if (type != static_cast<std::uint64_t>(InveptType::single_context) &&
        type != static_cast<std::uint64_t>(InveptType::all_contexts))
        return fail(in, InstructionError::invalid_operand_to_invept_invvpid, {544, type});
    std::array<std::uint64_t, 2> descriptor{};
    if (!read_descriptor(in, descriptor)) return;
    const std::uint64_t eptp = descriptor[0];
    if (type == static_cast<std::uint64_t>(InveptType::single_context)) {
        if (!is_valid_eptp(core_.model(), eptp))
            return fail(in, InstructionError::invalid_operand_to_invept_invvpid, {545, eptp});
        core_.nested_tlb().invalidate_root(eptp);
        if (mmu::NestedTlb::same_tables(eptp, side_.mappings.eptp)) core_.flush_guest_tlb();
    } else {
        core_.nested_tlb().invalidate_all();
        core_.flush_guest_tlb();
    }
    succeed(in);
}

void Operation::invvpid(const Instruction& in) {
    const std::uint64_t type = operand_field(in);
    if (type > static_cast<std::uint64_t>(InvvpidType::single_context_but_globals))
        return fail(in, InstructionError::invalid_operand_to_invept_invvpid, {546, type});
    std::array<std::uint64_t, 2> descriptor{};
    if (!read_descriptor(in, descriptor)) return;
    const bool address = type == static_cast<std::uint64_t>(InvvpidType::individual_address);
    const bool all = type == static_cast<std::uint64_t>(InvvpidType::all_contexts);
    Finding finding;
    if (descriptor[0] >> 16 != 0)
        finding = {547, descriptor[0]};
    else if (!all && descriptor[0] == 0)
        finding = {548, 0};
    else if (address && !is_canonical(descriptor[1]))
        finding = {549, descriptor[1]};
    if (finding.rule != 0)
        return fail(in, InstructionError::invalid_operand_to_invept_invvpid, finding);
    // VPID 0000H, the host's and that of guests without VPIDs, keeps its mappings.
    if (all || descriptor[0] == side_.mappings.vpid) {
        if (address)
            core_.flush_guest_tlb_page(descriptor[1]);
        else
            core_.flush_guest_tlb();
    }
    succeed(in);
}

}  // namespace hvsim::cpu::vmx
