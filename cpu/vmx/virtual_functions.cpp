// Actions of an attached guest that its controls virtualize, or forbid, without an exit.
#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {
namespace {

constexpr std::uint32_t kVmfunc = 0x0f01d4;

}  // namespace

/// Such an action: it does not reach the architecture behind the guest.
bool Guest::serves(const Action& action) const noexcept {
    if (program_ == nullptr) return false;
    switch (action.kind) {
        case ActionKind::cr_read:
            return action.number == 8 && (primary_ & primary::kTprShadow) &&
                   !(primary_ & primary::kCr8StoreExiting);
        case ActionKind::cr_write:
            return action.number == 8 && (primary_ & primary::kTprShadow) &&
                   !(primary_ & primary::kCr8LoadExiting);
        case ActionKind::rdmsr:
            return virtualizes_msr(action.msr, false) && !in_msr_bitmap(action.msr, false);
        case ActionKind::wrmsr:
            return virtualizes_msr(action.msr, true) && !in_msr_bitmap(action.msr, true);
        case ActionKind::rdtscp:
            return !uses(secondary::kRdtscp);
        case ActionKind::invpcid:
            return !uses(secondary::kInvpcid);
        case ActionKind::vmx_instruction:
            return action.opcode == kVmfunc;
        case ActionKind::external_interrupt:
            return (pin_ & pin::kPostedInterrupts) != 0;
        default:
            return false;
    }
}

/// False: it is an exit after all.
bool Guest::serve(const Action& action) {
    switch (action.kind) {
        case ActionKind::cr_read:
        case ActionKind::cr_write:
            access_virtual_cr8(action);
            return true;
        case ActionKind::rdmsr:
            read_virtual_msr(action);
            return true;
        case ActionKind::wrmsr:
            write_virtual_msr(action);
            return true;
        case ActionKind::rdtscp:
        case ActionKind::invpcid:
            program_->raise(kUD);
            return true;
        case ActionKind::external_interrupt:
            return process_posted_interrupts();
        case ActionKind::vmx_instruction:
            if (!switch_eptp()) return false;
            program_->complete_instruction(action.instruction_length);
            return true;
        default:
            return false;
    }
}

/// VMFUNC leaf 0 (SDM 3C 26.5.6.3). False: exit.
bool Guest::switch_eptp() {
    const std::uint64_t leaf = core_.gpr(engine::kRax) & 0xffffffff;
    const std::uint64_t index = core_.gpr(engine::kRcx) & 0xffffffff;
    if (leaf != 0 || !(raw(Field::VM_FUNCTION_CONTROLS) & kEptpSwitching) || index >= 512)
        return false;
    std::uint64_t eptp = 0;
    core_.ram().read(raw(Field::EPTP_LIST_ADDRESS) + 8 * index, eptp);
    if (!is_valid_eptp(core_.model(), eptp)) return false;
    set_raw(Field::EPT_POINTER, eptp);
    stage_.root = eptp;
    hold_mappings();
    return true;
}

bool Guest::PageLog::append(std::uint64_t guest_physical) {
    constexpr std::uint64_t kEntries = 512;
    const std::uint64_t index = guest_.raw(Field::PML_INDEX);
    if (index >= kEntries) return false;
    guest_.core_.ram().write(guest_.raw(Field::PML_ADDRESS) + 8 * index,
                             guest_physical & ~std::uint64_t{0xfff});
    guest_.set_raw(Field::PML_INDEX, index - 1);
    return true;
}

}  // namespace hvsim::cpu::vmx
