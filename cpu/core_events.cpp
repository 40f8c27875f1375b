// What happens between two instructions: injected events, interrupts, NMIs, and what the controls
// of a guest make due there.
#include "cpu/core.h"
#include "cpu/descriptor.h"
#include "cpu/instruction_length.h"

namespace hvsim::cpu {

/// An NMI that reaches the processor now: to the program, or as an exit of its guest.
bool Core::takes_nmi() const {
    if (guest_ != nullptr && extension_ == nullptr) return guest_->exits_on_interrupt();
    if (guest_ != nullptr && guest_->has_virtual_nmis()) return true;
    return !nmi_blocked() && !interrupt_shadow();
}

/// Likewise for a maskable interrupt. A guest of modelled host software never has it delivered.
bool Core::takes_interrupt(bool open) const {
    if (guest_ == nullptr) return open;
    return guest_->exits_on_interrupt() ||
           (extension_ != nullptr && guest_->takes_interrupts(open));
}

/// What is due at this boundary, in the order of priorities (SDM 3A 6.9; APM 2 8.5).
Core::Due Core::due_event() const {
    if (injection_pending_) return Due::injection;
    const bool own = extension_ != nullptr && guest_ != nullptr;
    if (own && guest_->has_due(DueOrder::before_nmi)) return Due::guest_before_nmi;
    if (extension_ != nullptr && extension_->holds_events()) return Due::nothing;
    if (own && activity_ == ActivityState::wait_for_sipi) return Due::nothing;
    const bool open = (engine_->system_flags() & rflags::kIF) != 0 && !interrupt_shadow();
    if (apic_ != nullptr) {
        if (extension_ != nullptr && apic_->has_smi_pending()) return Due::smi;
        if (apic_->has_nmi_pending() && takes_nmi()) return Due::nmi;
    }
    if (own && activity_ == ActivityState::shutdown) return Due::nothing;
    if (own && guest_->has_due(DueOrder::before_interrupts)) return Due::guest_before_interrupts;
    if (apic_ != nullptr) {
        if (interrupt_requested() && takes_interrupt(open)) return Due::interrupt;
    }
    if (guest_ == nullptr) return Due::nothing;
    if (guest_->wants_nmi_window() && !nmi_blocked() && !interrupt_shadow()) return Due::nmi_window;
    if (guest_->wants_interrupt_window() && open) return Due::interrupt_window;
    if (own && guest_->has_due(DueOrder::after_interrupts)) return Due::guest_after_interrupts;
    return Due::nothing;
}

/// Something waits that is not due yet: the next block boundary may be the one.
bool Core::awaits_event() const {
    if (extension_ != nullptr && extension_->holds_events()) return false;  // its end asks again
    if (apic_ != nullptr && (interrupt_requested() || apic_->has_nmi_pending())) return true;
    return guest_ != nullptr && (guest_->wants_interrupt_window() || guest_->wants_nmi_window() ||
                                 guest_->watches_boundaries());
}

/// By the local APIC, or past it by an 8259A: INTR of a guest's own hypervisor only.
bool Core::interrupt_requested() const {
    if (apic_->highest_pending()) return true;
    return (guest_ == nullptr || extension_ != nullptr) && apic_->ext_int_requested();
}

bool Core::exits(ActionKind kind) {
    Action action;
    action.kind = kind;
    return exits(action);
}

/// Delivers the #DB of a breakpoint. An instruction of the handler runs before the next one: a
/// handler with a breakpoint of its own makes no endless loop.
void Core::process_breakpoint() {
    const std::uint64_t hits = activity_ == ActivityState::active ? code_breakpoint_hits() : 0;
    if (hits == 0) return;
    Event event = Event::fault(kDB);
    event.address = hits;
    deliver(event);
}

bool Core::process_one_event() {
    switch (due_event()) {
        case Due::nothing:
            process_breakpoint();
            return false;
        case Due::injection:
            injection_pending_ = false;
            activity_ = ActivityState::active;
            counters_.injections++;
            deliver(injection_, false);
            if (guest_ != nullptr) guest_->boundary_passed();
            return true;
        case Due::smi:
            // DEVIATION: there is no system-management mode: an SMI that does not exit is lost.
            if (!exits(ActionKind::smi)) apic_->take_smi();
            return true;
        case Due::guest_before_nmi:
            guest_->take_due(DueOrder::before_nmi);
            return true;
        case Due::nmi:
            return process_nmi();
        case Due::guest_before_interrupts:
            guest_->take_due(DueOrder::before_interrupts);
            return true;
        case Due::interrupt:
            return process_interrupt();
        case Due::nmi_window:
            return exits(ActionKind::nmi_window);
        case Due::interrupt_window:
            return exits(ActionKind::interrupt_window);
        case Due::guest_after_interrupts:
            guest_->take_due(DueOrder::after_interrupts);
            return true;
    }
    return false;
}

bool Core::process_nmi() {
    if (guest_ != nullptr) {
        if (exits(ActionKind::nmi)) return true;
        if (extension_ == nullptr) return false;
    }
    apic_->nmi_unblocked();
    apic_->take_nmi();
    activity_ = ActivityState::active;
    set_nmi_blocked(true);
    deliver({EventType::nmi, kNmi, false, 0, 0, 0});
    return true;
}

bool Core::process_interrupt() {
    if (guest_ != nullptr && guest_->exits_on_interrupt())
        return exits(ActionKind::external_interrupt);
    deliver_interrupt(acknowledge_interrupt());
    return true;
}

/// The 8259A's request is served first: it does not take part in the local APIC's priorities.
std::uint8_t Core::acknowledge_interrupt() {
    if (!apic_->ext_int_requested()) return apic_->acknowledge(now());
    apic_->take_ext_int();
    return bus_.acknowledge_interrupt(now());
}

void Core::deliver_interrupt(std::uint8_t vector) {
    recorder_.record(sim::EventKind::kInterruptAccepted, now(), subject_, vector,
                     static_cast<std::uint64_t>(apic_->cause(vector)));
    activity_ = ActivityState::active;
    counters_.interrupts++;
    charge(timing_.interrupt_delivery);
    deliver({EventType::external_interrupt, vector, false, 0, 0, 0});
}

// --- single instructions ---

/// What the next instruction needs: a page served by a handler, or to be the only one.
void Core::prepare_instruction() {
    const bool assisted = assist_handler_ != nullptr;
    if (assisted) run_assist();
    const bool traced = last_branches_.enabled() || has_code_breakpoints();
    const bool steps = extension_ != nullptr && guest_ != nullptr && guest_->wants_step();
    if (!traced && !steps) return;
    if (last_branches_.enabled()) look_for_branch();
    // A page that no access can name: its address is not canonical.
    constexpr std::uint64_t kNowhere = std::uint64_t{1} << 62;
    if (!assisted) engine_->run_assisted(kNowhere, 0, *this);
    stepping_ = true;
    poll_ = true;
}

/// An instruction has completed, or an event was delivered instead.
void Core::pass_boundary() {
    if (!stepping_) return;
    stepping_ = false;
    if (branch_.kind == BranchKind::always ||
        (branch_.kind == BranchKind::conditional && rip() != branch_from_ + branch_.length))
        last_branches_.record(branch_from_, rip());
    branch_.kind = BranchKind::none;
    if (extension_ != nullptr && guest_ != nullptr) guest_->boundary_passed();
}

void Core::debug_trap(std::uint64_t bits) {
    engine_->set_dr(6, dr6_);
    if (extension_ != nullptr && guest_ != nullptr && guest_->defers_debug_trap(bits)) return;
    Event trap = Event::fault(kDB);
    trap.address = bits;
    deliver(trap);
}

/// Execution breakpoints in DR0 to DR3 (SDM 3B 18.2.4): while one is enabled, the core runs one
/// instruction at a time.
/// DEVIATION: Breakpoints on data and ports do not match.
void Core::set_dr(unsigned index, std::uint64_t value) {
    engine_->set_dr(index, value);
    if (index == 6) dr6_ = value;
    if (index != 7) return;
    code_breakpoints_ = false;
    for (unsigned i = 0; i < 4; ++i)
        code_breakpoints_ |= (value >> (2 * i) & 3) && !(value >> (16 + 4 * i) & 3);
}

/// DR6.B0 to B3 for the instruction at RIP.
std::uint64_t Core::code_breakpoint_hits() const {
    if (!has_code_breakpoints() || (rflags() & rflags::kRF)) return 0;
    const std::uint64_t dr7 = engine_->dr(7);
    std::uint64_t linear = rip();
    if (!code_mode().long64) linear = (segment(SegmentName::cs).base + linear) & 0xffffffff;
    std::uint64_t hits = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const bool enabled = (dr7 >> (2 * i) & 3) && !(dr7 >> (16 + 4 * i) & 3);
        if (enabled && engine_->dr(i) == linear) hits |= std::uint64_t{1} << i;
    }
    return hits;
}

/// Whether the next instruction is one that the last-branch records tell of.
void Core::look_for_branch() {
    std::array<std::uint8_t, 15> bytes{};
    branch_ = decode_branch(std::span(bytes).first(peek_code(bytes)), code_mode());
    branch_from_ = rip();
}

sim::Time Core::guest_deadline() const noexcept {
    return guest_ != nullptr ? guest_->next_deadline() : sim::kNever;
}

/// Outside a guest, while nothing waits and nothing is watched for.
bool Core::is_quiet() const noexcept {
    return guest_ == nullptr && !injection_pending_ && activity_ == ActivityState::active &&
           (apic_ == nullptr || !apic_->asks_processor()) && !has_code_breakpoints() &&
           !stop_requested_ && !left_guest_;
}

bool Core::process_events() {
    advance_apic();
    if (is_quiet()) {
        poll_ = false;
        return true;
    }
    while (!stop_requested_ && !left_guest_)
        if (!process_one_event()) break;
    if (stop_requested_ || left_guest_) return false;
    if (activity_ != ActivityState::active) {
        // A guest in the shutdown state can still exit.
        stop_ = activity_ == ActivityState::shutdown && guest_ == nullptr ? CoreStop::shutdown
                                                                          : CoreStop::halted;
        return false;
    }
    poll_ = awaits_event();
    return true;
}

// --- the guest's virtualized APIC (SDM 3C 30.4) ---

void Core::access_guest_apic(const engine::Intercept& intercept) {
    const std::uint64_t linear = intercept.fault.linear;
    const auto offset = static_cast<std::uint32_t>(linear & 0xfff);
    const mmu::Access access =
        intercept.fault.access == engine::Access::execute ? mmu::Access::execute
        : intercept.fault.access == engine::Access::write ? mmu::Access::write
                                                          : mmu::Access::read;
    std::array<std::uint8_t, 15> bytes{};
    const InstructionShape shape =
        instruction_shape(std::span(bytes).first(peek_code(bytes)), code_mode());
    assist_linear_ = linear & ~std::uint64_t{0xfff};
    if (engine::MmioHandler* handler = guest_->serve_apic_access(
            offset, access, shape.memory_size == 0 ? 1u : shape.memory_size)) {
        assist(refusal_.physical, *handler);
        return;
    }
    constexpr std::uint64_t kRead = 0, kWrite = 1, kFetch = 2;  // SDM 3C table 28-6
    const std::uint64_t type = access == mmu::Access::execute ? kFetch
                               : access == mmu::Access::write ? kWrite
                                                              : kRead;
    Action action;
    action.kind = ActionKind::apic_access;
    action.instruction_length = shape.length;
    action.linear = linear;
    action.value = offset | type << 12;
    exits(action);
}

}  // namespace hvsim::cpu
