// Which actions of a guest exit (SDM 3C 26.1, 26.2) and what the exit records (28.2).
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/guest_block.h"
#include "sim/error.h"

namespace hvsim::cpu::vmx {
namespace {

/// Reason of an intercepted VMX instruction, by opcode; -1 when the opcode is none.
int vmx_instruction_reason(std::uint32_t opcode) {
    switch (opcode) {
        case 0x0f01c2:
            return static_cast<int>(ExitReason::vmlaunch);
        case 0x0f01c3:
            return static_cast<int>(ExitReason::vmresume);
        case 0x0f01c4:
            return static_cast<int>(ExitReason::vmxoff);
        case 0x0f78:
            return static_cast<int>(ExitReason::vmread);
        case 0x0f79:
            return static_cast<int>(ExitReason::vmwrite);
        case 0x0f01d4:
            return static_cast<int>(ExitReason::vmfunc);
        case 0x0fc7:
            return static_cast<int>(ExitReason::vmptrld);
        case 0x660fc7:
            return static_cast<int>(ExitReason::vmclear);
        case 0xf30fc7:
            return static_cast<int>(ExitReason::vmxon);
        case 0x0fc707:
            return static_cast<int>(ExitReason::vmptrst);
        case 0x0f3880:
            return static_cast<int>(ExitReason::invept);
        case 0x0f3881:
            return static_cast<int>(ExitReason::invvpid);
        default:
            return -1;
    }
}

bool has_memory_operand(const Action& action) {
    return action.decoded != nullptr ? action.decoded->memory : action.linear != 0;
}

bool is_software(const Event& event) {
    return event.type == EventType::software_interrupt ||
           event.type == EventType::software_exception ||
           event.type == EventType::privileged_software_exception;
}

/// SDM 3C 28.2.5: that of the instruction which exits, raises the exception, or has raised the
/// event whose delivery is cut short.
std::uint8_t instruction_length(const Action& action, const Event* vectoring) {
    if (vectoring != nullptr && is_software(*vectoring)) return vectoring->instruction_length;
    return action.kind == ActionKind::exception && is_software(action.event)
               ? action.event.instruction_length
               : action.instruction_length;
}

}  // namespace

bool Guest::in_io_bitmap(const Action& action) const {  // SDM 3C 25.6.4
    for (unsigned i = 0; i < action.io.size; ++i) {
        const std::uint32_t port = action.io.port + i;
        if (port > 0xffff) return true;  // wraps around: exits
        const std::uint64_t bitmap = port < 0x8000 ? io_bitmap_a_ : io_bitmap_b_;
        std::uint8_t byte = 0xff;
        core_.ram().read(bitmap + (port & 0x7fff) / 8, byte);
        if (byte >> (port & 7) & 1) return true;
    }
    return false;
}

bool Guest::in_msr_bitmap(std::uint32_t index, bool write) const {  // SDM 3C 25.6.9
    if (!(primary_ & primary::kMsrBitmaps)) return true;
    std::uint64_t base = msr_bitmaps_ + (write ? 2048 : 0);
    if (index >= 0xc0000000 && index <= 0xc0001fff)
        base += 1024;
    else if (index > 0x1fff)
        return true;
    std::uint8_t byte = 0xff;
    core_.ram().read(base + (index & 0x1fff) / 8, byte);
    return (byte >> (index & 7) & 1) != 0;
}

bool Guest::intercepts_exception(const Event& event) const {  // SDM 3C 26.2
    const bool bit = exception_bitmap_ >> event.vector & 1;
    if (event.vector != kPF) return bit;
    const std::uint64_t mask = raw(Field::PAGE_FAULT_ERROR_CODE_MASK);
    const std::uint64_t match = raw(Field::PAGE_FAULT_ERROR_CODE_MATCH);
    return (event.error_code & mask) == match ? bit : !bit;
}

bool Guest::intercepts_cr(const Action& action) const {  // SDM 3C 26.1.3
    const auto outside_shadow = [](std::uint64_t value, std::uint64_t mask, std::uint64_t shadow) {
        return ((value ^ shadow) & mask) != 0;
    };
    switch (action.kind) {
        case ActionKind::clts:
            return (cr0_mask_ & cr0_shadow_ & cr0::kTS) != 0;
        case ActionKind::lmsw: {
            const std::uint64_t mask = cr0_mask_ & 0xf;
            if ((mask & cr0::kPE) && (action.value & cr0::kPE) && !(cr0_shadow_ & cr0::kPE))
                return true;
            return outside_shadow(action.value, mask & 0xe, cr0_shadow_);
        }
        case ActionKind::cr_read:
            return (action.number == 3 && (primary_ & primary::kCr3StoreExiting)) ||
                   (action.number == 8 && (primary_ & primary::kCr8StoreExiting));
        case ActionKind::cr_write:
            switch (action.number) {
                case 0:
                    return outside_shadow(action.value, cr0_mask_, cr0_shadow_);
                case 4:
                    return outside_shadow(action.value, cr4_mask_, cr4_shadow_);
                case 8:
                    return (primary_ & primary::kCr8LoadExiting) != 0;
                case 3: {
                    if (!(primary_ & primary::kCr3LoadExiting)) return false;
                    static constexpr Field kTargets[4] = {Field::CR3_TARGET_0, Field::CR3_TARGET_1,
                                                          Field::CR3_TARGET_2, Field::CR3_TARGET_3};
                    for (std::uint64_t i = 0; i < raw(Field::CR3_TARGET_COUNT) && i < 4; ++i)
                        if (raw(kTargets[i]) == action.value) return false;
                    return true;
                }
                default:
                    return false;
            }
        default:
            return false;
    }
}

/// A PAUSE in non-root operation while only "PAUSE-loop exiting" is 1 (SDM 3C 26.1.3).
bool Guest::exits_pause_loop() noexcept {
    if (core_.cpl() != 0) return false;
    const std::uint64_t tsc = sim::ticks_at(core_.now(), core_.timing().clock_tsc_hz);
    PauseLoop& loop = pause_loop_;
    const bool first = !loop.begun || tsc - loop.last > loop.gap;
    loop.begun = true;
    loop.last = tsc;
    if (first) {
        loop.first = tsc;
        return false;
    }
    return tsc - loop.first > loop.window;
}

bool Guest::intercepts(const Action& action) noexcept {
    if (program_ != nullptr && serves(action)) return true;
    switch (action.kind) {
        case ActionKind::exception:
            return intercepts_exception(action.event);
        case ActionKind::external_interrupt:
            return exits_on_interrupt();
        case ActionKind::nmi:
            return (pin_ & pin::kNmiExiting) != 0;
        case ActionKind::interrupt_window:
            return wants_interrupt_window();
        case ActionKind::nmi_window:
            return (primary_ & primary::kNmiWindowExiting) != 0;
        case ActionKind::triple_fault:
        case ActionKind::init:
        case ActionKind::sipi:
        case ActionKind::cpuid:
        case ActionKind::invd:
        case ActionKind::hypercall:
        case ActionKind::xsetbv:
        case ActionKind::task_switch:
        case ActionKind::nested_page_fault:
        case ActionKind::preemption_timer:
        case ActionKind::monitor_trap:
        case ActionKind::tpr_below_threshold:
        case ActionKind::virtualized_eoi:
        case ActionKind::apic_write:
        case ActionKind::apic_access:
            return true;
        case ActionKind::vmx_instruction:
            return vmx_instruction_reason(action.opcode) >= 0;
        case ActionKind::hlt:
            return (primary_ & primary::kHltExiting) != 0;
        case ActionKind::pause:
            if (primary_ & primary::kPauseExiting) return true;
            return (secondary_ & secondary::kPauseLoopExiting) && exits_pause_loop();
        case ActionKind::wbinvd:
            return (secondary_ & secondary::kWbinvdExiting) != 0;
        case ActionKind::invlpg:
            return (primary_ & primary::kInvlpgExiting) != 0;
        case ActionKind::rdtsc:
        case ActionKind::rdtscp:
            return (primary_ & primary::kRdtscExiting) != 0;
        case ActionKind::rdpmc:
            return (primary_ & primary::kRdpmcExiting) != 0;
        case ActionKind::rdmsr:
            return in_msr_bitmap(action.msr, false);
        case ActionKind::wrmsr:
            return in_msr_bitmap(action.msr, true);
        case ActionKind::io:
            if (primary_ & primary::kIoBitmaps) return in_io_bitmap(action);
            return (primary_ & primary::kUnconditionalIoExiting) != 0;
        case ActionKind::cr_read:
        case ActionKind::cr_write:
        case ActionKind::clts:
        case ActionKind::lmsw:
            return intercepts_cr(action);
        case ActionKind::dr_read:
        case ActionKind::dr_write:
            return (primary_ & primary::kMovDrExiting) != 0;
        case ActionKind::monitor:
            return (primary_ & primary::kMonitorExiting) != 0;
        case ActionKind::mwait:
            return (primary_ & primary::kMwaitExiting) != 0;
        case ActionKind::invpcid:
            return (primary_ & primary::kInvlpgExiting) != 0;
        case ActionKind::gdtr_idtr_access:
        case ActionKind::ldtr_tr_access:
            return (secondary_ & secondary::kDescriptorTableExiting) != 0;
        case ActionKind::smi:
        case ActionKind::icebp:
        case ActionKind::smsw:
        case ActionKind::rsm:
        case ActionKind::software_interrupt:
        case ActionKind::iret:
        case ActionKind::pushf:
        case ActionKind::popf:
            return false;
    }
    return false;
}

std::uint64_t Guest::displacement(const Action& action) const {
    return action.decoded != nullptr ? operand_displacement(*action.decoded, core_.rip()) : 0;
}

/// Exit reason and qualification (SDM 3C 28.2.1).
std::uint64_t Guest::qualification(const Action& action, std::uint32_t& reason) {
    const auto is = [&reason](ExitReason value) { reason = static_cast<std::uint32_t>(value); };
    constexpr std::uint64_t kCrWrite = 0u << 4, kCrRead = 1u << 4, kClts = 2u << 4, kLmsw = 3u << 4;
    switch (action.kind) {
        case ActionKind::exception:
            is(ExitReason::exception_or_nmi);
            return action.event.vector == kPF || action.event.vector == kDB ? action.event.address
                                                                            : 0;
        case ActionKind::nmi:
            is(ExitReason::exception_or_nmi);
            return 0;
        case ActionKind::external_interrupt:
            is(ExitReason::external_interrupt);
            return 0;
        case ActionKind::interrupt_window:
            is(ExitReason::interrupt_window);
            return 0;
        case ActionKind::nmi_window:
            is(ExitReason::nmi_window);
            return 0;
        case ActionKind::triple_fault:
            is(ExitReason::triple_fault);
            return 0;
        case ActionKind::init:
            is(ExitReason::init_signal);
            return 0;
        case ActionKind::sipi:
            is(ExitReason::sipi);
            return action.number;
        case ActionKind::cpuid:
            is(ExitReason::cpuid);
            return 0;
        case ActionKind::hlt:
            is(ExitReason::hlt);
            return 0;
        case ActionKind::pause:
            is(ExitReason::pause);
            return 0;
        case ActionKind::invd:
            is(ExitReason::invd);
            return 0;
        case ActionKind::wbinvd:
            is(ExitReason::wbinvd);
            return 0;
        case ActionKind::invlpg:
            is(ExitReason::invlpg);
            return action.linear;
        case ActionKind::rdtsc:
            is(ExitReason::rdtsc);
            return 0;
        case ActionKind::rdtscp:
            is(ExitReason::rdtscp);
            return 0;
        case ActionKind::rdpmc:
            is(ExitReason::rdpmc);
            return 0;
        case ActionKind::rdmsr:
            is(ExitReason::rdmsr);
            return 0;
        case ActionKind::wrmsr:
            is(ExitReason::wrmsr);
            return 0;
        case ActionKind::monitor:
            is(ExitReason::monitor);
            return 0;
        case ActionKind::mwait:
            is(ExitReason::mwait);
            return action.value;  // bit 0: the monitor is armed
        case ActionKind::invpcid:
            is(ExitReason::invpcid);
            return displacement(action);
        case ActionKind::hypercall:
            is(ExitReason::vmcall);
            return 0;
        case ActionKind::xsetbv:
            is(ExitReason::xsetbv);
            return 0;
        case ActionKind::task_switch:
            is(ExitReason::task_switch);
            return action.value;
        case ActionKind::preemption_timer:
            is(ExitReason::preemption_timer);
            return 0;
        case ActionKind::monitor_trap:
            is(ExitReason::monitor_trap_flag);
            return 0;
        case ActionKind::tpr_below_threshold:
            is(ExitReason::tpr_below_threshold);
            return 0;
        case ActionKind::virtualized_eoi:
            is(ExitReason::virtualized_eoi);
            return action.value;
        case ActionKind::apic_write:
            is(ExitReason::apic_write);
            return action.value;
        case ActionKind::apic_access:  // table 28-6
            is(ExitReason::apic_access);
            return action.value;
        case ActionKind::gdtr_idtr_access:
            is(ExitReason::gdtr_idtr_access);
            return displacement(action);
        case ActionKind::ldtr_tr_access:
            is(ExitReason::ldtr_tr_access);
            return displacement(action);
        case ActionKind::io:  // table 28-5
            is(ExitReason::io_instruction);
            return (action.io.size - 1u) | (action.io.in ? 1u << 3 : 0) |
                   (action.io.string ? 1u << 4 : 0) | (action.io.rep ? 1u << 5 : 0) |
                   (action.io.immediate ? 1u << 6 : 0) |
                   static_cast<std::uint64_t>(action.io.port) << 16;
        case ActionKind::cr_write:  // table 28-3
            is(ExitReason::cr_access);
            return action.number | kCrWrite | static_cast<std::uint64_t>(action.gpr) << 8;
        case ActionKind::cr_read:
            is(ExitReason::cr_access);
            return action.number | kCrRead | static_cast<std::uint64_t>(action.gpr) << 8;
        case ActionKind::clts:
            is(ExitReason::cr_access);
            return kClts;
        case ActionKind::lmsw:
            is(ExitReason::cr_access);
            return kLmsw | (has_memory_operand(action) ? 1u << 6 : 0) |
                   (action.value & 0xffff) << 16;
        case ActionKind::dr_read:
        case ActionKind::dr_write:  // table 28-4
            is(ExitReason::mov_dr);
            return action.number | (action.kind == ActionKind::dr_read ? 1u << 4 : 0) |
                   static_cast<std::uint64_t>(action.gpr) << 8;
        case ActionKind::nested_page_fault:
            is(action.fault->kind == mmu::NestedFaultKind::ept_misconfiguration
                   ? ExitReason::ept_misconfiguration
               : action.fault->kind == mmu::NestedFaultKind::page_modification_log_full
                   ? ExitReason::page_modification_log_full
                   : ExitReason::ept_violation);
            return action.fault->kind == mmu::NestedFaultKind::ept_misconfiguration
                       ? 0
                       : action.fault->information;
        case ActionKind::vmx_instruction:
            reason = static_cast<std::uint32_t>(vmx_instruction_reason(action.opcode));
            return displacement(action);
        default:
            SIM_ASSERT(false && "this action never exits");
            return 0;
    }
}

namespace {

std::uint32_t interruption_info(const Event& event) {
    std::uint32_t info = static_cast<std::uint32_t>(interruption::VALID::kMask) | event.vector |
                         static_cast<std::uint32_t>(event.type) << 8;
    if (event.has_error_code)
        info |= static_cast<std::uint32_t>(interruption::ERROR_CODE_VALID::kMask);
    return info;
}

}  // namespace

sim::Duration Guest::exit_cost(const Action& action) const {
    const sim::TimingProfile& timing = core_.timing();
    switch (action.kind) {
        case ActionKind::cpuid:
            return timing.exit_cpuid;
        case ActionKind::rdmsr:
        case ActionKind::wrmsr:
            return timing.exit_msr;
        case ActionKind::io:
            return timing.exit_io;
        case ActionKind::hypercall:
            return timing.exit_hypercall;
        case ActionKind::nested_page_fault:
            return timing.exit_nested_page_fault;
        case ActionKind::external_interrupt:
            return timing.exit_external_interrupt;
        case ActionKind::interrupt_window:
            return timing.exit_interrupt_window;
        case ActionKind::hlt:
            return timing.exit_hlt;
        case ActionKind::exception:
        case ActionKind::nmi:
            return timing.exit_exception;
        default:
            return timing.exit_other;
    }
}

bool Guest::exit(const Action& action, const Event* vectoring) {
    if (program_ != nullptr && serves(action) && serve(action)) return true;
    std::uint32_t reason = 0;
    const std::uint64_t qualifier = qualification(action, reason);
    core_.set_guest_mode(nullptr);
    set_raw(Field::EXIT_REASON, reason);
    set_raw(Field::EXIT_QUALIFICATION, qualifier);
    // SDM 3C 28.2.4: a double fault's exit is not one during the delivery of what led to it.
    if (action.kind == ActionKind::exception && action.event.vector == kDF) vectoring = nullptr;
    const std::uint32_t length = instruction_length(action, vectoring);
    set_raw(Field::EXIT_INSTRUCTION_LENGTH, length);
    if (action.decoded != nullptr) {
        const std::uint32_t cs = core_.segment(SegmentName::cs).access_rights;
        set_raw(Field::EXIT_INSTRUCTION_INFO,
                instruction_information(action, (core_.efer() & efer::kLMA) && ar::L::test(cs)));
        if (action.kind == ActionKind::io || action.kind == ActionKind::lmsw)
            set_raw(Field::GUEST_LINEAR_ADDRESS, action.linear);
    }
    std::uint32_t info = 0;
    if (action.kind == ActionKind::exception) {
        info = interruption_info(action.event);
        set_raw(Field::EXIT_INTERRUPTION_ERROR_CODE, action.event.error_code);
    } else if (action.kind == ActionKind::nmi) {
        core_.local_apic()->take_nmi();
        core_.local_apic()->nmi_unblocked();
        info = interruption_info({EventType::nmi, kNmi, false, 0, 0, 0});
    } else if (action.kind == ActionKind::external_interrupt &&
               (exit_controls_ & exit_control::kAcknowledgeInterrupt)) {
        const std::uint8_t vector = core_.local_apic()->acknowledge(core_.now());
        info = interruption_info({EventType::external_interrupt, vector, false, 0, 0, 0});
    }
    set_raw(Field::EXIT_INTERRUPTION_INFO, info);
    set_raw(Field::IDT_VECTORING_INFO, vectoring != nullptr ? interruption_info(*vectoring) : 0);
    if (vectoring != nullptr) set_raw(Field::IDT_VECTORING_ERROR_CODE, vectoring->error_code);
    std::uint64_t guest_physical = 0;
    if (action.kind == ActionKind::nested_page_fault) {
        guest_physical = action.fault->guest_physical;
        set_raw(Field::GUEST_PHYSICAL_ADDRESS, guest_physical);
        set_raw(Field::GUEST_LINEAR_ADDRESS, action.linear);
    }
    // SDM 3C 28.2.5: the valid bit of the entry's interruption information is cleared.
    const std::uint64_t entry_info = raw(Field::ENTRY_INTERRUPTION_INFO);
    if (interruption::VALID::test(entry_info))
        set_raw(Field::ENTRY_INTERRUPTION_INFO, interruption::VALID::set(entry_info, 0));
    // SDM 3C 28.2: with unrestricted guest, "IA-32e mode guest" takes the value of EFER.LMA.
    if (secondary_ & secondary::kUnrestrictedGuest) {
        const std::uint64_t controls = raw(Field::ENTRY_CONTROLS);
        const bool lma = (core_.efer() & efer::kLMA) != 0;
        if (lma != ((controls & entry_control::kIa32eGuest) != 0))
            set_raw(Field::ENTRY_CONTROLS, controls ^ entry_control::kIa32eGuest);
    }
    core_.give_exit_code(length);
    core_.recorder().record(sim::EventKind::kVmExit, core_.now(), core_.subject(), reason,
                            qualifier, core_.rip(), guest_physical);
    core_.charge(exit_cost(action));
    if (program_ != nullptr) return_to_program(&action);
    if (core_.watch() != nullptr) core_.watch()->on_exit(core_, GuestBlock(*this));
    return host_.on_vm_exit(core_);
}

std::uint64_t Guest::visible_cr(unsigned index, std::uint64_t real) const noexcept {
    if (index == 0) return (real & ~cr0_mask_) | (cr0_shadow_ & cr0_mask_);
    if (index == 4) return (real & ~cr4_mask_) | (cr4_shadow_ & cr4_mask_);
    return real;
}

std::uint64_t Guest::written_cr(unsigned index, std::uint64_t real,
                                std::uint64_t value) const noexcept {
    if (index == 0) return (real & cr0_mask_) | (value & ~cr0_mask_);
    if (index == 4) return (real & cr4_mask_) | (value & ~cr4_mask_);
    return value;
}

std::uint64_t Guest::guest_tsc(std::uint64_t tsc) const noexcept {  // SDM 3C 26.3
    if (!(primary_ & primary::kTscOffsetting)) return tsc;
    if (uses(secondary::kTscScaling)) {
        constexpr unsigned kFraction = 48;
        tsc = static_cast<std::uint64_t>(static_cast<sim::Uint128>(tsc) * tsc_multiplier_ >>
                                         kFraction);
    }
    return tsc + tsc_offset_;
}

}  // namespace hvsim::cpu::vmx
