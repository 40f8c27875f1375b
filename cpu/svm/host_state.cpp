#include "cpu/svm/host_state.h"

#include "cpu/descriptor.h"

namespace hvsim::cpu::svm {
namespace {

constexpr std::uint64_t kDr7Off = 0x400;

}  // namespace

HostState capture_host(Core& core, std::uint64_t next_rip) {
    return {.rflags = core.rflags(),
            .rip = next_rip,
            .rsp = core.gpr(engine::kRsp),
            .rax = core.gpr(engine::kRax),
            .pat = core.pat(),
            .last_branches = core.last_branches()};
}

bool load_host(Core& core, const HostState& state) {
    core.set_rflags(state.rflags & ~rflags::kRF);
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
