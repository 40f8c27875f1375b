// Interrupts and NMIs of a guest, physical and virtual, and what the processor does for it without
// a #VMEXIT (APM 2 15.13, 15.21, 15.33).
#include <optional>

#include "cpu/descriptor.h"
#include "cpu/svm/guest.h"

namespace hvsim::cpu::svm {

bool Guest::exits_on_interrupt() const noexcept {
    if (!controls_.intercepts(ExitCode::INTR)) return false;
    if (vintr::V_INTR_MASKING::test(controls_.vintr)) return surroundings_.interrupts;
    return (core_.rflags() & rflags::kIF) != 0 && !core_.interrupt_shadow();
}

/// DEVIATION: where modelled software is the host, a physical interrupt that INTR does not
/// intercept stays pending; no hypervisor leaves its interrupts to a guest.
bool Guest::takes_interrupts(bool open) const noexcept {
    if (controls_.intercepts(ExitCode::INTR)) return false;
    if (!vintr::V_INTR_MASKING::test(controls_.vintr)) return open;
    return surroundings_.interrupts && !core_.interrupt_shadow();
}

bool Guest::wants_interrupt_window() const noexcept {  // APM 2 15.21.4
    // AVIC puts V_IRQ and the fields of its vector out of use (15.29.4.1).
    if (avic_.enabled()) return avic_.interrupt_pending() && virtual_gif();
    const std::uint64_t virtual_interrupt = controls_.vintr;
    if (!vintr::V_IRQ::test(virtual_interrupt) || !virtual_gif()) return false;
    return vintr::V_IGN_TPR::test(virtual_interrupt) ||
           vintr::V_INTR_PRIO::get(virtual_interrupt) >
               (vintr::V_TPR::get(virtual_interrupt) & 0xf);
}

bool Guest::wants_nmi_window() const noexcept {  // APM 2 15.21.10
    return has_virtual_nmis() && vintr::V_NMI::test(controls_.vintr) && virtual_gif();
}

void Guest::set_virtual_gif(bool value) noexcept {
    controls_.vintr = vintr::VGIF::set(controls_.vintr, value ? 1 : 0);
    core_.poll_soon();
}

std::uint64_t Guest::guest_tsc(std::uint64_t tsc) const noexcept {  // APM 2 15.30.5
    if (surroundings_.tsc_ratio == kTscRatioOne) return tsc + controls_.tsc_offset;
    __extension__ using Product = unsigned __int128;
    const Product product = static_cast<Product>(tsc) * surroundings_.tsc_ratio;
    return static_cast<std::uint64_t>(product >> 32) + controls_.tsc_offset;
}

void Guest::access_virtual_tpr(const Action& action) {
    if (action.kind == ActionKind::cr_read)
        core_.set_gpr(action.gpr, vintr::V_TPR::get(controls_.vintr) & 0xf);
    else if (avic_.enabled())
        avic_.write_cr8(action.value);
    else
        controls_.vintr = vintr::V_TPR::set(controls_.vintr, action.value);
    core_.complete_instruction(action.instruction_length);
    core_.poll_soon();  // a virtual interrupt may have become deliverable
}

/// An exception that an action served here turns out to be.
void Guest::raise_inside(std::uint8_t vector) {
    Action action;
    action.kind = ActionKind::exception;
    action.event = Event::fault(vector);
    if (intercepts(action))
        exit(action, nullptr);
    else
        core_.inject(action.event);
}

/// V_IRQ (15.21.4), or the highest vector in AVIC's backing page.
void Guest::deliver_virtual_interrupt() {
    Event interrupt;
    interrupt.type = EventType::external_interrupt;
    if (avic_.enabled()) {
        const std::optional<std::uint8_t> vector = avic_.take_interrupt();
        if (!vector) return;
        interrupt.vector = *vector;
    } else {
        interrupt.vector = static_cast<std::uint8_t>(vintr::V_INTR_VECTOR::get(controls_.vintr));
        controls_.vintr = vintr::V_IRQ::set(controls_.vintr, 0);
    }
    core_.inject(interrupt);
}

/// True: the action needed no #VMEXIT after all.
bool Guest::serve_inside(const Action& action) {
    if (masks_cr8(action) && !intercepts_cr(action)) {
        access_virtual_tpr(action);
        return true;
    }
    if (in_avic(action) && avic_.owns_msr(action.msr)) return access_avic_msr(action);
    if (action.kind == ActionKind::interrupt_window && !controls_.intercepts(ExitCode::VINTR)) {
        deliver_virtual_interrupt();
        return true;
    }
    if (action.kind == ActionKind::nmi_window) {
        Event virtual_nmi;
        virtual_nmi.type = EventType::nmi;
        virtual_nmi.vector = kNmi;
        controls_.vintr = vintr::V_NMI::set(controls_.vintr, 0);
        core_.set_nmi_blocked(true);
        core_.inject(virtual_nmi);
        return true;
    }
    return false;
}

// --- AVIC (15.29) ---

void Guest::take_doorbell() {
    if (avic_.enabled()) avic_.take_doorbell();
}

void Guest::take_due(DueOrder order) {
    if (!has_due(order)) return;
    Action action;
    action.kind = ActionKind::apic_write;
    exit(action, nullptr);
}

bool Guest::is_apic_access_page(std::uint64_t guest, std::uint64_t) const noexcept {
    return avic_.is_register_page(guest);
}

engine::MmioHandler* Guest::serve_apic_access(std::uint32_t offset, mmu::Access access, unsigned) {
    return avic_.serve(offset, access);
}

/// Whether AVIC sees the action: an intercept by the MSR permission map comes first (15.29.10).
bool Guest::in_avic(const Action& action) const noexcept {
    switch (action.kind) {
        case ActionKind::apic_access:
        case ActionKind::apic_write:
            return true;
        case ActionKind::rdmsr:
        case ActionKind::wrmsr:
            return avic_.owns_msr(action.msr) && !intercepts_msr(action);
        default:
            return false;
    }
}

/// False: it exits.
bool Guest::access_avic_msr(const Action& action) {
    std::uint64_t value = 0;
    const bool write = action.kind == ActionKind::wrmsr;
    switch (write ? avic_.write_msr(action.msr, action.value) : avic_.read_msr(action.msr, value)) {
        case Avic::MsrOutcome::exit:
            return false;
        case Avic::MsrOutcome::general_protection:
            raise_inside(kGP);
            return true;
        case Avic::MsrOutcome::done:
            break;
    }
    if (!write) {
        core_.set_gpr(engine::kRax, value & 0xffffffff);
        core_.set_gpr(engine::kRdx, value >> 32);
    }
    core_.complete_instruction(action.instruction_length);
    return true;
}

void Guest::describe_avic(const Action& action, Exit& out) {
    AvicExit exit;
    if (action.kind == ActionKind::apic_write)
        exit = avic_.take_exit();
    else if (action.kind == ActionKind::apic_access)
        exit = Avic::no_acceleration(static_cast<std::uint32_t>(action.value & 0xfff),
                                     action.value >> 12 == 1);
    else
        exit = Avic::no_acceleration((action.msr & 0xff) << 4, action.kind == ActionKind::wrmsr);
    out.code = static_cast<std::uint64_t>(exit.code);
    out.info1 = exit.info1;
    out.info2 = exit.info2;
}

}  // namespace hvsim::cpu::svm
