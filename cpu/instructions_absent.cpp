// Instructions that the engine lacks and the processor models have: they come as #UD.
#include <cstring>

#include "cpu/instructions.h"
#include "cpu/linear_address.h"
#include "cpu/msr_file.h"

namespace hvsim::cpu {
namespace {

constexpr std::uint32_t kMonitor = 0x0f01c8, kMwait = 0x0f01c9, kInvpcid = 0x0f3882;

std::uint32_t full_opcode(const Instruction& in) {
    return in.opcode == 0x0f01 && in.mod() == 3 ? in.opcode << 8 | in.modrm : in.opcode;
}

}  // namespace

/// Performs the instruction if it is one of these and the processor has it.
bool Instructions::absent_from_engine(const Instruction& in) {
    const std::uint32_t opcode = full_opcode(in);
    const bool prefixed = in.lock || in.rep || in.repne;
    if (opcode == kInvpcid) {
        constexpr std::uint32_t kFeature = 1u << 10;  // CPUID.7.0:EBX
        if (prefixed || !in.operand16 || !in.memory || !(core_.model().features_7_ebx & kFeature))
            return false;
        invpcid(in);
        return true;
    }
    if (opcode != kMonitor && opcode != kMwait) return false;
    const bool allowed = core_.cpl() == 0 || core_.msrs().monitor_for_users();
    if (prefixed || !core_.msrs().monitor_enabled() || !allowed) return false;
    if (opcode == kMonitor)
        monitor(in);
    else
        mwait(in);
    return true;
}

/// SDM 2A INVPCID, 3A 4.10.4.1; APM 3 INVPCID.
void Instructions::invpcid(const Instruction& in) {
    if (core_.cpl() != 0) return core_.raise(kGP);
    const bool long64 = core_.code_mode().long64;
    Action action;
    action.kind = ActionKind::invpcid;
    action.instruction_length = in.length;
    action.decoded = &in;
    action.linear = operand_linear(in);
    action.value = long64 ? core_.gpr(in.reg()) : core_.gpr(in.reg()) & 0xffffffff;
    if (core_.exits(action)) return;
    std::array<std::uint64_t, 2> descriptor{};
    if (!read_operand(in, action.linear, reinterpret_cast<std::uint8_t*>(descriptor.data()),
                      sizeof descriptor))
        return;
    enum Type : std::uint64_t { one_address, one_pcid, all_and_global, all };
    const auto [pcid, address] = descriptor;
    const bool needs_pcid = action.value == one_address || action.value == one_pcid;
    if (action.value > all || pcid >> 12 != 0 ||
        (needs_pcid && pcid != 0 && !(core_.cr(4) & cr4::kPCIDE)) ||
        (action.value == one_address && !is_canonical(address)))
        return core_.raise(kGP);
    if (action.value == one_address)
        core_.flush_tlb_page(address);
    else
        core_.flush_tlb();
    core_.complete_instruction(in.length);
}

/// SDM 2B MONITOR; APM 3 MONITOR. No extensions or hints (ECX, EDX).
void Instructions::monitor(const Instruction& in) {
    Action action;
    action.kind = ActionKind::monitor;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    if ((core_.gpr(engine::kRcx) & 0xffffffff) != 0) return core_.raise(kGP);
    const auto name =
        in.segment_override >= 0 ? static_cast<SegmentName>(in.segment_override) : SegmentName::ds;
    const bool long64 = core_.code_mode().long64;
    const bool based = !long64 || name == SegmentName::fs || name == SegmentName::gs;
    std::uint64_t linear = core_.gpr(engine::kRax);
    if (in.address_bits < 64) linear &= (std::uint64_t{1} << in.address_bits) - 1;
    if (based) linear += core_.segment(name).base;
    if (!long64) linear &= 0xffffffff;
    // It faults as a load of one byte does.
    std::uint8_t byte = 0;
    if (!linear_access(linear, &byte, sizeof byte, mmu::Access::read, false)) return;
    core_.arm_monitor(linear);
    core_.complete_instruction(in.length);
}

/// SDM 2B MWAIT; APM 3 MWAIT. The hint in EAX is any: all states are entered and left alike.
void Instructions::mwait(const Instruction& in) {
    constexpr std::uint32_t kBreakOnInterrupts = 1;
    const auto extensions = static_cast<std::uint32_t>(core_.gpr(engine::kRcx));
    Action action;
    action.kind = ActionKind::mwait;
    action.instruction_length = in.length;
    action.value = core_.monitor_armed() ? 1 : 0;
    if (core_.exits(action)) return;
    if ((extensions & ~kBreakOnInterrupts) != 0) return core_.raise(kGP);
    core_.wait_on_memory((extensions & kBreakOnInterrupts) != 0);
    core_.complete_instruction(in.length);
}

}  // namespace hvsim::cpu
