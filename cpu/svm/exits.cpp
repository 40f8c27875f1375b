// Which actions of a guest exit (APM 2 15.7 to 15.14) and what the #VMEXIT records.
#include <utility>

#include "cpu/debug_registers.h"
#include "cpu/descriptor.h"
#include "cpu/svm/guest.h"
#include "cpu/svm/guest_block.h"
#include "sim/error.h"

namespace hvsim::cpu::svm {
namespace {

constexpr std::uint64_t number(ExitCode code) noexcept {
    return static_cast<std::uint64_t>(code);
}

/// Exit code of an intercepted SVM instruction, by opcode; INVALID when the opcode is none.
ExitCode svm_instruction(std::uint32_t opcode) noexcept {
    switch (opcode) {
        case 0x0f01d8:
            return ExitCode::VMRUN;
        case 0x0f01da:
            return ExitCode::VMLOAD;
        case 0x0f01db:
            return ExitCode::VMSAVE;
        case 0x0f01dc:
            return ExitCode::STGI;
        case 0x0f01dd:
            return ExitCode::CLGI;
        case 0x0f01de:
            return ExitCode::SKINIT;
        case 0x0f01df:
            return ExitCode::INVLPGA;
        default:
            return ExitCode::INVALID;
    }
}

/// SGDT, SIDT, LGDT, LIDT are 0F 01 /0 to /3; SLDT, STR, LLDT, LTR 0F 00 /0 to /3.
ExitCode table_instruction(const Action& action) noexcept {
    static constexpr ExitCode kGlobal[4] = {ExitCode::GDTR_READ, ExitCode::IDTR_READ,
                                            ExitCode::GDTR_WRITE, ExitCode::IDTR_WRITE};
    static constexpr ExitCode kLocal[4] = {ExitCode::LDTR_READ, ExitCode::TR_READ,
                                           ExitCode::LDTR_WRITE, ExitCode::TR_WRITE};
    const unsigned extension = action.opcode >> 3 & 3;
    return action.kind == ActionKind::gdtr_idtr_access ? kGlobal[extension] : kLocal[extension];
}

/// The code of an action that one intercept bit stands for; INVALID: it takes more than that.
ExitCode plain_code(const Action& action) noexcept {
    switch (action.kind) {
        case ActionKind::external_interrupt:
            return ExitCode::INTR;
        case ActionKind::nmi:
            return ExitCode::NMI;
        case ActionKind::smi:
            return ExitCode::SMI;
        case ActionKind::icebp:
            return ExitCode::ICEBP;
        case ActionKind::init:
            return ExitCode::INIT;
        case ActionKind::interrupt_window:
            return ExitCode::VINTR;
        case ActionKind::triple_fault:
            return ExitCode::SHUTDOWN;
        case ActionKind::cpuid:
            return ExitCode::CPUID;
        case ActionKind::hlt:
            return ExitCode::HLT;
        case ActionKind::pause:
            return ExitCode::PAUSE;
        case ActionKind::invd:
            return ExitCode::INVD;
        case ActionKind::wbinvd:
            return ExitCode::WBINVD;
        case ActionKind::invlpg:
            return ExitCode::INVLPG;
        case ActionKind::rdtsc:
            return ExitCode::RDTSC;
        case ActionKind::rdtscp:
            return ExitCode::RDTSCP;
        case ActionKind::rdpmc:
            return ExitCode::RDPMC;
        case ActionKind::rdmsr:
        case ActionKind::wrmsr:
            return ExitCode::MSR;
        case ActionKind::io:
            return ExitCode::IOIO;
        case ActionKind::monitor:
            return ExitCode::MONITOR;
        case ActionKind::mwait:
            return ExitCode::MWAIT;
        case ActionKind::invpcid:
            return ExitCode::INVPCID;
        case ActionKind::rsm:
            return ExitCode::RSM;
        case ActionKind::hypercall:
            return ExitCode::VMMCALL;
        case ActionKind::vmx_instruction:
            return svm_instruction(action.opcode);
        case ActionKind::gdtr_idtr_access:
        case ActionKind::ldtr_tr_access:
            return table_instruction(action);
        case ActionKind::xsetbv:
            return ExitCode::XSETBV;
        case ActionKind::task_switch:
            return ExitCode::TASK_SWITCH;
        case ActionKind::software_interrupt:
            return ExitCode::SWINT;
        case ActionKind::iret:
            return ExitCode::IRET;
        case ActionKind::pushf:
            return ExitCode::PUSHF;
        case ActionKind::popf:
            return ExitCode::POPF;
        default:
            return ExitCode::INVALID;
    }
}

std::uint64_t event_info(const Event& source) {  // APM 2 15.7.2
    std::uint64_t type = event::kException;
    switch (source.type) {
        case EventType::external_interrupt:
            type = event::kInterrupt;
            break;
        case EventType::nmi:
            type = event::kNmi;
            break;
        case EventType::software_interrupt:
            type = event::kSoftwareInterrupt;
            break;
        default:
            break;  // INT3 and INTO count as exceptions
    }
    std::uint64_t info = event::V::kMask | source.vector | type << event::TYPE::kLow;
    if (source.has_error_code)
        info |= event::EV::kMask | std::uint64_t{source.error_code} << event::ERRORCODE::kLow;
    return info;
}

std::uint64_t io_info(const Action& action) {  // APM 2 15.10.2
    std::uint64_t info = std::uint64_t{action.io.port} << ioio::PORT::kLow;
    if (action.io.in) info |= ioio::TYPE::kMask;
    if (action.io.string) info |= ioio::STR::kMask;
    if (action.io.rep) info |= ioio::REP::kMask;
    info |= action.io.size == 1   ? ioio::SZ8::kMask
            : action.io.size == 2 ? ioio::SZ16::kMask
                                  : ioio::SZ32::kMask;
    if (!action.io.string) return info;
    info |= action.io.address_bits == 16   ? ioio::A16::kMask
            : action.io.address_bits == 32 ? ioio::A32::kMask
                                           : ioio::A64::kMask;
    return info | std::uint64_t{action.io.segment} << ioio::SEG::kLow;
}

}  // namespace

// --- interception ---

bool Guest::in_io_map(const Action& action) const {  // APM 2 15.10.1
    for (unsigned i = 0; i < action.io.size; ++i) {
        // An access that goes beyond port 0xffff looks at the bits behind it.
        const std::uint32_t port = action.io.port + i;
        std::uint8_t byte = 0xff;
        core_.ram().read((controls_.iopm & ~std::uint64_t{0xfff}) + port / 8, byte);
        if (byte >> (port & 7) & 1) return true;
    }
    return false;
}

bool Guest::in_msr_map(std::uint32_t index, bool write) const {  // APM 2 15.11
    std::uint64_t base = controls_.msrpm & ~std::uint64_t{0xfff};
    if (index >= 0xc0010000 && index <= 0xc0011fff)
        base += 0x1000;
    else if (index >= 0xc0000000 && index <= 0xc0001fff)
        base += 0x800;
    else if (index > 0x1fff)
        return true;
    std::uint8_t byte = 0xff;
    core_.ram().read(base + (index & 0x1fff) / 4, byte);
    return (byte >> (2 * (index & 3) + (write ? 1 : 0)) & 1) != 0;
}

bool Guest::intercepts_msr(const Action& action) const {
    return controls_.intercepts(ExitCode::MSR) &&
           in_msr_map(action.msr, action.kind == ActionKind::wrmsr);
}

bool Guest::intercepts_cr(const Action& action) const noexcept {  // APM 2 15.8
    const bool cr0_written = sim::bit(controls_.cr_writes, 0);
    const bool selective = controls_.intercepts(ExitCode::CR0_SEL_WRITE);
    switch (action.kind) {
        case ActionKind::cr_read:
            return sim::bit(controls_.cr_reads, action.number & 0xf);
        case ActionKind::smsw:
            return sim::bit(controls_.cr_reads, 0);
        case ActionKind::clts:
            return cr0_written;
        case ActionKind::lmsw:
            return cr0_written || selective;
        default:
            break;
    }
    if (sim::bit(controls_.cr_writes, action.number & 0xf)) return true;
    constexpr std::uint64_t kUnselected = cr0::kTS | cr0::kMP;
    return action.number == 0 && selective && ((action.value ^ core_.cr(0)) & ~kUnselected) != 0;
}

/// V_INTR_MASKING, or AVIC, makes CR8 the virtual TPR (APM 2 15.21.2, 15.29.3.1): served here,
/// without a #VMEXIT.
bool Guest::masks_cr8(const Action& action) const noexcept {
    const bool write = action.kind == ActionKind::cr_write;
    if ((!write && action.kind != ActionKind::cr_read) || action.number != 8) return false;
    if (write && action.value >> 4 != 0) return false;  // #GP
    return vintr::V_INTR_MASKING::test(controls_.vintr) || avic_.enabled();
}

/// Without V_INTR_MASKING what a guest writes to CR8 is both the APIC's TPR and V_TPR (15.21.2).
void Guest::follow_cr8(const Action& action) noexcept {
    if (action.kind != ActionKind::cr_write || action.number != 8 || action.value >> 4 != 0) return;
    controls_.vintr = vintr::V_TPR::set(controls_.vintr, action.value);
    core_.poll_soon();
}

/// An MWAIT that has its own intercept where the monitor is armed (APM 2 15.9).
bool Guest::waits_conditionally(const Action& action) const noexcept {
    return action.kind == ActionKind::mwait && action.value != 0 &&
           !controls_.intercepts(ExitCode::MWAIT) &&
           controls_.intercepts(ExitCode::MWAIT_CONDITIONAL);
}

/// A PAUSE that is intercepted, but for the filter (APM 2 15.14.4). A count of n lets n PAUSEs
/// pass, with a threshold n in a row that follow each other closely; 0 switches the filter off.
bool Guest::passes_pause_filter() noexcept {
    if (controls_.pause_filter_count == 0) return false;
    if (controls_.pause_filter_threshold != 0) {
        const std::uint64_t tsc = sim::ticks_at(core_.now(), core_.timing().clock_tsc_hz);
        const std::uint64_t elapsed = tsc - std::exchange(last_pause_, tsc);
        if (elapsed > controls_.pause_filter_threshold) {
            pauses_left_ = controls_.pause_filter_count;
            return true;
        }
    }
    if (pauses_left_ == 0) return false;
    --pauses_left_;
    return true;
}

bool Guest::intercepts(const Action& action) noexcept {
    switch (action.kind) {
        case ActionKind::pause:
            return controls_.intercepts(ExitCode::PAUSE) && !passes_pause_filter();
        case ActionKind::exception:
            // The #DB intercept does not take INT1's (APM 2 15.12.2): there is ICEBP for that.
            return action.event.type != EventType::privileged_software_exception &&
                   (controls_.exceptions >> action.event.vector & 1);
        case ActionKind::external_interrupt:
            return exits_on_interrupt();
        case ActionKind::interrupt_window:
            return wants_interrupt_window();
        case ActionKind::nmi_window:
            return wants_nmi_window();
        case ActionKind::nested_page_fault:
        case ActionKind::apic_access:
        case ActionKind::apic_write:
            return true;
        case ActionKind::cr_read:
        case ActionKind::cr_write:
        case ActionKind::clts:
        case ActionKind::lmsw:
        case ActionKind::smsw:
            if (intercepts_cr(action) || masks_cr8(action)) return true;
            follow_cr8(action);
            return false;
        case ActionKind::dr_read:
            return sim::bit(controls_.dr_reads, action.number & 0xf);
        case ActionKind::dr_write:
            return sim::bit(controls_.dr_writes, action.number & 0xf);
        case ActionKind::rdmsr:
        case ActionKind::wrmsr:
            return intercepts_msr(action) || avic_.owns_msr(action.msr);
        case ActionKind::io:
            return controls_.intercepts(ExitCode::IOIO) && in_io_map(action);
        default:
            break;
    }
    if (waits_conditionally(action)) return true;
    const ExitCode code = plain_code(action);
    return code != ExitCode::INVALID && controls_.intercepts(code);
}

std::uint64_t Guest::next_rip(unsigned length) const {
    const std::uint64_t next = core_.rip() + length;
    const bool long64 =
        (core_.efer() & efer::kLMA) && ar::L::test(core_.segment(SegmentName::cs).access_rights);
    return long64 ? next : next & 0xffffffff;
}

// --- #VMEXIT ---

void Guest::describe_cr(const Action& action, Exit& out) const {  // APM 2 15.8.1
    const std::uint64_t index = action.number & 0xf;
    switch (action.kind) {
        case ActionKind::smsw:
            out.code = number(ExitCode::CR0_READ);
            return;
        case ActionKind::clts:
            out.code = number(ExitCode::CR0_WRITE);
            return;
        case ActionKind::lmsw:
            out.code = sim::bit(controls_.cr_writes, 0) ? number(ExitCode::CR0_WRITE)
                                                        : number(ExitCode::CR0_SEL_WRITE);
            return;
        case ActionKind::cr_read:
            out.code = number(ExitCode::CR0_READ) + index;
            break;
        default:
            out.code = sim::bit(controls_.cr_writes, static_cast<unsigned>(index))
                           ? number(ExitCode::CR0_WRITE) + index
                           : number(ExitCode::CR0_SEL_WRITE);
            break;
    }
    out.info1 = mov_exit::MOV::kMask | action.gpr;
}

/// APM 2 15.14.1.
void Guest::describe_task_switch(const Action& action, Exit& out) {
    constexpr std::uint8_t kIret = 1, kJump = 2;  // sources, as SDM 3C table 28-2 numbers them
    constexpr std::uint64_t kByIret = std::uint64_t{1} << 36, kByJump = std::uint64_t{1} << 38,
                            kHasErrorCode = std::uint64_t{1} << 44,
                            kResumeFlag = std::uint64_t{1} << 48;
    out.info1 = action.value & 0xffff;
    if (action.number == kIret) out.info2 |= kByIret;
    if (action.number == kJump) out.info2 |= kByJump;
    if (action.event.has_error_code) out.info2 |= action.event.error_code | kHasErrorCode;
    if (action.resume_flag) out.info2 |= kResumeFlag;
}

Guest::Exit Guest::describe(const Action& action) {
    Exit out;
    if (in_avic(action)) {
        describe_avic(action, out);
        return out;
    }
    out.has_next_rip = action.instruction_length != 0;
    switch (action.kind) {
        case ActionKind::exception:
            out.code = number(ExitCode::EXCP0) + action.event.vector;
            out.has_next_rip = action.event.instruction_length != 0;
            if (action.event.has_error_code) out.info1 = action.event.error_code;
            if (action.event.vector == kPF) out.info2 = action.event.address;
            // APM 2 15.12.2: DR6 and DR7 in the VMCB are as the handler would see them.
            if (action.event.vector == kDB && action.event.address != 0) {
                core_.set_dr(6, (core_.dr(6) & ~dr6::kBreakpoints) | action.event.address);
                core_.set_dr(7, core_.dr(7) & ~dr7::kGD);
            }
            return out;
        case ActionKind::nested_page_fault:
            out.code = number(ExitCode::NPF);
            out.info1 = action.fault->information;
            out.info2 = out.guest_physical = action.fault->guest_physical;
            out.has_next_rip = false;
            return out;
        case ActionKind::cr_read:
        case ActionKind::cr_write:
        case ActionKind::clts:
        case ActionKind::lmsw:
        case ActionKind::smsw:
            describe_cr(action, out);
            return out;
        case ActionKind::dr_read:
        case ActionKind::dr_write:
            out.code = number(action.kind == ActionKind::dr_read ? ExitCode::DR0_READ
                                                                 : ExitCode::DR0_WRITE) +
                       (action.number & 0xf);
            out.info1 = action.gpr;
            return out;
        case ActionKind::io:
            out.info1 = io_info(action);
            out.info2 = next_rip(action.instruction_length);
            break;
        case ActionKind::wrmsr:
            out.info1 = 1;
            break;
        case ActionKind::invlpg:
            out.info1 = action.linear;
            break;
        case ActionKind::invpcid:  // APM 2 15.9: the descriptor's address, and the type
            out.info1 = action.linear;
            out.info2 = action.value;
            break;
        case ActionKind::software_interrupt:
            out.info1 = action.number;
            break;
        case ActionKind::vmx_instruction:
            if (svm_instruction(action.opcode) == ExitCode::INVLPGA) out.info1 = action.linear;
            break;
        case ActionKind::task_switch:
            describe_task_switch(action, out);
            break;
        default:
            break;
    }
    const ExitCode code =
        waits_conditionally(action) ? ExitCode::MWAIT_CONDITIONAL : plain_code(action);
    SIM_ASSERT(code != ExitCode::INVALID);
    out.code = number(code);
    return out;
}

/// Next RIP and instruction bytes (APM 2 15.7.1, 15.8.4).
void Guest::write_assists(const Action& action, const Exit& exit) {
    std::uint64_t next = 0;
    if (exit.has_next_rip) {
        const unsigned length = action.kind == ActionKind::exception
                                    ? action.event.instruction_length
                                    : action.instruction_length;
        next = next_rip(length);
    }
    vmcb_.set(vmcb::NRIP, next);
    std::array<std::uint8_t, 1 + kInstructionBytesMax> bytes{};
    const bool page_fault = action.kind == ActionKind::exception && action.event.vector == kPF &&
                            !(action.event.error_code & mmu::npt::exitinfo1::kInstruction);
    const bool nested_fault = action.kind == ActionKind::nested_page_fault &&
                              !(exit.info1 & mmu::npt::exitinfo1::kInstruction);
    if (page_fault || nested_fault)
        bytes[0] = static_cast<std::uint8_t>(core_.peek_code(std::span(bytes).subspan<1>()));
    core_.ram().write(vmcb_.address() + vmcb::INSTRUCTION_BYTE_COUNT.offset, bytes);
}

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
    // Native software ends its step also where the hypervisor gave the processor away meanwhile:
    // such an exit begins with what the hypervisor has written, but for the registers that the step
    // set.
    if (!in_guest_) apply(pull(kNeverCached));
    if (serve_inside(action)) return true;
    // An event that VMRUN injected, and that this exit comes before.
    const Event undelivered = core_.injection();
    if (surroundings_.shares_core && vectoring == nullptr && core_.has_injection()) {
        vectoring = &undelivered;
        core_.cancel_injection();
    }
    const Exit exit = describe(action);
    avic_.drop_exit();
    write_assists(action, exit);
    core_.set_guest_mode(nullptr);
    in_guest_ = false;
    save();
    if (has_virtual_nmis()) core_.set_nmi_blocked(host_nmi_blocked_);
    vmcb_.set(vmcb::EXITCODE, exit.code);
    vmcb_.set(vmcb::EXITINFO1, exit.info1);
    vmcb_.set(vmcb::EXITINFO2, exit.info2);
    vmcb_.set(vmcb::EXITINTINFO, vectoring != nullptr ? event_info(*vectoring) : std::uint64_t{0});
    // APM 2 15.6: the event was injected.
    if (event::V::test(controls_.event_injection))
        vmcb_.set(vmcb::EVENTINJ, event::V::set(vmcb_.get(vmcb::EVENTINJ), 0));
    core_.give_exit_code(action.instruction_length);
    core_.recorder().record(sim::EventKind::kVmExit, core_.now(), core_.subject(), exit.code,
                            exit.info1, core_.rip(), exit.guest_physical);
    core_.charge(exit_cost(action));
    if (core_.watch() != nullptr) core_.watch()->on_exit(core_, GuestBlock(vmcb_));
    if (host_.on_vm_exit(core_)) return true;
    // For such a step, too: it sees what the hypervisor answered.
    if (cached_) apply(pull(~kNeverCached));
    return false;
}

// --- control registers ---

std::uint64_t Guest::visible_cr(unsigned index, std::uint64_t real) const noexcept {
    if (index == 8 && vintr::V_INTR_MASKING::test(controls_.vintr))
        return vintr::V_TPR::get(controls_.vintr) & 0xf;
    return real;
}

std::uint64_t Guest::written_cr(unsigned, std::uint64_t, std::uint64_t value) const noexcept {
    return value;
}

}  // namespace hvsim::cpu::svm
