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
    assist.pages[0] = {sim::page_base(linear), sim::page_base(physical), &handler};
    assist.count = 1;
}

void Engine::Impl::start_assist() {
    assist.phase = Assist::Phase::armed;
    assist.shadow_was_set = (hflags() & hflag::kInhibitInterrupts) != 0;
    set_hflags(hflags() | hflag::kInhibitInterrupts);
    for (std::size_t i = 0; i < assist.count; ++i)
        empty_tlb_page(assist.pages[i].linear);  // it may be in for reading
}

void Engine::Impl::end_assist(bool completed) {
    assist.phase = Assist::Phase::none;
    for (std::size_t i = 0; i < assist.count; ++i) empty_tlb_page(assist.pages[i].linear);
    // The flag was here for the one instruction; what that sets itself is the client's to find out.
    if (completed || !assist.shadow_was_set) set_hflags(hflags() & ~hflag::kInhibitInterrupts);
}

bool Engine::Impl::fill_assisted(std::uint64_t linear_page, int mmu_index) {
    const Assist::Page* const page = assist.find(linear_page);
    if (page == nullptr) return false;
    library_tlb_used = true;
    const auto window = static_cast<std::uint64_t>(page - assist.pages.data());
    tlb_set_page_x86_64(processor, linear_page, kAssistPage + window * sim::kPageSize,
                        kPageRead | kPageWrite, mmu_index, sim::kPageSize);
    return true;
}

bool Engine::Impl::assist_refused(std::uint64_t linear_page) {
    if (assist.count == 0 || assist.count == Assist::kPages) return false;
    Assist::Page page{linear_page, 0, nullptr};
    page.handler = client.assisting(page.physical);
    if (page.handler == nullptr) return false;
    assist.pages[assist.count++] = page;
    return true;
}

std::uint64_t Engine::Impl::assist_read(std::uint64_t offset, unsigned size) noexcept {
    try {
        const Assist::Page& page = assist.pages[sim::page_of(offset)];
        return page.handler->mmio_read(page.physical + offset % sim::kPageSize, size);
    } catch (...) {
        if (failure == nullptr) failure = std::current_exception();
        return 0;
    }
}

void Engine::Impl::assist_write(std::uint64_t offset, unsigned size, std::uint64_t value) noexcept {
    try {
        const Assist::Page& page = assist.pages[sim::page_of(offset)];
        page.handler->mmio_write(page.physical + offset % sim::kPageSize, size, value);
    } catch (...) {
        if (failure == nullptr) failure = std::current_exception();
    }
}

}  // namespace hvsim::cpu::engine
