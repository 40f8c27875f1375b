// Control and debug registers, descriptor tables and system segments.
#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/instructions.h"
#include "cpu/linear_address.h"
#include "sim/error.h"

namespace hvsim::cpu {

using engine::InterceptCode;

// --- control and debug registers ---

void Instructions::control_register(InterceptCode code) {
    const Instruction in = fetch();
    const bool write = code >= InterceptCode::cr_write;
    Action action;
    action.instruction_length = in.length;
    action.number = static_cast<std::uint8_t>(static_cast<unsigned>(code) & 0xf);
    if (in.opcode == 0x0f06) {  // CLTS
        action.kind = ActionKind::clts;
        if (core_.exits(action)) return;
        core_.set_cr(0, written_cr(0, core_.cr(0) & ~cr0::kTS));
        return core_.complete_instruction(in.length);
    }
    if (in.opcode == 0x0f01) {  // SMSW, LMSW
        if (!write && denied_by_umip()) return core_.raise(kGP);
        action.kind = write ? ActionKind::lmsw : ActionKind::smsw;
        action.linear = in.memory ? operand_linear(in) : 0;
        std::uint16_t word = 0;
        if (!write) {
            if (core_.exits(action)) return;
            const std::uint64_t visible =
                core_.guest_ != nullptr ? core_.guest_->visible_cr(0, core_.cr(0)) : core_.cr(0);
            word = static_cast<std::uint16_t>(visible);
            if (in.memory) {
                if (!write_operand(action.linear, reinterpret_cast<std::uint8_t*>(&word), 2))
                    return;
            } else {
                core_.set_gpr(in.rm(), in.rex & 8     ? visible
                                       : in.operand16 ? (core_.gpr(in.rm()) & ~0xffffull) | word
                                                      : visible & 0xffffffff);
            }
            return core_.complete_instruction(in.length);
        }
        if (!in.memory)
            word = static_cast<std::uint16_t>(core_.gpr(in.rm()));
        else if (!read_operand(in, action.linear, reinterpret_cast<std::uint8_t*>(&word), 2))
            return;
        action.value = word;
        action.decoded = &in;
        if (core_.exits(action)) return;
        // SDM 2A LMSW: PE can be set, not cleared.
        const std::uint64_t value =
            (core_.cr(0) & ~std::uint64_t{0xe}) | (word & 0xf) | (core_.cr(0) & cr0::kPE);
        if (!core_.write_cr_checked(0, written_cr(0, value))) return core_.raise(kGP);
        return core_.complete_instruction(in.length);
    }
    action.kind = write ? ActionKind::cr_write : ActionKind::cr_read;
    action.gpr = static_cast<std::uint8_t>(in.rm());
    // APM 3 MOV CRn: LOCK makes CR0 into CR8 where the processor announces it.
    if (in.lock && (core_.model().vendor != Vendor::amd || action.number % 8 != 0))
        return core_.raise(kUD);
    if (in.lock) action.number = 8;
    if (write) {
        action.value = core_.gpr(action.gpr);
        if (!core_.code_mode().long64) action.value &= 0xffffffff;
        return move_to_cr(action, in.length);
    }
    if (core_.exits(action)) return;
    const std::uint64_t real = core_.cr(action.number);
    core_.set_gpr(action.gpr,
                  core_.guest_ != nullptr ? core_.guest_->visible_cr(action.number, real) : real);
    core_.complete_instruction(in.length);
}

/// What a control register becomes by the program's write: a guest's controls own some bits.
std::uint64_t Instructions::written_cr(unsigned number, std::uint64_t value) const {
    return core_.guest_ != nullptr ? core_.guest_->written_cr(number, core_.cr(number), value)
                                   : value;
}

void Instructions::move_to_cr(const Action& action, unsigned length) {
    if (core_.exits(action)) return;
    const std::uint64_t value = written_cr(action.number, action.value);
    if (!core_.write_cr_checked(action.number, value)) return core_.raise(kGP);
    core_.complete_instruction(length);
}

void Instructions::debug_register(bool write) {  // SDM 3B 18.2
    const Instruction in = fetch();
    unsigned number = in.reg_field();
    const bool alias = number == 4 || number == 5;
    if (alias && (core_.cr(4) & cr4::kDE)) return core_.raise(kUD);
    Action action;
    action.kind = write ? ActionKind::dr_write : ActionKind::dr_read;
    action.instruction_length = in.length;
    action.number = static_cast<std::uint8_t>(number);
    action.gpr = static_cast<std::uint8_t>(in.rm());
    action.value = core_.gpr(in.rm());
    if (core_.exits(action)) return;
    if (alias) number += 2;
    if (core_.dr(7) & dr7::kGD) {
        Event event = Event::fault(kDB);
        event.address = dr6::kBD;
        return core_.deliver(event);
    }
    if (!write) {
        core_.set_gpr(in.rm(), core_.dr(number));
        return core_.complete_instruction(in.length);
    }
    std::uint64_t value = action.value;
    if (!core_.code_mode().long64) value &= 0xffffffff;
    if (number >= 6 && value >> 32) return core_.raise(kGP);
    if (number == 6) value = (value & 0xe00f) | 0xffff0ff0;
    if (number == 7) value = (value & 0xffff23ff) | 0x400;
    core_.set_dr(number, value);
    core_.complete_instruction(in.length);
}

void Instructions::invlpg() {
    const Instruction in = fetch();
    Action action;
    action.kind = ActionKind::invlpg;
    action.instruction_length = in.length;
    action.linear = operand_linear(in);
    if (core_.exits(action)) return;
    core_.flush_tlb_page(action.linear);
    core_.complete_instruction(in.length);
}

// --- tasks ---

/// A far JMP or CALL in legacy mode: code segments and call gates are the engine's.
void Instructions::far_transfer(const engine::Intercept& intercept) {
    const auto& far = intercept.far;
    if (!TaskSwitch::is_task(core_, far.selector)) return core_.engine().pass_far_transfer();
    const bool jump = intercept.code == InterceptCode::far_jump;
    TaskSwitch task(core_, jump ? TaskSource::jump : TaskSource::call);
    const unsigned length = far.next - static_cast<std::uint32_t>(core_.rip());
    finish_task_switch(task, task.to_selector(far.selector, far.next), length);
}

void Instructions::task_return(const engine::Intercept& intercept) {
    TaskSwitch task(core_, TaskSource::iret);
    const unsigned length = intercept.far.next - static_cast<std::uint32_t>(core_.rip());
    finish_task_switch(task, task.to_previous(intercept.far.next), length);
}

void Instructions::finish_task_switch(const TaskSwitch& task, TaskSwitch::Outcome outcome,
                                      unsigned length) {
    switch (outcome) {
        case TaskSwitch::Outcome::exited:
            return;
        case TaskSwitch::Outcome::fault:
            return core_.deliver(task.fault());
        case TaskSwitch::Outcome::nested_fault: {
            Action action;
            action.kind = ActionKind::nested_page_fault;
            action.linear = core_.nested_linear_;
            action.fault = &core_.nested_fault_;
            SIM_ASSERT(core_.exits(action));
            return;
        }
        case TaskSwitch::Outcome::done:
            break;
    }
    core_.count_performed(length);
    if (task.traps()) core_.debug_trap(Core::kTaskTrap);
}

// --- descriptor tables ---

std::uint64_t Instructions::operand_linear(const Instruction& in) const {
    const std::uint64_t offset = effective_offset(in, core_, core_.rip() + in.length);
    const SegmentName name = operand_segment(in);
    const bool long64 = core_.code_mode().long64;
    if (long64 && name != SegmentName::fs && name != SegmentName::gs) return offset;
    const std::uint64_t linear = core_.segment(name).base + offset;
    return long64 ? linear : linear & 0xffffffff;
}

/// False: the fault has been delivered.
bool Instructions::linear_access(std::uint64_t linear, std::uint8_t* data, std::size_t size,
                                 mmu::Access access, bool system) {
    Event fault;
    const bool user = !system && core_.cpl() == 3;
    switch (core_.access_linear(linear, data, size, access, user, fault, !system)) {
        case Core::LinearAccess::done:
            if (!system) core_.note_access(linear, size, access == mmu::Access::write);
            return true;
        case Core::LinearAccess::fault:
            core_.deliver(fault);
            return false;
        case Core::LinearAccess::nested: {
            Action action;
            action.kind = ActionKind::nested_page_fault;
            action.linear = core_.nested_linear_;
            action.fault = &core_.nested_fault_;
            SIM_ASSERT(core_.exits(action));
            return false;
        }
    }
    return false;
}

bool Instructions::read_operand(const Instruction& in, std::uint64_t linear, std::uint8_t* data,
                                std::size_t size) {
    if (core_.code_mode().long64 && operand_segment(in) == SegmentName::ss &&
        !is_canonical(linear)) {
        core_.raise(kSS);
        return false;
    }
    return linear_access(linear, data, size, mmu::Access::read, false);
}

bool Instructions::write_operand(std::uint64_t linear, std::uint8_t* data, std::size_t size) {
    return linear_access(linear, data, size, mmu::Access::write, false);
}

/// SMSW, SIDT, SGDT, SLDT and STR are for CPL 0 (SDM 3A 2.5, CR4.UMIP); before any exit.
bool Instructions::denied_by_umip() const {
    return (core_.cr(4) & cr4::kUMIP) && core_.cpl() != 0;
}

void Instructions::table_register(InterceptCode code) {
    const Instruction in = fetch();
    const bool reads = code >= InterceptCode::idtr_read && code <= InterceptCode::tr_read;
    if (reads && denied_by_umip()) return core_.raise(kGP);
    Action action;
    const bool local = code == InterceptCode::ldtr_read || code == InterceptCode::tr_read ||
                       code == InterceptCode::ldtr_write || code == InterceptCode::tr_write;
    action.kind = local ? ActionKind::ldtr_tr_access : ActionKind::gdtr_idtr_access;
    action.instruction_length = in.length;
    action.opcode = in.opcode << 8 | in.modrm;
    action.decoded = &in;
    action.linear = in.memory ? operand_linear(in) : 0;
    if (core_.exits(action)) return;
    const std::size_t pointer = core_.code_mode().long64 ? 8 : 4;
    std::array<std::uint8_t, 10> image{};
    switch (code) {
        case InterceptCode::gdtr_write:
        case InterceptCode::idtr_write: {
            if (!read_operand(in, action.linear, image.data(), 2 + pointer)) return;
            TableRegister table;
            std::memcpy(&table.limit, image.data(), 2);
            std::memcpy(&table.base, image.data() + 2, pointer);
            if (pointer == 4 && in.operand16) table.base &= 0xffffff;
            if (!is_canonical(table.base)) return core_.raise(kGP);
            if (code == InterceptCode::gdtr_write)
                core_.set_gdtr(table);
            else
                core_.set_idtr(table);
            break;
        }
        case InterceptCode::gdtr_read:
        case InterceptCode::idtr_read: {
            const TableRegister table =
                code == InterceptCode::gdtr_read ? core_.gdtr() : core_.idtr();
            std::memcpy(image.data(), &table.limit, 2);
            std::memcpy(image.data() + 2, &table.base, pointer);
            if (!write_operand(action.linear, image.data(), 2 + pointer)) return;
            break;
        }
        case InterceptCode::ldtr_read:
        case InterceptCode::tr_read: {
            std::uint16_t selector =
                core_
                    .segment(code == InterceptCode::ldtr_read ? SegmentName::ldtr : SegmentName::tr)
                    .selector;
            if (in.memory) {
                if (!write_operand(action.linear, reinterpret_cast<std::uint8_t*>(&selector), 2))
                    return;
            } else {
                core_.set_gpr(in.rm(), in.operand16 ? (core_.gpr(in.rm()) & ~0xffffull) | selector
                                                    : selector);
            }
            break;
        }
        default:
            return load_system_segment(in, code == InterceptCode::tr_write);
    }
    core_.complete_instruction(in.length);
}

/// LLDT and LTR (SDM 2A).
void Instructions::load_system_segment(const Instruction& in, bool task) {
    std::uint16_t selector = 0;
    if (!in.memory)
        selector = static_cast<std::uint16_t>(core_.gpr(in.rm()));
    else if (!read_operand(in, operand_linear(in), reinterpret_cast<std::uint8_t*>(&selector), 2))
        return;
    const SegmentName name = task ? SegmentName::tr : SegmentName::ldtr;
    if ((selector & ~3) == 0) {
        if (task) return core_.raise(kGP);
        Segment null;
        null.selector = selector;
        null.access_rights = static_cast<std::uint32_t>(ar::UNUSABLE::kMask);
        core_.set_segment(name, null);
        return core_.complete_instruction(in.length);
    }
    const std::uint32_t error = selector & ~3u;
    const TableRegister gdt = core_.gdtr();
    const bool wide = (core_.efer() & efer::kLMA) != 0;
    const std::uint32_t size = wide ? 16 : 8;
    if ((selector & 4) || (selector & ~7u) + size - 1 > gdt.limit) return core_.raise(kGP, error);
    const std::uint64_t linear = gdt.base + (selector & ~7u);
    std::array<std::uint64_t, 2> raw{};
    if (!linear_access(linear, reinterpret_cast<std::uint8_t*>(raw.data()), size, mmu::Access::read,
                       true))
        return;
    const Descriptor descriptor(raw[0]);
    const bool right_type =
        task ? descriptor.type() == 9 || (!wide && descriptor.type() == 1) : descriptor.type() == 2;
    if (!descriptor.is_system() || !right_type) return core_.raise(kGP, error);
    if (!descriptor.present()) return core_.raise(kNP, error);
    Segment segment = descriptor.load(selector);
    segment.access_rights = descriptor.access_rights();
    if (wide) segment.base |= raw[1] << 32;
    if (wide && !is_canonical(segment.base)) return core_.raise(kGP, error);
    if (task) {
        raw[0] |= std::uint64_t{1} << 41;  // busy
        if (!linear_access(linear, reinterpret_cast<std::uint8_t*>(raw.data()), 8,
                           mmu::Access::write, true))
            return;
        segment.access_rights |= 2;
    }
    core_.set_segment(name, segment);
    core_.complete_instruction(in.length);
}

}  // namespace hvsim::cpu
