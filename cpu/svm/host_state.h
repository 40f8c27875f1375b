#pragma once
// What #VMEXIT gives back to the host of a VMRUN (APM 2 15.5.1, 15.6). The processor need not put
// it into the page that VM_HSAVE_PA names (15.30.4): segments, tables and control registers stay on
// the host's side of the core, the rest is kept here.
#include <cstdint>

#include "cpu/core.h"

namespace hvsim::cpu::svm {

struct HostState {
    std::uint64_t rflags = 0, rip = 0, rsp = 0, rax = 0, pat = 0;
    LastBranches last_branches;  ///< with LBR virtualization
};

/// The state that a VMRUN with `next_rip` behind it saves.
HostState capture_host(Core& core, std::uint64_t next_rip);
/// On the host's side. False: its PDPTEs are invalid; the processor shuts down.
bool load_host(Core& core, const HostState& state);

}  // namespace hvsim::cpu::svm
