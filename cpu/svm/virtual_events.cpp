// Interrupts and NMIs of a guest, physical and virtual, and what the processor does for it without
// a #VMEXIT (APM 2 15.13, 15.21, 15.33).
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

/// DEVIATION: without V_INTR_MASKING a guest's CR8 is the processor's alone; what it writes there
/// does not reach V_TPR.
void Guest::access_virtual_tpr(const Action& action) {
    if (action.kind == ActionKind::cr_read) {
        core_.set_gpr(action.gpr, vintr::V_TPR::get(controls_.vintr) & 0xf);
    } else if (action.value >> 4 != 0) {
        return core_.inject(Event::fault(kGP));
    } else {
        controls_.vintr = vintr::V_TPR::set(controls_.vintr, action.value);
    }
    core_.set_rip(next_rip(action.instruction_length));
    core_.set_interrupt_shadow(false);
    core_.poll_soon();  // a virtual interrupt may have become deliverable
}

/// True: the action needed no #VMEXIT after all.
bool Guest::serve_inside(const Action& action) {
    if (masks_cr8(action) && !intercepts_cr(action)) {
        access_virtual_tpr(action);
        return true;
    }
    if (action.kind == ActionKind::interrupt_window && !controls_.intercepts(ExitCode::VINTR)) {
        Event virtual_interrupt;
        virtual_interrupt.type = EventType::external_interrupt;
        virtual_interrupt.vector =
            static_cast<std::uint8_t>(vintr::V_INTR_VECTOR::get(controls_.vintr));
        controls_.vintr = vintr::V_IRQ::set(controls_.vintr, 0);
        core_.inject(virtual_interrupt);
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

}  // namespace hvsim::cpu::svm
