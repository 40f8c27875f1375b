// What the controls of an attached guest make due between two instructions: monitor trap flag,
// pending debug exceptions, preemption timer and windows (SDM 3C 26.2, 26.5, 27.7).
#include "cpu/descriptor.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {
namespace {

constexpr std::uint64_t kEnabledBreakpoint = 1u << 12, kSingleStep = 1u << 14;
constexpr std::uint64_t kBreakpoints = 0xf;

}  // namespace

/// After an entry, behind what it injects.
void Guest::start_due_events() {
    const std::uint64_t info = raw(Field::ENTRY_INTERRUPTION_INFO);
    const bool injects = interruption::VALID::test(info);
    const bool injects_trap = injects && interruption::TYPE::get(info) == kInjectPendingTrap;
    monitor_trap_ = injects_trap;
    pending_debug_ = raw(Field::GUEST_PENDING_DEBUG);
    // SDM 3C 27.7.3: an injected event other than a pending trap takes their place.
    if (injects && !injects_trap) pending_debug_ = 0;
    start_apic_virtualization();
    // An INIT that root operation has held back is an exit now.
    if (core_.local_apic() != nullptr && core_.local_apic()->has_init_pending())
        core_.request_stop();
    preemption_.deadline = sim::kNever;
    if (!(pin_ & pin::kPreemptionTimer)) return;
    preemption_.value = raw(Field::PREEMPTION_TIMER_VALUE);
    preemption_.start = core_.host_tsc();
    if (core_.activity() == ActivityState::wait_for_sipi) return;
    const std::uint64_t rest = (((preemption_.start >> kPreemptionTimerRate) + preemption_.value)
                                << kPreemptionTimerRate) -
                               preemption_.start;
    const std::uint64_t ticks = preemption_.value == 0 ? 0 : rest;
    const std::uint64_t hz = core_.timing().clock_tsc_hz;
    preemption_.deadline =
        ticks == 0 ? core_.now() : sim::time_of_ticks(sim::ticks_at(core_.now(), hz) + ticks, hz);
}

/// SDM 3C 26.5.1, 28.3.4: the field keeps what is left.
void Guest::stop_preemption_timer() {
    preemption_.deadline = sim::kNever;
    if (!(pin_ & pin::kPreemptionTimer) || !(exit_controls_ & exit_control::kSavePreemptionTimer))
        return;
    const std::uint64_t passed =
        (core_.host_tsc() >> kPreemptionTimerRate) - (preemption_.start >> kPreemptionTimerRate);
    set_raw(Field::PREEMPTION_TIMER_VALUE,
            passed < preemption_.value ? preemption_.value - passed : 0);
}

Guest::Due Guest::due(DueOrder order) const noexcept {
    const bool shadow = core_.interrupt_shadow();
    if (order == DueOrder::before_nmi) {
        if (trap_.pending) return Due::trap;
        if (monitor_trap_) return Due::monitor_trap;
        if ((pending_debug_ & (kEnabledBreakpoint | kSingleStep)) != 0 && !shadow)
            return Due::debug_exception;
        if (core_.now() >= preemption_.deadline) return Due::preemption_timer;
        if ((primary_ & primary::kNmiWindowExiting) && !core_.nmi_blocked() &&
            !(shadow && mov_ss_) && core_.activity() != ActivityState::wait_for_sipi)
            return Due::nmi_window;
        return Due::nothing;
    }
    const bool open = (core_.rflags() & rflags::kIF) != 0 && !shadow;
    if (order == DueOrder::before_interrupts)
        return open && wants_interrupt_window() ? Due::interrupt_window : Due::nothing;
    return open && virtual_interrupt_ ? Due::virtual_interrupt : Due::nothing;
}

void Guest::take_due(DueOrder order) {
    Action action;
    switch (due(order)) {
        case Due::nothing:
            return;
        case Due::trap:
            trap_.pending = false;
            action.kind = trap_.kind;
            action.value = trap_.value;
            break;
        case Due::virtual_interrupt:
            return deliver_virtual_interrupt();
        case Due::monitor_trap:
            monitor_trap_ = false;
            action.kind = ActionKind::monitor_trap;
            break;
        case Due::debug_exception: {
            Event event = Event::fault(kDB);
            event.address = pending_debug_ & (kBreakpoints | kSingleStep);
            pending_debug_ = 0;
            core_.set_activity(ActivityState::active);
            program_->deliver(event);
            boundary_passed();
            return;
        }
        case Due::preemption_timer:
            action.kind = ActionKind::preemption_timer;
            break;
        case Due::nmi_window:
            action.kind = ActionKind::nmi_window;
            break;
        case Due::interrupt_window:
            action.kind = ActionKind::interrupt_window;
            break;
    }
    program_->exits(action);
}

bool Guest::watches_boundaries() const noexcept {
    constexpr std::uint32_t kWatched = primary::kNmiWindowExiting | primary::kMonitorTrapFlag;
    return program_ != nullptr && (monitor_trap_ || virtual_interrupt_ || trap_.pending ||
                                   pending_debug_ != 0 || (primary_ & kWatched));
}

/// A single-step trap waits among the pending debug exceptions for what comes before it.
bool Guest::defers_debug_trap(std::uint64_t bits) {
    if (program_ == nullptr) return false;
    pending_debug_ |= bits | ((bits & kBreakpoints) != 0 ? kEnabledBreakpoint : 0);
    return true;
}

void Guest::boundary_passed() {
    if (wants_step()) monitor_trap_ = true;  // SDM 3C 26.5.2
}

}  // namespace hvsim::cpu::vmx
