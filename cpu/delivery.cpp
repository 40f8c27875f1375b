#include "cpu/delivery.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/linear_address.h"
#include "cpu/task_switch.h"

namespace hvsim::cpu {
namespace {

/// SDM 3A 6.13: EXT is set when the event came from outside the program.
std::uint32_t ext_bit(const Event& event) {
    return event.type == EventType::software_interrupt ||
                   event.type == EventType::software_exception
               ? 0
               : 1;
}

bool is_contributory(std::uint8_t vector) {
    return vector == kDE || (vector >= kTS && vector <= kGP);
}

std::uint64_t sized(std::uint64_t value, const Segment& segment) {
    return ar::DB::test(segment.access_rights) ? value & 0xffffffff : value & 0xffff;
}

}  // namespace

Combination combine(std::uint8_t first, EventType first_type, std::uint8_t second) {
    if (first_type != EventType::hardware_exception) return Combination::serial;
    if (first == kDF)
        return is_contributory(second) || second == kPF ? Combination::shutdown
                                                        : Combination::serial;
    if (first == kPF && (second == kPF || is_contributory(second)))
        return Combination::double_fault;
    if (is_contributory(first) && is_contributory(second)) return Combination::double_fault;
    return Combination::serial;
}

Delivery::Outcome Delivery::deliver(const Event& event) {
    bool done = false;
    if (!(core_.cr0_ & cr0::kPE))
        done = real_mode(event);
    else if (core_.efer_ & efer::kLMA)
        done = long_mode(event);
    else
        done = protected_mode(event);
    if (exited_) return Outcome::exited;
    if (done) return Outcome::delivered;
    return nested_ ? Outcome::nested_fault : Outcome::fault;
}

std::uint64_t Delivery::return_rip(const Event& event) const {
    return core_.rip() + event.instruction_length;
}

/// The image of RFLAGS on the stack: RF is set for faults, but for those of execution breakpoints
/// (SDM 3B 18.3.1.1).
std::uint64_t Delivery::pushed_flags(const Event& event) const {
    std::uint64_t flags = core_.rflags();
    const bool fault_class =
        event.vector == kDB ? (event.address & dr6::kBD) != 0 : event.vector != kDF;
    if (event.type == EventType::hardware_exception && fault_class) flags |= rflags::kRF;
    return flags;
}

bool Delivery::read(std::uint64_t linear, std::span<std::uint8_t> out) {
    switch (core_.access_linear(linear, out.data(), out.size(), mmu::Access::read, false, fault_)) {
        case Core::LinearAccess::done:
            return true;
        case Core::LinearAccess::nested:
            nested_ = true;
            return false;
        case Core::LinearAccess::fault:
            return false;
    }
    return false;
}

bool Delivery::write(std::uint64_t linear, std::span<const std::uint8_t> in, bool user) {
    std::array<std::uint8_t, 64> copy{};
    std::copy(in.begin(), in.end(), copy.begin());
    switch (core_.access_linear(linear, copy.data(), in.size(), mmu::Access::write, user, fault_)) {
        case Core::LinearAccess::done:
            return true;
        case Core::LinearAccess::nested:
            nested_ = true;
            return false;
        case Core::LinearAccess::fault:
            return false;
    }
    return false;
}

bool Delivery::real_mode(const Event& event) {  // SDM 3B 21.1.4
    const TableRegister idt = core_.idtr();
    const std::uint32_t entry = event.vector * 4u;
    if (entry + 3 > idt.limit) return fail(kGP, 0);
    std::array<std::uint16_t, 2> vector{};
    if (!read(idt.base + entry, vector)) return false;
    const Segment ss = core_.segment(SegmentName::ss);
    const Segment old_cs = core_.segment(SegmentName::cs);
    const std::uint64_t sp = (core_.gpr(engine::kRsp) - 6) & 0xffff;
    const std::array<std::uint16_t, 3> frame{static_cast<std::uint16_t>(return_rip(event)),
                                             old_cs.selector,
                                             static_cast<std::uint16_t>(core_.rflags())};
    std::array<std::uint8_t, sizeof frame> bytes{};
    std::memcpy(bytes.data(), frame.data(), sizeof frame);
    if (!write(ss.base + sp, bytes, false)) return false;
    core_.set_gpr(engine::kRsp, (core_.gpr(engine::kRsp) & ~std::uint64_t{0xffff}) | sp);
    Segment cs = old_cs;
    cs.selector = vector[1];
    cs.base = static_cast<std::uint64_t>(vector[1]) << 4;
    core_.set_segment(SegmentName::cs, cs);
    core_.set_rip(vector[0]);
    core_.set_rflags(core_.rflags() & ~(rflags::kIF | rflags::kTF | rflags::kAC | rflags::kRF));
    return true;
}

bool Delivery::check_gate(const Event& event, const Gate& gate, std::uint32_t idt_error) {
    const bool software =
        event.type == EventType::software_interrupt || event.type == EventType::software_exception;
    if (software && gate.dpl() < core_.cpl()) return fail(kGP, idt_error);
    if (!gate.present()) return fail(kNP, idt_error);
    return true;
}

bool Delivery::read_descriptor(std::uint16_t selector, std::uint8_t vector, std::uint32_t error,
                               std::uint64_t& raw) {
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    if (selector & 4) {
        const Segment ldt = core_.segment(SegmentName::ldtr);
        if (ar::UNUSABLE::test(ldt.access_rights) || (ldt.selector & ~3) == 0)
            return fail(vector, error);
        base = ldt.base;
        limit = ldt.limit;
    } else {
        const TableRegister gdt = core_.gdtr();
        base = gdt.base;
        limit = gdt.limit;
    }
    const std::uint32_t offset = selector & ~7u;
    if (offset + 7 > limit) return fail(vector, error);
    return read(base + offset, raw);
}

/// The gate's code segment, checks of SDM 2A "INT n" (also for hardware events).
bool Delivery::load_code_segment(const Gate& gate, std::uint32_t ext, Target& target) {
    const std::uint16_t selector = gate.selector();
    if ((selector & ~3) == 0) return fail(kGP, ext);
    const std::uint32_t error = (selector & ~3u) | ext;
    std::uint64_t raw = 0;
    if (!read_descriptor(selector, kGP, error, raw)) return false;
    const Descriptor code(raw);
    const unsigned cpl = core_.cpl();
    if (!code.is_code() || code.dpl() > cpl) return fail(kGP, error);
    if ((core_.efer_ & efer::kLMA) && (!code.long64() || code.big())) return fail(kGP, error);
    if (!code.present()) return fail(kNP, error);
    target.cpl = code.is_conforming() ? cpl : code.dpl();
    if ((core_.rflags() & rflags::kVM) && target.cpl != 0) return fail(kGP, error);
    target.cs = code.load(static_cast<std::uint16_t>((selector & ~3u) | target.cpl));
    return true;
}

void Delivery::enter(const Event& event, const Target& target) {
    std::uint64_t flags = core_.rflags() & ~(rflags::kTF | rflags::kNT | rflags::kRF | rflags::kVM);
    if (target.clears_if) flags &= ~rflags::kIF;
    core_.set_segment(SegmentName::cs, target.cs);
    core_.set_rip(target.rip);
    core_.set_rflags(flags);
}

bool Delivery::long_mode(const Event& event) {  // SDM 3A 6.14
    const TableRegister idt = core_.idtr();
    const std::uint32_t entry = event.vector * 16u;
    const std::uint32_t ext = ext_bit(event);
    const std::uint32_t idt_error = event.vector * 8u + 2 + ext;
    if (entry + 15 > idt.limit) return fail(kGP, idt_error);
    std::array<std::uint64_t, 2> raw{};
    if (!read(idt.base + entry, raw)) return false;
    const Gate gate(raw[0], raw[1]);
    if (gate.type() != Gate::kInterrupt32 && gate.type() != Gate::kTrap32)
        return fail(kGP, idt_error);
    if (!check_gate(event, gate, idt_error)) return false;
    Target target;
    target.rip = gate.offset64();
    target.clears_if = gate.type() == Gate::kInterrupt32;
    if (!load_code_segment(gate, ext, target)) return false;
    if (!is_canonical(target.rip)) return fail(kGP, ext);

    const unsigned cpl = core_.cpl();
    std::uint64_t sp = core_.gpr(engine::kRsp);
    if (gate.ist() != 0 || target.cpl < cpl) {  // SDM 3A 6.14.2, 6.14.5; TSS: 8.7
        const Segment tss = core_.segment(SegmentName::tr);
        const std::uint32_t offset =
            gate.ist() != 0 ? 0x24 + 8 * (gate.ist() - 1) : 4 + 8 * target.cpl;
        if (offset + 7 > tss.limit) return fail(kTS, (tss.selector & ~3u) | ext);
        if (!read(tss.base + offset, sp)) return false;
    }
    sp &= ~std::uint64_t{15};
    std::array<std::uint64_t, 6> frame{};
    std::size_t words = 0;
    if (event.has_error_code) frame[words++] = event.error_code;
    frame[words++] = return_rip(event);
    frame[words++] = core_.segment(SegmentName::cs).selector;
    frame[words++] = pushed_flags(event);
    frame[words++] = core_.gpr(engine::kRsp);
    frame[words++] = core_.segment(SegmentName::ss).selector;
    sp -= words * 8;
    std::array<std::uint8_t, sizeof frame> bytes{};
    std::memcpy(bytes.data(), frame.data(), words * 8);
    if (!is_canonical(sp)) return fail(kSS, ext);
    if (!write(sp, std::span(bytes).first(words * 8), target.cpl == 3)) return false;

    core_.set_gpr(engine::kRsp, sp);
    if (target.cpl < cpl || (core_.rflags() & rflags::kVM)) {
        // SDM 3A 6.14.2: SS becomes null with RPL = the new CPL.
        Segment ss;
        ss.selector = static_cast<std::uint16_t>(target.cpl);
        ss.access_rights = static_cast<std::uint32_t>(
            ar::DPL::set(static_cast<std::uint32_t>(ar::UNUSABLE::kMask), target.cpl));
        core_.set_segment(SegmentName::ss, ss);
    }
    enter(event, target);
    return true;
}

bool Delivery::protected_mode(const Event& event) {  // SDM 3A 6.12
    const TableRegister idt = core_.idtr();
    const std::uint32_t entry = event.vector * 8u;
    const std::uint32_t ext = ext_bit(event);
    const std::uint32_t idt_error = event.vector * 8u + 2 + ext;
    if (entry + 7 > idt.limit) return fail(kGP, idt_error);
    std::uint64_t raw = 0;
    if (!read(idt.base + entry, raw)) return false;
    const Gate gate(raw, 0);
    const unsigned type = gate.type();
    const bool gate32 = type == Gate::kInterrupt32 || type == Gate::kTrap32;
    if (type == Gate::kTask) return check_gate(event, gate, idt_error) && task_gate(event, gate);
    if (!gate32 && type != Gate::kInterrupt16 && type != Gate::kTrap16) return fail(kGP, idt_error);
    if (!check_gate(event, gate, idt_error)) return false;
    Target target;
    target.rip = gate32 ? gate.offset32() : gate.offset16();
    target.clears_if = (type & 1) == 0;
    if (!load_code_segment(gate, ext, target)) return false;

    Segment ss = core_.segment(SegmentName::ss);
    std::uint64_t sp = core_.gpr(engine::kRsp);
    const bool switched = target.cpl < core_.cpl() || (core_.rflags() & rflags::kVM);
    if (switched && !inner_stack32(target.cpl, ext, ss, sp)) return false;
    return push_frame32(event, target, gate32, ss, sp, switched);
}

/// SDM 3A 6.12.2: the handler is a task of its own.
bool Delivery::task_gate(const Event& event, const Gate& gate) {
    TaskSwitch task(core_, TaskSource::gate, &event);
    switch (task.to_gate(gate, return_rip(event), pushed_flags(event))) {
        case TaskSwitch::Outcome::done:
            break;
        case TaskSwitch::Outcome::exited:
            exited_ = true;
            return false;
        case TaskSwitch::Outcome::nested_fault:
            nested_ = true;
            return false;
        case TaskSwitch::Outcome::fault:
            fault_ = task.fault();
            return false;
    }
    task_traps_ = task.traps();
    return !event.has_error_code || push_error_code(event, task.is_wide());
}

/// On the new task's stack.
bool Delivery::push_error_code(const Event& event, bool wide) {
    const Segment ss = core_.segment(SegmentName::ss);
    const std::size_t size = wide ? 4 : 2;
    const std::uint64_t rsp = core_.gpr(engine::kRsp);
    const std::uint64_t top = sized(rsp - size, ss);
    const bool expand_down = (ar::TYPE::get(ss.access_rights) & 0xc) == 4;
    if (!expand_down && top + size - 1 > ss.limit) return fail(kSS, ext_bit(event));
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &event.error_code, size);
    if (!write((ss.base + top) & 0xffffffff, std::span(bytes).first(size), core_.cpl() == 3))
        return false;
    const std::uint64_t mask = ar::DB::test(ss.access_rights) ? 0xffffffff : 0xffff;
    core_.set_gpr(engine::kRsp, (rsp & 0xffffffff & ~mask) | top);
    return true;
}

/// SS:ESP of the inner level from the TSS (SDM 3A 6.12.1, 8.2.1, 8.6).
bool Delivery::inner_stack32(unsigned cpl, std::uint32_t ext, Segment& ss, std::uint64_t& sp) {
    const Segment tss = core_.segment(SegmentName::tr);
    const bool tss32 = (ar::TYPE::get(tss.access_rights) & 8) != 0;
    const std::uint32_t offset = tss32 ? 4 + 8 * cpl : 2 + 4 * cpl;
    const std::uint32_t size = tss32 ? 6 : 4;
    const std::uint32_t tss_error = (tss.selector & ~3u) | ext;
    if (offset + size - 1 > tss.limit) return fail(kTS, tss_error);
    std::uint16_t selector = 0;
    if (tss32) {
        std::uint32_t esp = 0;
        if (!read(tss.base + offset, esp) || !read(tss.base + offset + 4, selector)) return false;
        sp = esp;
    } else {
        std::uint16_t sp16 = 0;
        if (!read(tss.base + offset, sp16) || !read(tss.base + offset + 2, selector)) return false;
        sp = sp16;
    }
    const std::uint32_t error = (selector & ~3u) | ext;
    if ((selector & ~3) == 0) return fail(kTS, ext);
    std::uint64_t raw = 0;
    if (!read_descriptor(selector, kTS, error, raw)) return false;
    const Descriptor stack(raw);
    if ((selector & 3u) != cpl || stack.dpl() != cpl || stack.is_system() || stack.is_code() ||
        !stack.read_write())
        return fail(kTS, error);
    if (!stack.present()) return fail(kSS, error);
    ss = stack.load(selector);
    return true;
}

bool Delivery::push_frame32(const Event& event, const Target& target, bool gate32, Segment ss,
                            std::uint64_t sp, bool switched) {
    std::array<std::uint32_t, 10> frame{};
    std::size_t words = 0;
    const bool from_v86 = (core_.rflags() & rflags::kVM) != 0;
    if (event.has_error_code) frame[words++] = event.error_code;
    frame[words++] = static_cast<std::uint32_t>(return_rip(event));
    frame[words++] = core_.segment(SegmentName::cs).selector;
    frame[words++] = static_cast<std::uint32_t>(pushed_flags(event));
    if (switched) {
        frame[words++] = static_cast<std::uint32_t>(core_.gpr(engine::kRsp));
        frame[words++] = core_.segment(SegmentName::ss).selector;
    }
    if (from_v86)
        for (const SegmentName name :
             {SegmentName::es, SegmentName::ds, SegmentName::fs, SegmentName::gs})
            frame[words++] = core_.segment(name).selector;
    const std::size_t size = gate32 ? 4 : 2;
    std::array<std::uint8_t, sizeof frame> bytes{};
    for (std::size_t i = 0; i < words; ++i) std::memcpy(bytes.data() + i * size, &frame[i], size);
    const std::uint64_t top = sized(sp - words * size, ss);
    if (!write((ss.base + top) & 0xffffffff, std::span(bytes).first(words * size), target.cpl == 3))
        return false;

    if (switched) core_.set_segment(SegmentName::ss, ss);
    const std::uint64_t mask = ar::DB::test(ss.access_rights) ? 0xffffffff : 0xffff;
    core_.set_gpr(engine::kRsp, (core_.gpr(engine::kRsp) & 0xffffffff & ~mask) | top);
    enter(event, target);
    if (from_v86)
        for (const SegmentName name :
             {SegmentName::es, SegmentName::ds, SegmentName::fs, SegmentName::gs}) {
            Segment null;
            null.access_rights = static_cast<std::uint32_t>(ar::UNUSABLE::kMask);
            core_.set_segment(name, null);
        }
    return true;
}

}  // namespace hvsim::cpu
