// Entries and exits of a guest whose host is a program on the same core (SDM 3C 27.3.2, 27.4, 28.3
// to 28.7): the two share everything that neither area of the VMCS has.
#include <array>
#include <utility>

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
constexpr std::uint64_t kNobody = ~std::uint64_t{0};
/// Of DR7 the bits that a debug exception or MOV DR would find (SDM 3B 18.2.4).
constexpr std::uint64_t dr7_loaded(std::uint64_t value) noexcept {
    return (value & 0xffff2bff) | 0x400;
}

bool uses_pae(const Core& core) {
    return (core.cr(0) & cr0::kPG) && (core.cr(4) & cr4::kPAE) && !(core.efer() & efer::kLMA);
}

}  // namespace

void Guest::attach(Core& core, GuestSide& side) {
    program_ = &core;
    side_ = &side;
    launched_ = region_.launched();
}

// --- entry ---

/// What the next entry has to look at, or to load.
void Guest::note_program_write(Field field) noexcept {
    const FieldType type = type_of(field);
    switch (field) {
        case Field::GUEST_RIP:
            rip_check_due_ = true;
            break;
        case Field::GUEST_RSP:
        case Field::HOST_RSP:
        case Field::PREEMPTION_TIMER_VALUE:
            break;
        default:
            checks_due_ |= type != FieldType::read_only;
            state_written_ |= type == FieldType::guest;
    }
}

/// Whether begin_in_program() can find something: PDPTEs in memory, or MSRs to load.
bool Guest::may_fail_late() const {
    const bool pae = (raw(Field::GUEST_CR4) & cr4::kPAE) != 0 &&
                     (raw(Field::ENTRY_CONTROLS) & entry_control::kIa32eGuest) == 0;
    return (pae && !ept_) || raw(Field::ENTRY_MSR_LOAD_COUNT) != 0;
}

/// Loads the guest state and the MSRs of the entry. False: the entry fails.
bool Guest::begin_in_program(EntryResult& result) {
    host_nmi_blocked_ = program_->nmi_blocked();
    const std::uint64_t cr0 = entry_cr0(), efer = entry_efer();
    program_->set_guest_mode(this);
    program_->change_sides(engine::Transition::vmx);
    hold_mappings();
    program_->set_optional_intercepts(intercepts_);
    // The processor may drop guest-physical mappings at any time (SDM 3C 29.4.1); without VPIDs it
    // does at each entry.
    if (ept_ && !uses(secondary::kVpid)) program_->nested_tlb().invalidate_all();
    // What nobody has changed since the guest's last exit is there.
    const bool kept = !state_written_ && side_->vmcs == address() && side_->exits == left_as_;
    side_->vmcs = kNobody;
    if (!kept) program_->set_rflags(rflags::kReserved1);  // leaves virtual-8086 mode
    load_modes(cr0, efer);
    if (!kept) load_tables();
    load_registers();
    result.guest_state_failed = true;
    state_written_ = true;
    if (!load_program_guest(result)) return false;
    result.guest_state_failed = state_written_ = false;
    state_in_core_ = true;
    start_due_events();
    return true;
}

/// PDPTEs and the MSR area. False: the entry fails.
bool Guest::load_program_guest(EntryResult& result) {
    if (uses_pae(*program_)) {
        if (ept_) {
            std::array<std::uint64_t, 4> pdptes{};
            for (std::size_t i = 0; i < pdptes.size(); ++i) pdptes[i] = raw(kPdpteFields[i]);
            if (pdptes != program_->pdptes()) program_->flush_tlb();
            program_->set_pdptes(pdptes);
        } else if (!program_->load_pdptes_of(program_->cr(3))) {
            result.failure = broken_rule(kPdpteRule, Field::GUEST_CR3, program_->cr(3));
            return false;
        }
    }
    const auto count = static_cast<std::uint32_t>(raw(Field::ENTRY_MSR_LOAD_COUNT));
    const std::uint32_t failing =
        load_msr_area(*program_, raw(Field::ENTRY_MSR_LOAD_ADDRESS), count);
    if (failing == 0) return true;
    result.failure = broken_rule(kMsrLoadRule, Field::ENTRY_MSR_LOAD_ADDRESS, failing);
    return false;
}

/// SDM 3C 29.4.3: without VPIDs no mapping outlives an entry; with them, those of another VPID or
/// through another EPT are not the guest's.
void Guest::hold_mappings() {
    GuestSide::Mappings wanted;
    if (uses(secondary::kVpid)) wanted.vpid = raw(Field::VPID);
    if (ept_) wanted.eptp = stage_.root;
    wanted.mode_based_execute = stage_.mode_based_execute;
    if (wanted.vpid == 0 || wanted != side_->mappings) program_->flush_tlb();
    side_->mappings = wanted;
}

/// The bits that no entry loads are the host's (SDM 3C 27.3.2.1).
std::uint64_t Guest::entry_cr0() const {
    return (core_.cr(0) & kCr0Kept) | (raw(Field::GUEST_CR0) & ~kCr0Kept);
}

std::uint64_t Guest::entry_efer() const {
    const std::uint64_t entry = raw(Field::ENTRY_CONTROLS);
    if (entry & entry_control::kLoadEfer) return raw(Field::GUEST_EFER);
    std::uint64_t efer = core_.efer() & ~efer::kLMA;
    if (raw(Field::GUEST_CR0) & cr0::kPG) efer &= ~efer::kLME;
    if (entry & entry_control::kIa32eGuest) efer |= efer::kLMA | efer::kLME;
    return efer;
}

/// Control registers, EFER, DR7 and PAT, as the controls say (SDM 3C 27.3.2.1). What the guest's
/// side has already keeps its translations.
void Guest::load_modes(std::uint64_t cr0, std::uint64_t efer) {
    Core& core = *program_;
    const std::uint64_t entry = raw(Field::ENTRY_CONTROLS);
    const std::uint64_t cr3 = raw(Field::GUEST_CR3), cr4 = raw(Field::GUEST_CR4);
    if (core.efer() != efer) core.set_efer(efer);
    if (core.cr(4) != cr4) core.set_cr(4, cr4);
    if (core.cr(3) != cr3) core.set_cr(3, cr3);
    if (core.cr(0) != cr0) core.set_cr(0, cr0);
    if (entry & entry_control::kLoadDebugControls) {
        core.set_dr(7, dr7_loaded(raw(Field::GUEST_DR7)));
        core.set_debugctl(raw(Field::GUEST_DEBUGCTL));
    }
    if (entry & entry_control::kLoadPat) core.set_pat(raw(Field::GUEST_PAT));
}

/// Segments, descriptor tables and SYSENTER's MSRs (27.3.2.1, 27.3.2.2).
void Guest::load_tables() {
    Core& core = *program_;
    for (unsigned i = 0; i < engine::kSegmentCount; ++i) {
        Segment segment;
        segment.selector = static_cast<std::uint16_t>(raw(nth(Field::GUEST_ES_SELECTOR, i)));
        segment.limit = static_cast<std::uint32_t>(raw(nth(Field::GUEST_ES_LIMIT, i)));
        segment.access_rights =
            static_cast<std::uint32_t>(raw(nth(Field::GUEST_ES_ACCESS_RIGHTS, i)));
        segment.base = raw(nth(Field::GUEST_ES_BASE, i));
        core.set_segment(static_cast<SegmentName>(i), segment);
    }
    core.set_gdtr(
        {raw(Field::GUEST_GDTR_BASE), static_cast<std::uint16_t>(raw(Field::GUEST_GDTR_LIMIT))});
    core.set_idtr(
        {raw(Field::GUEST_IDTR_BASE), static_cast<std::uint16_t>(raw(Field::GUEST_IDTR_LIMIT))});
    core.set_native_msr(msr::kSysenterCs, raw(Field::GUEST_SYSENTER_CS));
    core.set_native_msr(msr::kSysenterEsp, raw(Field::GUEST_SYSENTER_ESP));
    core.set_native_msr(msr::kSysenterEip, raw(Field::GUEST_SYSENTER_EIP));
}

/// RIP, RSP, RFLAGS and the state that is no register (27.3.2.3, 27.3.2.4).
void Guest::load_registers() {
    Core& core = *program_;
    const std::uint64_t blocking = raw(Field::GUEST_INTERRUPTIBILITY);
    constexpr std::uint64_t kShadow =
        interruptibility::kBlockingBySti | interruptibility::kBlockingByMovSs;
    core.set_rflags(raw(Field::GUEST_RFLAGS));
    core.set_rip(raw(Field::GUEST_RIP));
    core.set_gpr(engine::kRsp, raw(Field::GUEST_RSP));
    core.set_interrupt_shadow((blocking & kShadow) != 0);
    core.set_nmi_blocked((blocking & interruptibility::kBlockingByNmi) != 0);
    mov_ss_ = (blocking & interruptibility::kBlockingByMovSs) != 0;
    core.set_activity(static_cast<ActivityState>(raw(Field::GUEST_ACTIVITY)));
    if (core.activity() == ActivityState::wait_for_sipi && core.local_apic() != nullptr)
        core.local_apic()->set_wait_for_sipi(true);
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
    using F = Field;
    const Core& core = *program_;
    const std::uint64_t interruptibility = saved_interruptibility();
    const Region::Writer save = region_.writer();
    const auto save_segments = [&]<std::size_t... I>(std::index_sequence<I...>) {
        const auto one = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
            const Segment segment = core.segment(static_cast<SegmentName>(N));
            save(nth(F::GUEST_ES_SELECTOR, N), segment.selector);
            save(nth(F::GUEST_ES_LIMIT, N), segment.limit);
            save(nth(F::GUEST_ES_ACCESS_RIGHTS, N), segment.access_rights);
            save(nth(F::GUEST_ES_BASE, N), segment.base);
        };
        (one(std::integral_constant<std::size_t, I>{}), ...);
    };
    save_segments(std::make_index_sequence<engine::kSegmentCount>());
    const TableRegister gdtr = core.gdtr(), idtr = core.idtr();
    save(F::GUEST_GDTR_BASE, gdtr.base);
    save(F::GUEST_GDTR_LIMIT, gdtr.limit);
    save(F::GUEST_IDTR_BASE, idtr.base);
    save(F::GUEST_IDTR_LIMIT, idtr.limit);
    save(F::GUEST_CR0, core.cr(0));
    save(F::GUEST_CR3, core.cr(3));
    save(F::GUEST_CR4, core.cr(4));
    if (exit_controls_ & exit_control::kSaveEfer) save(F::GUEST_EFER, core.efer());
    if (exit_controls_ & exit_control::kSavePat) save(F::GUEST_PAT, core.pat());
    save(F::GUEST_SYSENTER_CS, core.native_msr(msr::kSysenterCs));
    save(F::GUEST_SYSENTER_ESP, core.native_msr(msr::kSysenterEsp));
    save(F::GUEST_SYSENTER_EIP, core.native_msr(msr::kSysenterEip));
    save(F::GUEST_RIP, core.rip());
    save(F::GUEST_RSP, core.gpr(engine::kRsp));
    save(F::GUEST_RFLAGS, saved_rflags(action));
    save(F::GUEST_ACTIVITY, static_cast<std::uint64_t>(core.activity()));
    save(F::GUEST_INTERRUPTIBILITY, interruptibility);
    save(F::GUEST_PENDING_DEBUG, pending_debug_);
    if (exit_controls_ & exit_control::kSaveDebugControls) {
        save(F::GUEST_DR7, core.dr(7));
        save(F::GUEST_DEBUGCTL, core.debugctl());
    }
    if (ept_ && uses_pae(*program_))
        for (std::size_t i = 0; i < kPdpteFields.size(); ++i)
            set_raw(kPdpteFields[i], program_->pdptes()[i]);
    stop_preemption_timer();
    state_in_core_ = false;
    side_->vmcs = address();
    left_as_ = ++side_->exits;
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
    const std::uint64_t cr0 = core_.cr(0), efer = core_.efer();
    // An entry that failed in its checks has not left the host's side.
    if (program_->on_guest_side()) program_->change_sides(engine::Transition::vmx);
    if (!uses(secondary::kVpid)) core_.flush_tlb();
    const Abort abort = load_host_state(region_, *program_, cr0, efer);
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
