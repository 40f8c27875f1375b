#pragma once
// What VMRUN keeps of its host in the page that VM_HSAVE_PA names, and #VMEXIT loads from there
// (APM 2 15.5.1, 15.6). The page's layout is the processor's own.
#include <array>
#include <cstdint>

#include "cpu/core.h"

namespace hvsim::cpu::svm {

struct HostState {
    struct SavedSegment {
        std::uint64_t base = 0;
        std::uint32_t limit = 0, access_rights = 0;
        std::uint64_t selector = 0;
    };
    std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
    std::uint64_t rflags = 0, rip = 0, rsp = 0, rax = 0;
    std::uint64_t gdtr_base = 0, gdtr_limit = 0, idtr_base = 0, idtr_limit = 0;
    std::uint64_t pat = 0;
    LastBranches last_branches;            ///< with LBR virtualization
    std::array<SavedSegment, 4> segments;  ///< ES, CS, SS, DS
};
static_assert(std::has_unique_object_representations_v<HostState>);

/// The state that a VMRUN with `next_rip` behind it saves.
HostState capture_host(Core& core, std::uint64_t next_rip);
/// False: the state is inconsistent and nothing was loaded; the processor shuts down.
bool load_host(Core& core, const HostState& state);

}  // namespace hvsim::cpu::svm
