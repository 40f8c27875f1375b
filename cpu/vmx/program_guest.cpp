// Entries and exits of a guest whose host is a program on the same core (SDM 3C 27.3.2, 27.4, 28.3
// to 28.7): the two share everything that neither area of the VMCS has.
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/guest.h"
#include "cpu/vmx/host_state.h"
#include "cpu/vmx/msr_areas.h"
#include "sim/error.h"

namespace hvsim::cpu::vmx {
namespace {

/// One of eight consecutive per-segment fields, in the order ES, CS, SS, DS, FS, GS, LDTR, TR.
constexpr Field nth(Field first, unsigned index) noexcept {
    return static_cast<Field>(static_cast<unsigned>(first) + 2 * index);
}
constexpr std::array kPdpteFields{Field::GUEST_PDPTE0, Field::GUEST_PDPTE1, Field::GUEST_PDPTE2,
                                  Field::GUEST_PDPTE3};
/// Of DR7 the bits that a debug exception or MOV DR would find (SDM 3B 18.2.4).
constexpr std::uint64_t dr7_loaded(std::uint64_t value) noexcept {
    return (value & 0xffff2bff) | 0x400;
}

bool uses_pae(const Core& core) {
    return (core.cr(0) & cr0::kPG) && (core.cr(4) & cr4::kPAE) && !(core.efer() & efer::kLMA);
}

}  // namespace

void Guest::attach(Core& core) {
    program_ = &core;
    launched_ = region_.launched();
}

// --- entry ---

/// Loads the guest state and the MSRs of the entry. False: the entry fails.
bool Guest::begin_in_program(EntryResult& result) {
    host_nmi_blocked_ = core_.nmi_blocked();
    core_.set_guest_mode(this);
    // The processor may drop guest-physical mappings at any time (SDM 3C 29.4.1); without VPIDs it
    // does at each entry.
    if (ept_ && !uses(secondary::kVpid)) core_.nested_tlb().invalidate_all();
    load_modes();
    load_registers();
    result.guest_state_failed = true;
    if (uses_pae(*program_)) {
        if (ept_) {
            std::array<std::uint64_t, 4> pdptes{};
            for (std::size_t i = 0; i < pdptes.size(); ++i) pdptes[i] = raw(kPdpteFields[i]);
            program_->set_pdptes(pdptes);
        } else if (!program_->load_pdptes_of(core_.cr(3))) {
            result.failure = broken_rule(kPdpteRule, Field::GUEST_CR3, core_.cr(3));
            return false;
        }
    }
    const auto count = static_cast<std::uint32_t>(raw(Field::ENTRY_MSR_LOAD_COUNT));
    const std::uint32_t failing =
        load_msr_area(*program_, raw(Field::ENTRY_MSR_LOAD_ADDRESS), count);
    if (failing != 0) {
        result.failure = broken_rule(kMsrLoadRule, Field::ENTRY_MSR_LOAD_ADDRESS, failing);
        return false;
    }
    result.guest_state_failed = false;
    state_in_core_ = true;
    start_due_events();
    return true;
}

/// Control registers, EFER and the MSRs that controls or other fields hold (SDM 3C 27.3.2.1).
void Guest::load_modes() {
    const std::uint64_t entry = raw(Field::ENTRY_CONTROLS);
    const std::uint64_t cr0 = (core_.cr(0) & kCr0Kept) | (raw(Field::GUEST_CR0) & ~kCr0Kept);
    const bool ia32e = (entry & entry_control::kIa32eGuest) != 0;
    std::uint64_t efer = raw(Field::GUEST_EFER);
    if (!(entry & entry_control::kLoadEfer)) {
        efer = core_.efer() & ~efer::kLMA;
        if (cr0 & cr0::kPG) efer &= ~efer::kLME;
        if (ia32e) efer |= efer::kLMA | efer::kLME;
    }
    core_.set_rflags(rflags::kReserved1);
    core_.set_efer(efer);
    core_.set_cr(4, raw(Field::GUEST_CR4));
    core_.set_cr(3, raw(Field::GUEST_CR3));
    core_.set_cr(0, cr0);
    if (entry & entry_control::kLoadDebugControls) {
        core_.set_dr(7, dr7_loaded(raw(Field::GUEST_DR7)));
        program_->set_debugctl(raw(Field::GUEST_DEBUGCTL));
    }
    if (entry & entry_control::kLoadPat) core_.set_pat(raw(Field::GUEST_PAT));
    for (const Field field :
         {Field::GUEST_SYSENTER_CS, Field::GUEST_SYSENTER_ESP, Field::GUEST_SYSENTER_EIP})
        write_state(field, raw(field));
}

/// Segments, descriptor tables, RIP, RSP, RFLAGS and the state that is no register (27.3.2.2 to 4).
void Guest::load_registers() {
    for (unsigned i = 0; i < engine::kSegmentCount; ++i) {
        Segment segment;
        segment.selector = static_cast<std::uint16_t>(raw(nth(Field::GUEST_ES_SELECTOR, i)));
        segment.limit = static_cast<std::uint32_t>(raw(nth(Field::GUEST_ES_LIMIT, i)));
        segment.access_rights =
            static_cast<std::uint32_t>(raw(nth(Field::GUEST_ES_ACCESS_RIGHTS, i)));
        segment.base = raw(nth(Field::GUEST_ES_BASE, i));
        core_.set_segment(static_cast<SegmentName>(i), segment);
    }
    core_.set_gdtr(
        {raw(Field::GUEST_GDTR_BASE), static_cast<std::uint16_t>(raw(Field::GUEST_GDTR_LIMIT))});
    core_.set_idtr(
        {raw(Field::GUEST_IDTR_BASE), static_cast<std::uint16_t>(raw(Field::GUEST_IDTR_LIMIT))});
    core_.set_rflags(raw(Field::GUEST_RFLAGS));
    core_.set_rip(raw(Field::GUEST_RIP));
    core_.set_gpr(engine::kRsp, raw(Field::GUEST_RSP));
    write_state(Field::GUEST_INTERRUPTIBILITY, raw(Field::GUEST_INTERRUPTIBILITY));
    mov_ss_ = (raw(Field::GUEST_INTERRUPTIBILITY) & interruptibility::kBlockingByMovSs) != 0;
    core_.set_activity(static_cast<ActivityState>(raw(Field::GUEST_ACTIVITY)));
    if (core_.activity() == ActivityState::wait_for_sipi && core_.local_apic() != nullptr)
        core_.local_apic()->set_wait_for_sipi(true);
}

// --- exit ---

/// SDM 3C 28.3.3: RF as a fault or trap of that kind would have pushed it, 0 after an instruction
/// that exits.
std::uint64_t Guest::saved_rflags(const Action& action) const {
    const std::uint64_t flags = core_.rflags();
    switch (action.kind) {
        case ActionKind::exception: {
            const bool fault = action.event.type == EventType::hardware_exception &&
                               action.event.vector != kDB && action.event.vector != kDF;
            return fault ? flags | rflags::kRF : flags;
        }
        case ActionKind::nested_page_fault:
            return flags | rflags::kRF;
        case ActionKind::external_interrupt:
        case ActionKind::nmi:
        case ActionKind::interrupt_window:
        case ActionKind::nmi_window:
        case ActionKind::preemption_timer:
        case ActionKind::triple_fault:
        case ActionKind::init:
        case ActionKind::sipi:
        case ActionKind::monitor_trap:
            return flags;
        default:
            return flags & ~rflags::kRF;
    }
}

std::uint64_t Guest::saved_interruptibility() const {
    std::uint64_t state = core_.nmi_blocked() ? interruptibility::kBlockingByNmi : 0u;
    if (core_.interrupt_shadow()) {
        // The engine has one shadow for both; blocking by STI needs RFLAGS.IF.
        const bool mov_ss =
            !(core_.rflags() & rflags::kIF) || (mov_ss_ && core_.rip() == raw(Field::GUEST_RIP));
        state |= mov_ss ? interruptibility::kBlockingByMovSs : interruptibility::kBlockingBySti;
    }
    return state;
}

void Guest::save_state(const Action& action) {  // SDM 3C 28.3
    const std::uint64_t interruptibility = saved_interruptibility();
    for (const FieldDescription& description : kFieldTable) {
        const Field field = description.field;
        if (description.type() != FieldType::guest) continue;
        if (field == Field::GUEST_DR7 && !(exit_controls_ & exit_control::kSaveDebugControls))
            continue;
        if (field == Field::GUEST_PAT && !(exit_controls_ & exit_control::kSavePat)) continue;
        if (field == Field::GUEST_EFER && !(exit_controls_ & exit_control::kSaveEfer)) continue;
        std::uint64_t value = 0;
        if (read_state(field, value)) set_raw(field, value);
    }
    set_raw(Field::GUEST_RFLAGS, saved_rflags(action));
    set_raw(Field::GUEST_INTERRUPTIBILITY, interruptibility);
    set_raw(Field::GUEST_PENDING_DEBUG, pending_debug_);
    if (exit_controls_ & exit_control::kSaveDebugControls)
        set_raw(Field::GUEST_DEBUGCTL, program_->debugctl());
    if (ept_ && uses_pae(*program_))
        for (std::size_t i = 0; i < kPdpteFields.size(); ++i)
            set_raw(kPdpteFields[i], program_->pdptes()[i]);
    stop_preemption_timer();
    state_in_core_ = false;
}

void Guest::return_to_program(const Action* action) {
    core_.set_guest_mode(nullptr);
    core_.cancel_injection();
    bool nmi_blocked = has_virtual_nmis() ? host_nmi_blocked_ : core_.nmi_blocked();
    if (action != nullptr) {
        save_state(*action);
        nmi_blocked = nmi_blocked || action->kind == ActionKind::nmi;  // SDM 3C 28.5.5
        const auto count = static_cast<std::uint32_t>(raw(Field::EXIT_MSR_STORE_COUNT));
        if (store_msr_area(*program_, raw(Field::EXIT_MSR_STORE_ADDRESS), count) != 0)
            return vmx_abort(static_cast<std::uint32_t>(Abort::saving_guest_msrs));
    }
    core_.set_optional_intercepts({});
    const Abort abort = load_host_state(region_, *program_);
    if (abort != Abort::none) return vmx_abort(static_cast<std::uint32_t>(abort));
    core_.set_nmi_blocked(nmi_blocked);
    const auto count = static_cast<std::uint32_t>(raw(Field::EXIT_MSR_LOAD_COUNT));
    if (load_msr_area(*program_, raw(Field::EXIT_MSR_LOAD_ADDRESS), count) != 0)
        vmx_abort(static_cast<std::uint32_t>(Abort::loading_host_msrs));
}

/// SDM 3C 28.7: the processor enters the shutdown state, with the indicator in the region.
void Guest::vmx_abort(std::uint32_t indicator) {
    region_.set_abort(indicator);
    core_.recorder().record(sim::EventKind::kVmxAbort, core_.now(), core_.subject(), indicator,
                            raw(Field::EXIT_REASON));
    program_->enter_shutdown();
}

}  // namespace hvsim::cpu::vmx
