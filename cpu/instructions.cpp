#include "cpu/instructions.h"

#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/linear_address.h"
#include "cpu/msr_file.h"
#include "sim/error.h"

namespace hvsim::cpu {
namespace {

using engine::InterceptCode;

constexpr unsigned index_of(InterceptCode code, InterceptCode first) noexcept {
    return static_cast<unsigned>(code) - static_cast<unsigned>(first);
}
constexpr bool in_group(InterceptCode code, InterceptCode first, unsigned count) noexcept {
    return code >= first && index_of(code, first) < count;
}

}  // namespace

void Instructions::handle(const engine::Intercept& intercept) {
    const InterceptCode code = intercept.code;
    if (in_group(code, InterceptCode::exception, 32))
        return exception(static_cast<std::uint8_t>(index_of(code, InterceptCode::exception)),
                         intercept.error_code);
    if (code == InterceptCode::shutdown) return core_.shutdown();
    if (!fetch_intercepted(code)) return core_.raise(kUD);
    if (in_group(code, InterceptCode::cr_read, 32)) return control_register(code);
    if (in_group(code, InterceptCode::dr_read, 32))
        return debug_register(code >= InterceptCode::dr_write);
    switch (code) {
        case InterceptCode::cpuid:
            return cpuid();
        case InterceptCode::hlt:
            return halt();
        case InterceptCode::rdtsc:
            return rdtsc();
        case InterceptCode::msr:
            return msr(intercept.error_code != 0);
        case InterceptCode::io:
            return io(intercept);
        case InterceptCode::software_interrupt:
            return software_interrupt();
        case InterceptCode::invlpg:
            return invlpg();
        case InterceptCode::far_jump:
        case InterceptCode::far_call:
            return far_transfer(intercept);
        case InterceptCode::task_return:
            return task_return(intercept);
        case InterceptCode::syscall:
            return syscall();
        case InterceptCode::sysenter:
            return sysenter();
        case InterceptCode::sysexit:
            return sysexit();
        case InterceptCode::pause:
            return simple(ActionKind::pause, core_.timing().instruction_pause);
        case InterceptCode::invd:
            return simple(ActionKind::invd);
        case InterceptCode::wbinvd: {
            const Instruction in = fetch();
            return simple(in.opcode == 0x0f08 ? ActionKind::invd : ActionKind::wbinvd);
        }
        case InterceptCode::rdpmc:
            return rdpmc();
        case InterceptCode::xsetbv:
            return xsetbv();
        case InterceptCode::monitor:
        case InterceptCode::mwait:
            return undefined_opcode();
        case InterceptCode::rsm:
            return leave_or(ActionKind::rsm, &Instructions::undefined_opcode);
        case InterceptCode::pushf:
            return leave_or(ActionKind::pushf, &Instructions::run_natively);
        case InterceptCode::popf:
            return leave_or(ActionKind::popf, &Instructions::run_natively);
        case InterceptCode::iret:
            return leave_or(ActionKind::iret, &Instructions::run_natively);
        case InterceptCode::idtr_read:
        case InterceptCode::gdtr_read:
        case InterceptCode::ldtr_read:
        case InterceptCode::tr_read:
        case InterceptCode::idtr_write:
        case InterceptCode::gdtr_write:
        case InterceptCode::ldtr_write:
        case InterceptCode::tr_write:
            return table_register(code);
        default:
            SIM_ASSERT(false && "an intercept without a handler");
    }
}

/// Decodes the intercepted instruction. False: the bytes there are none any more, because the
/// engine ran a block that was translated before they changed.
bool Instructions::fetch_intercepted(InterceptCode code) {
    if (code == InterceptCode::syscall || code == InterceptCode::sysenter) return true;
    if (code >= InterceptCode::far_jump) return true;  // the engine tells all that matters
    const auto instruction = core_.fetch_instruction();
    if (instruction) instruction_ = *instruction;
    return instruction.has_value();
}

void Instructions::exception(std::uint8_t vector, std::uint32_t error_code) {
    if (vector == kUD) return undefined_opcode();
    if (vector == kNP && returns_to_absent_stack(error_code)) vector = kSS;
    core_.deliver(Event::fault(vector, error_code));
}

/// IRET and far RET to a stack segment that is not present raise #SS (SDM 2A IRET); the engine says
/// #NP, as for the code segment, which cannot be a data segment.
bool Instructions::returns_to_absent_stack(std::uint32_t selector) {
    const auto in = core_.fetch_instruction();
    if (!in || (in->opcode != 0xcf && in->opcode != 0xca && in->opcode != 0xcb)) return false;
    const std::uint64_t table =
        selector & 4 ? core_.segment(SegmentName::ldtr).base : core_.gdtr().base;
    std::array<std::uint8_t, 8> bytes{};
    if (!core_.peek_linear(table + (selector & ~7u), bytes)) return false;
    std::uint64_t raw = 0;
    std::memcpy(&raw, bytes.data(), sizeof raw);
    const Descriptor descriptor(raw);
    return !descriptor.is_system() && !descriptor.is_code();
}

/// VMX and SVM instructions come as #UD: the engine has neither.
void Instructions::undefined_opcode() {
    const auto in = core_.fetch_instruction();
    if (in && in->lock) return core_.raise(kUD);  // none of these may have it
    if (in && in->opcode == 0xf1) {  // INT1 (SDM 2A "INT1"): a #DB of its own type, DR6 unchanged
        Action action;
        action.kind = ActionKind::icebp;
        action.instruction_length = in->length;
        if (core_.exits(action)) return;
        if (const std::uint64_t held = core_.take_held_debug_bits())
            core_.enter_debug_exception(held);
        Event event;
        event.type = EventType::privileged_software_exception;
        event.vector = kDB;
        event.instruction_length = in->length;
        return core_.deliver(event);
    }
    if (in && in->opcode == 0x0f01 && in->mod() == 3 && in->reg_field() == 4) {  // SMSW
        instruction_ = *in;
        return control_register(InterceptCode::cr_read);
    }
    constexpr std::uint32_t kRdrandFeature = 1u << 30;  // CPUID.1:ECX
    if (in && in->opcode == 0x0fc7 && in->reg_field() == 6 && !in->memory && !in->rep &&
        (core_.model().features_1_ecx & kRdrandFeature))
        return rdrand(*in);
    if (in && absent_from_engine(*in)) return;
    if (in && core_.virtualization() != nullptr) {
        if (core_.virtualization()->execute(*in)) return;
    } else if (in) {
        const bool intel = core_.model().vendor == Vendor::intel;
        std::uint32_t opcode = in->opcode;
        if (opcode == 0x0f01 && in->mod() == 3) opcode = opcode << 8 | in->modrm;
        Action action;
        action.instruction_length = in->length;
        action.opcode = opcode;
        if (opcode == (intel ? 0x0f01c1u : 0x0f01d9u)) {
            action.kind = ActionKind::hypercall;
            if (core_.exits(action)) return;
        } else if ((opcode >= 0x0f01c2 && opcode <= 0x0f01c4) ||
                   (opcode >= 0x0f01d8 && opcode <= 0x0f01df) || opcode == 0x0f78 ||
                   opcode == 0x0f79 || opcode == 0x0f3880 || opcode == 0x0f3881 ||
                   (opcode == 0x0fc7 && in->reg_field() >= 6 && in->memory)) {
            action.kind = ActionKind::vmx_instruction;
            if (core_.exits(action)) return;
        }
    }
    core_.raise(kUD);
}

/// DEVIATION: RDRAND gives a pseudo-random sequence, each processor its own, so that runs repeat.
void Instructions::rdrand(const Instruction& in) {
    const std::uint64_t value = core_.next_random();
    if (in.rex & 8)
        core_.set_gpr(in.rm(), value);
    else if (in.operand16)
        core_.set_gpr(in.rm(), (core_.gpr(in.rm()) & ~0xffffull) | (value & 0xffff));
    else
        core_.set_gpr(in.rm(), value & 0xffffffff);
    // SDM 2B RDRAND: CF tells success, the other arithmetic flags are cleared.
    constexpr std::uint64_t kArithmetic = 0x8d5, kCarry = 1;
    core_.set_rflags((core_.rflags() & ~kArithmetic) | kCarry);
    core_.complete_instruction(in.length);
}

void Instructions::leave_or(ActionKind kind, void (Instructions::*otherwise)()) {
    Action action;
    action.kind = kind;
    action.instruction_length = fetch().length;
    if (!core_.exits(action)) (this->*otherwise)();
}

/// PUSHF, POPF or IRET that the guest's controls let pass after all: the engine executes it, now
/// that it is asked not to hand it over.
void Instructions::run_natively() {
    engine::OptionalIntercepts optional = core_.optional_;
    optional.pushf = optional.popf = optional.iret = false;
    core_.set_optional_intercepts(optional);
}

void Instructions::simple(ActionKind kind, sim::Duration cost) {
    const Instruction in = fetch();
    Action action;
    action.kind = kind;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    core_.charge(cost);
    core_.complete_instruction(in.length);
}

void Instructions::software_interrupt() {
    const Instruction in = fetch();
    Event event;
    event.instruction_length = in.length;
    event.type = EventType::software_exception;
    if (in.opcode == 0xcc) {
        event.vector = kBP;
    } else if (in.opcode == 0xce) {
        if (!(core_.rflags() & 1u << 11)) return core_.complete_instruction(in.length);
        event.vector = kOF;
    } else {
        event.type = EventType::software_interrupt;
        event.vector = static_cast<std::uint8_t>(in.immediate);
        const std::uint64_t flags = core_.rflags();
        // SDM 3B 21.3.3: INT n in virtual-8086 mode needs IOPL 3.
        if ((flags & rflags::kVM) && (flags & rflags::kIOPL) != rflags::kIOPL)
            return core_.raise(kGP);
        Action action;
        action.kind = ActionKind::software_interrupt;
        action.number = event.vector;
        action.instruction_length = in.length;
        if (core_.exits(action)) return;
    }
    core_.deliver(event);
}

void Instructions::cpuid() {
    const Instruction in = fetch();
    Action action;
    action.kind = ActionKind::cpuid;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    core_.charge(core_.timing().instruction_cpuid);
    const CpuidResult result =
        core_.native_cpuid(static_cast<std::uint32_t>(core_.gpr(engine::kRax)),
                           static_cast<std::uint32_t>(core_.gpr(engine::kRcx)));
    core_.set_gpr(engine::kRax, result.eax);
    core_.set_gpr(engine::kRbx, result.ebx);
    core_.set_gpr(engine::kRcx, result.ecx);
    core_.set_gpr(engine::kRdx, result.edx);
    core_.complete_instruction(in.length);
}

void Instructions::halt() {
    const Instruction in = fetch();
    Action action;
    action.kind = ActionKind::hlt;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    core_.set_activity(ActivityState::hlt);
    core_.complete_instruction(in.length);
}

/// APM 3 RDPMC: counters 0 to 3 are there on every AMD64 processor. Intel's models have none.
void Instructions::rdpmc() {
    constexpr std::uint32_t kFirstCounter = 0xc0010004, kCounters = 4;
    const Instruction in = fetch();
    if (!(core_.cr(4) & cr4::kPCE) && core_.cpl() != 0) return core_.raise(kGP);
    Action action;
    action.kind = ActionKind::rdpmc;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    const auto number = static_cast<std::uint32_t>(core_.gpr(engine::kRcx));
    std::uint64_t value = 0;
    if (number >= kCounters || !core_.msrs().read(kFirstCounter + number, value))
        return core_.raise(kGP);
    core_.set_gpr(engine::kRax, value & 0xffffffff);
    core_.set_gpr(engine::kRdx, value >> 32);
    core_.complete_instruction(in.length);
}

void Instructions::rdtsc() {
    const Instruction in = fetch();
    const bool rdtscp = in.opcode == 0x0f01;
    if ((core_.cr(4) & cr4::kTSD) && core_.cpl() != 0) return core_.raise(kGP);
    Action action;
    action.kind = rdtscp ? ActionKind::rdtscp : ActionKind::rdtsc;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    const std::uint64_t tsc = core_.tsc();
    core_.set_gpr(engine::kRax, tsc & 0xffffffff);
    core_.set_gpr(engine::kRdx, tsc >> 32);
    if (rdtscp) core_.set_gpr(engine::kRcx, core_.native_msr(msr::kTscAux) & 0xffffffff);
    core_.complete_instruction(in.length);
}

void Instructions::msr(bool write) {
    const Instruction in = fetch();
    Action action;
    action.kind = write ? ActionKind::wrmsr : ActionKind::rdmsr;
    action.instruction_length = in.length;
    action.msr = static_cast<std::uint32_t>(core_.gpr(engine::kRcx));
    action.value = (core_.gpr(engine::kRax) & 0xffffffff) | core_.gpr(engine::kRdx) << 32;
    if (core_.exits(action)) return;
    core_.charge(core_.timing().instruction_msr);
    if (write) {
        if (!core_.write_msr(action.msr, action.value)) return core_.raise(kGP);
    } else {
        std::uint64_t value = 0;
        if (!core_.read_msr(action.msr, value)) return core_.raise(kGP);
        core_.set_gpr(engine::kRax, value & 0xffffffff);
        core_.set_gpr(engine::kRdx, value >> 32);
    }
    core_.complete_instruction(in.length);
}

/// SDM 2C XSETBV; the engine has checked the privilege.
void Instructions::xsetbv() {
    const Instruction in = fetch();
    if (!(core_.cr(4) & cr4::kOSXSAVE)) return core_.raise(kUD);
    Action action;
    action.kind = ActionKind::xsetbv;
    action.instruction_length = in.length;
    if (core_.exits(action)) return;
    const std::uint64_t value = (core_.gpr(engine::kRax) & 0xffffffff) | core_.gpr(engine::kRdx)
                                                                             << 32;
    const CpuidResult supported = core_.native_cpuid(0xd, 0);
    const std::uint64_t valid = supported.eax | std::uint64_t{supported.edx} << 32;
    constexpr std::uint64_t kX87 = 1;
    if ((core_.gpr(engine::kRcx) & 0xffffffff) != 0 || !(value & kX87) || (value & ~valid) != 0)
        return core_.raise(kGP);
    core_.set_xcr0(value);
    core_.complete_instruction(in.length);
}

// --- I/O ---

/// SDM 1 19.5: CPL against IOPL, then the TSS's bitmap.
bool Instructions::io_permitted(std::uint16_t port, unsigned size) {
    const std::uint64_t flags = core_.rflags();
    const bool v86 = (flags & rflags::kVM) != 0;
    if (!(core_.cr(0) & cr0::kPE)) return true;
    if (!v86 && core_.cpl() <= (flags >> 12 & 3)) return true;
    const Segment tss = core_.segment(SegmentName::tr);
    if (tss.limit < 0x67) return false;
    std::uint16_t base = 0;
    Event fault;
    if (core_.access_linear(tss.base + 0x66, reinterpret_cast<std::uint8_t*>(&base), 2,
                            mmu::Access::read, false, fault) != Core::LinearAccess::done)
        return false;
    const std::uint32_t offset = base + port / 8u;
    if (offset + 1 > tss.limit) return false;
    std::uint16_t bits = 0;
    if (core_.access_linear(tss.base + offset, reinterpret_cast<std::uint8_t*>(&bits), 2,
                            mmu::Access::read, false, fault) != Core::LinearAccess::done)
        return false;
    return (bits >> (port % 8) & ((1u << size) - 1)) == 0;
}

void Instructions::io(const engine::Intercept& intercept) {
    const Instruction in = fetch();
    Action action;
    action.kind = ActionKind::io;
    action.instruction_length = in.length;
    action.io.port = intercept.io.port;
    action.io.size = intercept.io.size;
    action.io.in = intercept.io.in;
    action.io.string = in.opcode >= 0x6c && in.opcode <= 0x6f;
    action.io.rep = action.io.string && (in.rep || in.repne);
    action.io.immediate = in.opcode >= 0xe4 && in.opcode <= 0xe7;
    action.io.address_bits = static_cast<std::uint8_t>(in.address_bits);
    if (action.io.string)  // INS writes through ES, OUTS reads through DS or an override
        action.io.segment = static_cast<std::uint8_t>(
            action.io.in               ? SegmentName::es
            : in.segment_override >= 0 ? static_cast<SegmentName>(in.segment_override)
                                       : SegmentName::ds);
    if (!io_permitted(action.io.port, action.io.size)) return core_.raise(kGP);
    if (action.io.string) {
        action.decoded = &in;
        action.linear = string_linear(in, action);
    }
    const std::uint64_t mask = action.io.size == 4   ? 0xffffffff
                               : action.io.size == 2 ? 0xffff
                                                     : 0xff;
    action.value = core_.gpr(engine::kRax) & mask;
    if (core_.exits(action)) return;
    if (action.io.string) return string_io(in, action);
    sim::Duration delay = 0;
    if (action.io.in) {
        const std::uint64_t value =
            core_.bus_.read_io(action.io.port, action.io.size, core_.now(), delay) & mask;
        const std::uint64_t old = core_.gpr(engine::kRax);
        core_.set_gpr(engine::kRax, action.io.size == 4 ? value : (old & ~mask) | value);
    } else {
        core_.bus_.write_io(action.io.port, action.io.size,
                            static_cast<std::uint32_t>(action.value), core_.now(), delay);
    }
    core_.charge(delay);
    core_.poll_soon();
    core_.note_port(action.io.port, action.io.size);
    core_.complete_instruction(in.length);
}

/// Where INS writes or OUTS reads.
std::uint64_t Instructions::string_linear(const Instruction& in, const Action& action) const {
    const std::uint64_t mask =
        in.address_bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in.address_bits) - 1;
    const auto name = static_cast<SegmentName>(action.io.segment);
    std::uint64_t linear = core_.gpr(action.io.in ? engine::kRdi : engine::kRsi) & mask;
    const bool long64 = core_.code_mode().long64;
    if (!long64 || name == SegmentName::fs || name == SegmentName::gs)
        linear += core_.segment(name).base;
    return long64 ? linear : linear & 0xffffffff;
}

/// One iteration of INS or OUTS; RIP moves on when it was the last.
void Instructions::string_io(const Instruction& in, const Action& action) {
    const std::uint64_t mask =
        in.address_bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in.address_bits) - 1;
    const std::uint64_t count = core_.gpr(engine::kRcx) & mask;
    if (action.io.rep && count == 0) return core_.complete_instruction(in.length);
    const unsigned index = action.io.in ? engine::kRdi : engine::kRsi;
    const std::uint64_t offset = core_.gpr(index) & mask;
    const std::uint64_t linear = string_linear(in, action);
    std::uint32_t value = 0;
    auto* data = reinterpret_cast<std::uint8_t*>(&value);
    sim::Duration delay = 0;
    if (action.io.in) {
        value = core_.bus_.read_io(action.io.port, action.io.size, core_.now(), delay);
        if (!linear_access(linear, data, action.io.size, mmu::Access::write, false)) return;
    } else {
        if (!linear_access(linear, data, action.io.size, mmu::Access::read, false)) return;
        core_.bus_.write_io(action.io.port, action.io.size, value, core_.now(), delay);
    }
    core_.charge(delay);
    core_.note_port(action.io.port, action.io.size);
    const bool down = (core_.rflags() & 1u << 10) != 0;
    const std::uint64_t step = down ? ~std::uint64_t{0} * action.io.size : action.io.size;
    const auto merged = [mask](std::uint64_t old, std::uint64_t fresh) {
        return mask == 0xffff ? (old & ~mask) | (fresh & mask) : fresh & mask;
    };
    core_.set_gpr(index, merged(core_.gpr(index), offset + step));
    if (action.io.rep) {
        core_.set_gpr(engine::kRcx, merged(core_.gpr(engine::kRcx), count - 1));
        if (count > 1) {
            // SDM 3B 18.3.1.1: the return goes on in the middle of the instruction.
            const std::uint64_t flags = core_.rflags();
            if (core_.has_debug_bits()) core_.set_rflags(flags | rflags::kRF);
            return core_.trap_if_due(flags);
        }
    }
    core_.complete_instruction(in.length);
}

// --- fast system calls ---

namespace {

Segment flat_code(std::uint16_t selector, unsigned dpl, bool long64) {
    const std::uint32_t rights = 0x809b | dpl << 5 | (long64 ? 0x2000u : 0x4000u);
    return {selector, 0xffffffff, 0, rights};
}
Segment flat_data(std::uint16_t selector, unsigned dpl) {
    return {selector, 0xffffffff, 0, 0xc093 | dpl << 5};
}

}  // namespace

void Instructions::syscall() {  // SDM 2B SYSCALL; APM 3 SYSCALL
    const std::uint64_t efer_value = core_.efer();
    const CodeMode mode = core_.code_mode();
    const bool intel = core_.model().vendor == Vendor::intel;
    if (!(efer_value & efer::kSCE) || (intel && !mode.long64)) return core_.raise(kUD);
    const std::uint64_t star = core_.native_msr(msr::kStar);
    const std::uint64_t next = core_.rip() + 2;
    const std::uint64_t flags = core_.rflags();
    const auto cs = static_cast<std::uint16_t>(star >> 32 & 0xfffc);
    core_.set_gpr(engine::kRcx, next);
    if (efer_value & efer::kLMA) {
        core_.set_gpr(engine::kR8 + 3, flags & ~rflags::kRF);
        const std::uint64_t mask = core_.native_msr(msr::kFmask) | rflags::kRF;
        core_.set_segment(SegmentName::cs, flat_code(cs, 0, true));
        core_.set_segment(SegmentName::ss, flat_data(static_cast<std::uint16_t>(cs + 8), 0));
        core_.set_rip(core_.native_msr(mode.long64 ? msr::kLstar : msr::kCstar));
        core_.set_rflags(flags & ~mask);
    } else {
        core_.set_segment(SegmentName::cs, flat_code(cs, 0, false));
        core_.set_segment(SegmentName::ss, flat_data(static_cast<std::uint16_t>(cs + 8), 0));
        core_.set_rip(star & 0xffffffff);
        core_.set_rflags(flags & ~(rflags::kVM | rflags::kIF | rflags::kRF));
    }
    core_.set_interrupt_shadow(false);
}

void Instructions::sysenter() {  // SDM 2B SYSENTER
    const std::uint64_t cs = core_.native_msr(msr::kSysenterCs);
    const bool amd_long = core_.model().vendor == Vendor::amd && (core_.efer() & efer::kLMA) != 0;
    if (amd_long) return core_.raise(kUD);  // APM 3 SYSENTER: illegal in long mode
    if (!(core_.cr(0) & cr0::kPE) || (cs & 0xfffc) == 0) return core_.raise(kGP);
    const bool wide = (core_.efer() & efer::kLMA) != 0;
    core_.set_rflags(core_.rflags() & ~(rflags::kVM | rflags::kIF));
    const std::uint64_t rsp = core_.native_msr(msr::kSysenterEsp);
    const std::uint64_t rip = core_.native_msr(msr::kSysenterEip);
    core_.set_segment(SegmentName::cs, flat_code(static_cast<std::uint16_t>(cs & 0xfffc), 0, wide));
    core_.set_segment(SegmentName::ss, flat_data(static_cast<std::uint16_t>((cs & 0xfffc) + 8), 0));
    core_.set_gpr(engine::kRsp, wide ? rsp : rsp & 0xffffffff);
    core_.set_rip(wide ? rip : rip & 0xffffffff);
    core_.set_interrupt_shadow(false);
}

void Instructions::sysexit() {  // SDM 2B SYSEXIT
    const Instruction in = fetch();
    const std::uint64_t cs = core_.native_msr(msr::kSysenterCs);
    if (core_.model().vendor == Vendor::amd && (core_.efer() & efer::kLMA)) return core_.raise(kUD);
    if (!(core_.cr(0) & cr0::kPE) || core_.cpl() != 0 || (cs & 0xfffc) == 0)
        return core_.raise(kGP);
    const bool wide = (in.rex & 8) != 0;
    const auto selector = static_cast<std::uint16_t>((cs & 0xfffc) + (wide ? 32 : 16) + 3);
    const std::uint64_t rip = core_.gpr(engine::kRdx), rsp = core_.gpr(engine::kRcx);
    if (wide && (!is_canonical(rip) || !is_canonical(rsp))) return core_.raise(kGP);
    core_.set_segment(SegmentName::cs, flat_code(selector, 3, wide));
    core_.set_segment(SegmentName::ss, flat_data(static_cast<std::uint16_t>(selector + 8), 3));
    core_.set_gpr(engine::kRsp, wide ? rsp : rsp & 0xffffffff);
    core_.set_rip(wide ? rip : rip & 0xffffffff);
    core_.set_interrupt_shadow(false);
}

}  // namespace hvsim::cpu
