// Accesses that are reported. The library sends those to a page with a watchpoint to its slow path;
// an instruction that meets one starts again, alone, so that the report comes right behind it.
#include "cpu/engine/engine_impl.h"

namespace hvsim::cpu::engine {

void Engine::set_watchpoints(const Watchpoints& watchpoints) {
    impl_->set_watchpoints(watchpoints);
}

void Engine::Impl::set_watchpoints(const Watchpoints& wanted) {
    if (wanted == watchpoints) return;
    const auto forget = [this](const Watchpoints& all) {
        for (const Watchpoint& watchpoint : all)
            if (watchpoint.enabled) empty_tlb_page(watchpoint.linear);
    };
    forget(watchpoints);
    watchpoints = wanted;
    forget(watchpoints);
    watching = false;
    for (const Watchpoint& watchpoint : watchpoints) watching |= watchpoint.enabled;
}

bool Engine::Impl::meets_watchpoint(std::uint64_t address, std::uint64_t size,
                                    bool write) noexcept {
    std::uint32_t met = 0;
    bool enabled = false;
    for (std::size_t i = 0; i < watchpoints.size(); ++i) {
        const Watchpoint& watchpoint = watchpoints[i];
        if (watchpoint.bytes == 0 || !(write ? watchpoint.writes : watchpoint.reads)) continue;
        // Either may wrap around the end of the address space.
        if (address - watchpoint.linear >= watchpoint.bytes && watchpoint.linear - address >= size)
            continue;
        met |= 1u << i;
        enabled |= watchpoint.enabled;
    }
    if (met == 0) return false;
    if (assist.phase == Assist::Phase::running) {
        watchpoints_met |= enabled || watchpoints_met != 0 ? met : 0;
        return false;
    }
    return enabled;
}

/// The next instruction, with no page served.
void Engine::Impl::run_alone() {
    assist.phase = Assist::Phase::requested;
    assist.count = 0;
}

}  // namespace hvsim::cpu::engine
