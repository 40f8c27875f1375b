#include "cpu/svm/host_state.h"

#include "cpu/descriptor.h"
#include "cpu/linear_address.h"

namespace hvsim::cpu::svm {
namespace {

constexpr std::uint64_t kDr7Off = 0x400;

/// The part of the checks of APM 2 15.5.1 that concerns the host.
bool is_consistent(const HostState& state, unsigned physical_bits) {
    const bool long_mode = (state.efer & efer::kLME) && (state.cr0 & cr0::kPG);
    if (state.cr0 >> 32 || (!(state.cr0 & cr0::kCD) && (state.cr0 & cr0::kNW))) return false;
    if (!(state.efer & efer::kSVME) || state.cr3 >> physical_bits) return false;
    if (long_mode && !(state.cr4 & cr4::kPAE)) return false;
    return !long_mode || is_canonical(state.rip);
}

}  // namespace

HostState capture_host(Core& core, std::uint64_t next_rip) {
    HostState state;
    state.cr0 = core.cr(0);
    state.cr3 = core.cr(3);
    state.cr4 = core.cr(4);
    state.efer = core.efer();
    state.rflags = core.rflags();
    state.rip = next_rip;
    state.rsp = core.gpr(engine::kRsp);
    state.rax = core.gpr(engine::kRax);
    const TableRegister gdtr = core.gdtr(), idtr = core.idtr();
    state.gdtr_base = gdtr.base;
    state.gdtr_limit = gdtr.limit;
    state.idtr_base = idtr.base;
    state.idtr_limit = idtr.limit;
    state.pat = core.pat();
    state.last_branches = core.last_branches();
    for (unsigned i = 0; i < state.segments.size(); ++i) {
        const Segment segment = core.segment(static_cast<SegmentName>(i));
        state.segments[i] = {segment.base, segment.limit, segment.access_rights, segment.selector};
    }
    return state;
}

bool load_host(Core& core, const HostState& state) {
    if (!is_consistent(state, core.model().physical_address_bits)) return false;
    std::uint64_t efer_value = state.efer & ~efer::kLMA;
    const std::uint64_t cr0 = state.cr0 | cr0::kPE;
    if ((efer_value & efer::kLME) && (cr0 & cr0::kPG)) efer_value |= efer::kLMA;
    if (core.efer() != efer_value) core.set_efer(efer_value);
    if (core.cr(4) != state.cr4) core.set_cr(4, state.cr4);
    if (core.cr(3) != state.cr3) core.set_cr(3, state.cr3);
    if (core.cr(0) != cr0) core.set_cr(0, cr0);
    core.set_rflags(state.rflags & ~(rflags::kVM | rflags::kRF));
    for (unsigned i = 0; i < state.segments.size(); ++i) {
        const HostState::SavedSegment& saved = state.segments[i];
        const auto name = static_cast<SegmentName>(i);
        Segment segment{static_cast<std::uint16_t>(saved.selector), saved.limit, saved.base,
                        saved.access_rights};
        if (name == SegmentName::ss) segment.access_rights = ar::DPL::set(segment.access_rights, 0);
        if (core.segment(name) != segment) core.set_segment(name, segment);
    }
    core.set_gdtr({state.gdtr_base, static_cast<std::uint16_t>(state.gdtr_limit)});
    core.set_idtr({state.idtr_base, static_cast<std::uint16_t>(state.idtr_limit)});
    core.set_rip(state.rip);
    core.set_gpr(engine::kRsp, state.rsp);
    core.set_gpr(engine::kRax, state.rax);
    core.set_dr(7, kDr7Off);
    core.set_pat(state.pat);
    core.set_interrupt_shadow(false);
    core.set_activity(ActivityState::active);
    return core.reload_pdptes();
}

}  // namespace hvsim::cpu::svm
