#include "cpu/vmx/guest.h"

#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest_block.h"
#include "sim/error.h"

namespace hvsim::cpu::vmx {
namespace {

/// Which segment a per-segment guest field belongs to; the eight of each kind have consecutive
/// encodings in the order ES, CS, SS, DS, FS, GS, LDTR, TR.
constexpr bool segment_field(Field field, Field first, SegmentName& name) {
    const unsigned offset = static_cast<unsigned>(field) - static_cast<unsigned>(first);
    if (static_cast<unsigned>(field) < static_cast<unsigned>(first) || offset >= 16) return false;
    name = static_cast<SegmentName>(offset / 2);
    return true;
}

}  // namespace

Guest::Guest(std::uint64_t address, ExecutionCore& core, HostSoftware& host)
    : region_(core.ram(), address), core_(core), host_(host) {
    SIM_ASSERT(core.ram().contains(address, kRegionSize) && address % kRegionSize == 0);
}

std::uint64_t Guest::read(Field field) const {
    std::uint64_t value = 0;
    if (state_in_core_ && type_of(field) == FieldType::guest && read_state(field, value))
        return value & width_mask(field);
    return raw(field);
}

void Guest::write(Field field, std::uint64_t value) {
    value &= width_mask(field);
    const FieldType type = type_of(field);
    if (type == FieldType::control && write_unchecked_control(field, value)) return;
    if (program_ != nullptr) {
        note_program_write(field);
        set_raw(field, value);
        return;
    }
    if (type == FieldType::control || type == FieldType::host) checks_due_ = true;
    if (type == FieldType::guest) {
        // Moving on behind an instruction and clearing the interrupt shadow cannot break a rule.
        const bool harmless = field == Field::GUEST_RIP || field == Field::GUEST_INTERRUPTIBILITY;
        if (!harmless || !state_in_core_) checks_due_ = true;
        if (state_in_core_ && write_state(field, value)) return;
    }
    set_raw(field, value);
}

/// Control fields that change all the time and whose new value cannot break a rule that held at the
/// last entry: the windows, the TSC offset, the shadows, and event injection, which enter() checks.
bool Guest::write_unchecked_control(Field field, std::uint64_t value) {
    constexpr std::uint32_t kWindows = primary::kInterruptWindowExiting;
    switch (field) {
        case Field::PRIMARY_CONTROLS:
            if (((static_cast<std::uint32_t>(value) ^ primary_) & ~kWindows) != 0) return false;
            primary_ = static_cast<std::uint32_t>(value);
            break;
        case Field::TSC_OFFSET:
            tsc_offset_ = value;
            break;
        case Field::CR0_READ_SHADOW:
            cr0_shadow_ = value;
            break;
        case Field::CR4_READ_SHADOW:
            cr4_shadow_ = value;
            break;
        case Field::ENTRY_INTERRUPTION_INFO:
        case Field::ENTRY_EXCEPTION_ERROR_CODE:
        case Field::ENTRY_INSTRUCTION_LENGTH:
            injection_checks_due_ = true;
            break;
        default:
            return false;
    }
    if (checks_due_) return false;
    set_raw(field, value);
    return true;
}

bool Guest::read_encoded(std::uint32_t encoding, std::uint64_t& value) const {
    Field field{};
    bool high = false;
    if (!find_component(core_.model(), encoding, field, high)) return false;
    value = read(field) >> (high ? 32 : 0);
    return true;
}

InstructionError Guest::write_encoded(std::uint32_t encoding, std::uint64_t value) {
    Field field{};
    bool high = false;
    if (!find_component(core_.model(), encoding, field, high))
        return InstructionError::unsupported_component;
    if (high) value = (read(field) & 0xffffffff) | value << 32;
    write(field, value);
    return InstructionError::none;
}

// --- guest state that the core holds while the guest runs ---

bool Guest::read_state(Field field, std::uint64_t& value) const {
    SegmentName name{};
    if (segment_field(field, Field::GUEST_ES_SELECTOR, name))
        return value = core_.segment(name).selector, true;
    if (segment_field(field, Field::GUEST_ES_LIMIT, name))
        return value = core_.segment(name).limit, true;
    if (segment_field(field, Field::GUEST_ES_ACCESS_RIGHTS, name))
        return value = core_.segment(name).access_rights, true;
    if (segment_field(field, Field::GUEST_ES_BASE, name))
        return value = core_.segment(name).base, true;
    switch (field) {
        case Field::GUEST_RIP:
            value = core_.rip();
            return true;
        case Field::GUEST_RSP:
            value = core_.gpr(engine::kRsp);
            return true;
        case Field::GUEST_RFLAGS:
            value = core_.rflags();
            return true;
        case Field::GUEST_CR0:
            value = core_.cr(0);
            return true;
        case Field::GUEST_CR3:
            value = core_.cr(3);
            return true;
        case Field::GUEST_CR4:
            value = core_.cr(4);
            return true;
        case Field::GUEST_DR7:
            value = core_.dr(7);
            return true;
        case Field::GUEST_EFER:
            value = core_.efer();
            return true;
        case Field::GUEST_PAT:
            value = core_.pat();
            return true;
        case Field::GUEST_GDTR_BASE:
            value = core_.gdtr().base;
            return true;
        case Field::GUEST_GDTR_LIMIT:
            value = core_.gdtr().limit;
            return true;
        case Field::GUEST_IDTR_BASE:
            value = core_.idtr().base;
            return true;
        case Field::GUEST_IDTR_LIMIT:
            value = core_.idtr().limit;
            return true;
        case Field::GUEST_SYSENTER_CS:
            value = core_.native_msr(msr::kSysenterCs);
            return true;
        case Field::GUEST_SYSENTER_ESP:
            value = core_.native_msr(msr::kSysenterEsp);
            return true;
        case Field::GUEST_SYSENTER_EIP:
            value = core_.native_msr(msr::kSysenterEip);
            return true;
        case Field::GUEST_ACTIVITY:
            value = static_cast<std::uint64_t>(core_.activity());
            return true;
        case Field::GUEST_INTERRUPTIBILITY:
            // The engine has one shadow for STI and MOV SS; it is reported as blocking by STI.
            value = (core_.interrupt_shadow() ? interruptibility::kBlockingBySti : 0u) |
                    (core_.nmi_blocked() ? interruptibility::kBlockingByNmi : 0u);
            return true;
        default:
            return false;
    }
}

bool Guest::write_state(Field field, std::uint64_t value) {
    SegmentName name{};
    const auto change_segment = [&](auto&& change) {
        Segment segment = core_.segment(name);
        change(segment);
        core_.set_segment(name, segment);
        return true;
    };
    if (segment_field(field, Field::GUEST_ES_SELECTOR, name))
        return change_segment([&](Segment& s) { s.selector = static_cast<std::uint16_t>(value); });
    if (segment_field(field, Field::GUEST_ES_LIMIT, name))
        return change_segment([&](Segment& s) { s.limit = static_cast<std::uint32_t>(value); });
    if (segment_field(field, Field::GUEST_ES_ACCESS_RIGHTS, name))
        return change_segment(
            [&](Segment& s) { s.access_rights = static_cast<std::uint32_t>(value); });
    if (segment_field(field, Field::GUEST_ES_BASE, name))
        return change_segment([&](Segment& s) { s.base = value; });
    const auto with_base = [value](TableRegister table) { return table.base = value, table; };
    const auto with_limit = [value](TableRegister table) {
        return table.limit = static_cast<std::uint16_t>(value), table;
    };
    switch (field) {
        case Field::GUEST_RIP:
            core_.set_rip(value);
            return true;
        case Field::GUEST_RSP:
            core_.set_gpr(engine::kRsp, value);
            return true;
        case Field::GUEST_RFLAGS:
            core_.set_rflags(value);
            return true;
        case Field::GUEST_CR0:
            core_.set_cr(0, value);
            return true;
        case Field::GUEST_CR3:
            core_.set_cr(3, value);
            return true;
        case Field::GUEST_CR4:
            core_.set_cr(4, value);
            return true;
        case Field::GUEST_DR7:
            core_.set_dr(7, value);
            return true;
        case Field::GUEST_EFER:
            core_.set_efer(value);
            return true;
        case Field::GUEST_PAT:
            core_.set_pat(value);
            return true;
        case Field::GUEST_GDTR_BASE:
            core_.set_gdtr(with_base(core_.gdtr()));
            return true;
        case Field::GUEST_GDTR_LIMIT:
            core_.set_gdtr(with_limit(core_.gdtr()));
            return true;
        case Field::GUEST_IDTR_BASE:
            core_.set_idtr(with_base(core_.idtr()));
            return true;
        case Field::GUEST_IDTR_LIMIT:
            core_.set_idtr(with_limit(core_.idtr()));
            return true;
        case Field::GUEST_SYSENTER_CS:
            core_.set_native_msr(msr::kSysenterCs, value);
            return true;
        case Field::GUEST_SYSENTER_ESP:
            core_.set_native_msr(msr::kSysenterEsp, value);
            return true;
        case Field::GUEST_SYSENTER_EIP:
            core_.set_native_msr(msr::kSysenterEip, value);
            return true;
        case Field::GUEST_ACTIVITY:
            core_.set_activity(static_cast<ActivityState>(value & 3));
            set_raw(field, value);  // values above 3 fail the entry check
            return true;
        case Field::GUEST_INTERRUPTIBILITY:
            core_.set_interrupt_shadow((value & (interruptibility::kBlockingBySti |
                                                 interruptibility::kBlockingByMovSs)) != 0);
            core_.set_nmi_blocked((value & interruptibility::kBlockingByNmi) != 0);
            set_raw(field, value);
            return true;
        default:
            return false;
    }
}

void Guest::load_state() {
    // CR0, CR4 and EFER together decide the modes: EFER first, as the entry does (SDM 3C 27.3.2).
    write_state(Field::GUEST_EFER, raw(Field::GUEST_EFER));
    write_state(Field::GUEST_CR4, raw(Field::GUEST_CR4));
    write_state(Field::GUEST_CR3, raw(Field::GUEST_CR3));
    write_state(Field::GUEST_CR0, raw(Field::GUEST_CR0));
    for (const FieldDescription& description : kFieldTable) {
        const Field field = description.field;
        if (description.type() != FieldType::guest || field == Field::GUEST_EFER ||
            field == Field::GUEST_CR4 || field == Field::GUEST_CR3 || field == Field::GUEST_CR0)
            continue;
        write_state(field, raw(field));
    }
    state_in_core_ = true;
}

void Guest::sync() {
    if (!state_in_core_) return;
    for (const FieldDescription& description : kFieldTable) {
        std::uint64_t value = 0;
        if (description.type() == FieldType::guest && read_state(description.field, value))
            set_raw(description.field, value);
    }
}

void Guest::clear() {
    sync();
    state_in_core_ = false;
    launched_ = false;
    region_.set_launched(false);
    checks_due_ = true;
}

// --- entry ---

void Guest::cache_controls() {
    pin_ = static_cast<std::uint32_t>(raw(Field::PIN_BASED_CONTROLS));
    primary_ = static_cast<std::uint32_t>(raw(Field::PRIMARY_CONTROLS));
    secondary_ = primary_ & primary::kSecondaryControls
                     ? static_cast<std::uint32_t>(raw(Field::SECONDARY_CONTROLS))
                     : 0;
    exit_controls_ = static_cast<std::uint32_t>(raw(Field::EXIT_CONTROLS));
    exception_bitmap_ = raw(Field::EXCEPTION_BITMAP);
    cr0_mask_ = raw(Field::CR0_MASK);
    cr4_mask_ = raw(Field::CR4_MASK);
    cr0_shadow_ = raw(Field::CR0_READ_SHADOW);
    cr4_shadow_ = raw(Field::CR4_READ_SHADOW);
    tsc_offset_ = raw(Field::TSC_OFFSET);
    io_bitmap_a_ = raw(Field::IO_BITMAP_A);
    io_bitmap_b_ = raw(Field::IO_BITMAP_B);
    msr_bitmaps_ = raw(Field::MSR_BITMAPS);
    tsc_multiplier_ = raw(Field::TSC_MULTIPLIER);
    apic_access_page_ = raw(Field::APIC_ACCESS_ADDRESS);
    pause_loop_.gap = static_cast<std::uint32_t>(raw(Field::PLE_GAP));
    pause_loop_.window = static_cast<std::uint32_t>(raw(Field::PLE_WINDOW));
    ept_ = (secondary_ & secondary::kEpt) != 0;
    stage_.ram = &core_.ram();
    stage_.kind = mmu::SecondStageKind::ept;
    stage_.root = raw(Field::EPT_POINTER);
    stage_.mode_based_execute = (secondary_ & secondary::kModeBasedExecute) != 0;
    stage_.tlb = &core_.nested_tlb();
    stage_.log = uses(secondary::kPageModificationLogging) ? &page_log_ : nullptr;
    engine::OptionalIntercepts& optional = intercepts_;
    optional.cr3_read = (primary_ & primary::kCr3StoreExiting) != 0;
    optional.cr3_write = (primary_ & primary::kCr3LoadExiting) != 0;
    optional.cr0_read = cr0_mask_ != 0;
    optional.cr4_read = cr4_mask_ != 0;
    // Modelled host software lets its guests have them all.
    optional.native_msrs = program_ != nullptr;
    optional.pause = (primary_ & primary::kPauseExiting) != 0;
    optional.descriptor_reads = (secondary_ & secondary::kDescriptorTableExiting) != 0;
    // An attached guest's side of the core comes later (begin_in_program()).
    if (program_ == nullptr) core_.set_optional_intercepts(optional);
}

/// SDM 3C 27.6. The event that is on its way into the guest, or an empty one.
Event Guest::inject_event() {
    const std::uint64_t info = raw(Field::ENTRY_INTERRUPTION_INFO);
    Event event;
    if (!interruption::VALID::test(info) || interruption::TYPE::get(info) == kInjectPendingTrap)
        return event;
    event.vector = static_cast<std::uint8_t>(interruption::VECTOR::get(info));
    event.type = static_cast<EventType>(interruption::TYPE::get(info));
    event.has_error_code = interruption::ERROR_CODE_VALID::test(info);
    if (event.has_error_code)
        event.error_code = static_cast<std::uint32_t>(raw(Field::ENTRY_EXCEPTION_ERROR_CODE));
    if (event.type == EventType::software_interrupt ||
        event.type == EventType::privileged_software_exception ||
        event.type == EventType::software_exception)
        event.instruction_length = static_cast<std::uint8_t>(raw(Field::ENTRY_INSTRUCTION_LENGTH));
    if (event.vector == kPF && event.type == EventType::hardware_exception)
        event.address = core_.cr(2);  // CR2 is the host software's to set
    // Virtual NMIs are blocked from here to the guest's IRET (SDM 3C 27.6.1).
    if (event.type == EventType::nmi && has_virtual_nmis()) core_.set_nmi_blocked(true);
    core_.charge(core_.timing().entry_event_injection);
    core_.inject(event);
    return event;
}

/// Reports a refused entry: VMfailValid, or the exit that it becomes. `rip`, `code`: of the
/// program's instruction.
void Guest::refuse(EntryResult& result, std::uint64_t rip, const sim::Code& code) {
    const EntryFailure& failure = result.failure;
    core_.recorder().give_code(code);
    core_.recorder().record(sim::EventKind::kVmEntryFailed, core_.now(), core_.subject(),
                            failure.rule, static_cast<std::uint64_t>(failure.field), failure.value,
                            rip);
    if (result.guest_state_failed)
        leave_failed_entry(failure);
    else
        set_instruction_error(result.error);
    if (core_.watch() != nullptr) core_.watch()->on_failed_entry(core_, GuestBlock(*this));
}

/// The exit that an entry becomes behind the checks of controls and host state (SDM 3C 27.8).
void Guest::leave_failed_entry(const EntryFailure& failure) {
    const bool msr_load = failure.rule == kMsrLoadRule;
    const auto reason =
        msr_load ? ExitReason::entry_failure_msr_loading : ExitReason::entry_failure_guest_state;
    set_raw(Field::EXIT_REASON, static_cast<std::uint32_t>(reason) | kEntryFailure);
    std::uint64_t qualification = 0;
    if (msr_load)
        qualification = failure.value;
    else if (failure.rule == kPdpteRule)
        qualification = 2;
    else if (failure.rule == kNmiInjectionRule)
        qualification = 3;
    else if (failure.rule == kLinkPointerRule)
        qualification = 4;
    set_raw(Field::EXIT_QUALIFICATION, qualification);
    if (program_ != nullptr) return_to_program(nullptr);
}

EntryResult Guest::enter(bool launch) {
    EntryResult result;
    if (launch == launched_) {
        result.error =
            launch ? InstructionError::vmlaunch_not_clear : InstructionError::vmresume_not_launched;
        return last_entry_ = result;
    }
    // Modelled host software has no instructions.
    const std::uint64_t rip = program_ != nullptr ? core_.rip() : 0;
    const auto code = [this] {
        return program_ != nullptr ? core_.fetched_code(sim::Code::kMost) : sim::Code{};
    };
    if (checks_due_ || injection_checks_due_ || rip_check_due_) {
        if (!checks_due_) {
            if (injection_checks_due_)
                check_injection(*this, result);
            else
                check_rip(*this, result);
        } else if (!check_controls(*this, result.failure)) {
            result.error = InstructionError::entry_invalid_controls;
        } else if (!check_host_state(*this, result.failure)) {
            result.error = InstructionError::entry_invalid_host_state;
        } else if (!check_guest_state(*this, result.failure)) {
            result.guest_state_failed = true;
        }
        if (!result.entered()) {
            refuse(result, rip, code());
            return last_entry_ = result;
        }
        if (checks_due_) cache_controls();
        checks_due_ = injection_checks_due_ = rip_check_due_ = false;
    }
    if (program_ != nullptr) {
        // What fails behind the checks has left the program's instruction.
        const sim::Code late = may_fail_late() ? code() : sim::Code{};
        if (!begin_in_program(result)) {
            refuse(result, rip, late);
            return last_entry_ = result;
        }
    }
    if (!launched_) region_.set_launched(true);
    launched_ = true;
    if (!state_in_core_) load_state();
    pause_loop_.begun = false;
    core_.set_guest_mode(this);
    core_.charge(core_.timing().entry_base);
    const Event injected = inject_event();
    const std::uint64_t info = raw(Field::ENTRY_INTERRUPTION_INFO);
    core_.recorder().record(sim::EventKind::kVmEntry, core_.now(), core_.subject(),
                            interruption::VALID::test(info) ? info : 0, injected.error_code,
                            core_.rip());
    core_.poll_soon();
    return last_entry_ = result;
}

}  // namespace hvsim::cpu::vmx
