// The two sides of a core whose program runs guests, each with an execution engine.
#include <utility>

#include "cpu/core.h"

namespace hvsim::cpu {

void Core::swap_sides() {
    std::swap(engine_, other_.engine);
    std::swap(cr0_, other_.cr0);
    std::swap(cr4_, other_.cr4);
    std::swap(efer_, other_.efer);
    std::swap(paging_, other_.paging);
    std::swap(pdptes_, other_.pdptes);
    std::swap(large_fills_, other_.large_fills);
    std::swap(optional_, other_.optional);
    std::swap(requested_, other_.requested);
}

void Core::change_sides(engine::Transition transition) {
    const sim::Time time = now();
    const bool first = other_.engine == nullptr;
    if (any_breakpoint_) engine_->set_watchpoints({});
    if (first)
        other_.engine =
            std::make_unique<engine::Engine>(engines_, static_cast<engine::EngineClient&>(*this));
    swap_sides();
    if (first) {
        cr0_ = engine_->cr(0);
        cr4_ = engine_->cr(4);
        efer_ = engine_->efer();
        paging_ = paging_state();
        set_optional_intercepts({});
    }
    engine_->take_shared_state(*other_.engine, transition);
    if (any_breakpoint_) update_breakpoints();
    on_guest_side_ = !on_guest_side_;
    assist_handler_ = nullptr;  // its instruction starts again
    base_ = time - engine_->code_bytes() * ps_per_byte_;
}

void Core::flush_other_side() {
    if (other_.engine == nullptr) return;
    other_.engine->flush_tlb();
    other_.large_fills = 0;
}

void Core::flush_other_side_page(std::uint64_t linear) {
    if (other_.engine == nullptr) return;
    if (other_.large_fills & large_region(linear))
        flush_other_side();
    else
        other_.engine->flush_tlb_page(linear);
}

void Core::flush_guest_tlb() {
    if (on_guest_side_)
        flush_tlb();
    else
        flush_other_side();
}

void Core::flush_guest_tlb_page(std::uint64_t linear) {
    if (on_guest_side_)
        flush_tlb_page(linear);
    else
        flush_other_side_page(linear);
}

void Core::flush_host_tlb_page(std::uint64_t linear) {
    if (on_guest_side_)
        flush_other_side_page(linear);
    else
        flush_tlb_page(linear);
}

void Core::flush_both_sides() {
    flush_tlb();
    flush_other_side();
}

}  // namespace hvsim::cpu
