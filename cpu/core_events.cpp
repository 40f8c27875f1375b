// What happens between two instructions: injected events, interrupts, NMIs, and what the controls
// of a guest make due there.
#include <vector>

#include "cpu/branches.h"
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
    if (held_debug_bits_ != 0 && !holds_debug_) return Due::held_debug_trap;
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
        case Due::held_debug_trap:
            debug_trap(0);
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
    const bool traps_branches = (rflags() & rflags::kTF) != 0 && traps_branches_only();
    const bool traced = last_branches_.enabled() || step_next_ || holds_debug_ || traps_branches;
    const bool steps = extension_ != nullptr && guest_ != nullptr && guest_->wants_step();
    step_next_ = false;
    if (!traced && !steps) return;
    if (last_branches_.enabled() || traps_branches) look_for_branch();
    stepped_from_ = linear_rip();
    stepped_flags_ = rflags();
    // A page that no access can name: its address is not canonical.
    constexpr std::uint64_t kNowhere = std::uint64_t{1} << 62;
    if (!assisted) engine_->run_assisted(kNowhere, 0, *this);
    stepping_ = true;
    poll_ = true;
}

/// An instruction has completed, or an event was delivered instead.
void Core::pass_boundary(bool completed) {
    if (!stepping_) return;
    stepping_ = false;
    if (completed)
        renew_shadow();
    else
        stack_shadow_ = false;
    forget_breakpoint_pages();
    holds_debug_ = false;
    took_branch_ = branch_.kind == BranchKind::always || (branch_.kind == BranchKind::conditional &&
                                                          rip() != branch_from_ + branch_.length);
    if (took_branch_) last_branches_.record(branch_from_, rip());
    branch_.kind = BranchKind::none;
    if (extension_ != nullptr && guest_ != nullptr) guest_->boundary_passed();
}

/// A near branch to an address that is not canonical faults before it does anything (SDM 2A CALL,
/// JMP, RET); the engine has branched. The branch is the last instruction of the block before.
void Core::undo_branch(const engine::Intercept& intercept) {
    const std::uint32_t size = intercept.fault.previous_bytes;
    if (size == 0 || rip() != intercept.fault.linear) return;
    std::vector<std::uint8_t> code(size);
    const std::uint64_t begin = intercept.fault.previous_block;
    if (!peek_linear(begin, code, mmu::Access::execute)) return;
    std::span<const std::uint8_t> last(code);
    for (;;) {
        const unsigned length = instruction_shape(last, code_mode()).length;
        if (length == 0) return;
        if (length == last.size()) break;
        last = last.subspan(length);
    }
    const std::uint64_t rsp = gpr(engine::kRsp);
    switch (const NearBranch branch = decode_near_branch(last); branch.kind) {
        case NearBranch::Kind::none:
            return;
        case NearBranch::Kind::jump:
            break;
        case NearBranch::Kind::call:
            set_gpr(engine::kRsp, rsp + 8);
            break;
        case NearBranch::Kind::ret:
            set_gpr(engine::kRsp, rsp - 8 - branch.released);
            break;
    }
    set_rip(begin + static_cast<std::uint64_t>(last.data() - code.data()));
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
           (apic_ == nullptr || !apic_->asks_processor()) && !code_breakpoints_ && !holds_debug_ &&
           held_debug_bits_ == 0 &&
           !stop_requested_ && !left_guest_;
}

void Core::arm_monitor(std::uint64_t linear) {
    const mmu::WalkResult at = walk(linear, {mmu::Access::read, cpl() == 3, false});
    monitor_ = {};
    if (at.outcome != mmu::WalkOutcome::ok) return;
    monitor_.line = at.system_physical & ~std::uint64_t{Monitor::kLine - 1};
    // Only memory can be watched (SDM 2B MONITOR: write-back).
    monitor_.armed = ram_.read_bytes(monitor_.line, monitor_.content);
}

/// Without an armed monitor MWAIT is a no-operation; one that has triggered is not armed any more.
void Core::wait_on_memory(bool breaks_on_interrupts) {
    if (!monitor_.armed) return;
    activity_ = ActivityState::hlt;
    monitor_.waiting = true;
    monitor_.breaks_on_interrupts = breaks_on_interrupts;
    monitor_.armed = false;
}

/// A wait by MWAIT ends with a store to the line, or with an interrupt that is masked if it asked
/// for that (SDM 2B MWAIT).
void Core::end_memory_wait() {
    if (!waits_on_memory()) return;
    const bool interrupt =
        monitor_.breaks_on_interrupts && apic_ != nullptr && interrupt_requested();
    if (interrupt || memory_wait_is_over()) set_activity(ActivityState::active);
}

/// DEVIATION: a store that leaves the line as it was ends no wait; one by another processor or a
/// device is seen when that one's turn is over (within a quantum).
bool Core::memory_wait_is_over() const {
    if (!waits_on_memory()) return false;
    std::array<std::uint8_t, Monitor::kLine> now{};
    return ram_.read_bytes(monitor_.line, now) && now != monitor_.content;
}

bool Core::process_events() {
    advance_apic();
    end_memory_wait();
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
