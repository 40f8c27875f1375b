// One instruction with a page served by a handler. The interrupt-shadow flag makes the library
// translate a block of that one instruction (it is part of a block's key, so the page's other
// blocks stay, and the shadow ends with the instruction as it would on hardware); unlike the trap
// flag no instruction can see or store it.
#include <algorithm>

#include "cpu/engine/engine_impl.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {

void Engine::Impl::request_assist(std::uint64_t linear, std::uint64_t physical,
                                  MmioHandler& handler) {
    SIM_ASSERT(assist.phase == Assist::Phase::none || assist.phase == Assist::Phase::requested);
    assist.phase = Assist::Phase::requested;
    assist.linear_page = sim::page_base(linear);
    assist.physical_page = sim::page_base(physical);
    assist.handler = &handler;
}

void Engine::Impl::start_assist() {
    assist.phase = Assist::Phase::armed;
    assist.shadow_was_set = (hflags() & hflag::kInhibitInterrupts) != 0;
    set_hflags(hflags() | hflag::kInhibitInterrupts);
    empty_tlb_page(assist.linear_page);  // the page may be in for reading
}

void Engine::Impl::end_assist(bool completed) {
    assist.phase = Assist::Phase::none;
    empty_tlb_page(assist.linear_page);
    if (!completed && !assist.shadow_was_set) set_hflags(hflags() & ~hflag::kInhibitInterrupts);
}

std::uint64_t Engine::Impl::assist_read(std::uint64_t offset, unsigned size) noexcept {
    try {
        return assist.handler->mmio_read(assist.physical_page + offset % sim::kPageSize, size);
    } catch (...) {
        if (failure == nullptr) failure = std::current_exception();
        return 0;
    }
}

void Engine::Impl::assist_write(std::uint64_t offset, unsigned size, std::uint64_t value) noexcept {
    try {
        assist.handler->mmio_write(assist.physical_page + offset % sim::kPageSize, size, value);
    } catch (...) {
        if (failure == nullptr) failure = std::current_exception();
    }
}

}  // namespace hvsim::cpu::engine
