#include "cpu/task_switch.h"

#include <algorithm>
#include <cstring>

namespace hvsim::cpu {
namespace {

// Descriptor types of system segments (SDM 3A table 3-2).
constexpr unsigned kTss16 = 1, kTss16Busy = 3, kTaskGate = 5, kTss32 = 9, kTss32Busy = 11;
constexpr bool is_tss(unsigned type) {
    return type == kTss16 || type == kTss16Busy || type == kTss32 || type == kTss32Busy;
}
constexpr unsigned kBusy = 2;  // bit of the type

// SDM 3A figures 8-2 and 8-10: the least limits, and what a switch saves and loads.
constexpr std::uint32_t kLimit32 = 0x67, kLimit16 = 0x2b;
constexpr std::size_t kState32 = 0x20, kState16 = 0x0e;
constexpr std::size_t kStateSize32 = 0x40, kStateSize16 = 0x1c;
constexpr SegmentName kSegments[6] = {SegmentName::es, SegmentName::cs, SegmentName::ss,
                                      SegmentName::ds, SegmentName::fs, SegmentName::gs};

constexpr std::uint64_t kFlagsValid = 0x3f7fd5;     // SDM 1 figure 3-8
constexpr std::uint64_t kLocalBreakpoints = 0x155;  // DR7.L0 to L3, LE

template <typename T>
T load(std::span<const std::uint8_t> bytes, std::size_t at) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
template <typename T>
void store(std::span<std::uint8_t> bytes, std::size_t at, std::uint64_t value) {
    const T narrow = static_cast<T>(value);
    std::memcpy(bytes.data() + at, &narrow, sizeof narrow);
}

Segment unusable(std::uint16_t selector) {
    return {selector, 0, 0, static_cast<std::uint32_t>(ar::UNUSABLE::kMask)};
}

Segment virtual_8086_segment(std::uint16_t selector) {  // SDM 3B 21.2
    return {selector, 0xffff, std::uint64_t{selector} << 4, 0xf3};
}

}  // namespace

// --- who asks ---

bool TaskSwitch::is_task(Core& core, std::uint16_t selector) {
    TaskSwitch look(core, TaskSource::jump);
    std::uint64_t raw = 0;
    if ((selector & ~3) == 0 || !look.descriptor_at(selector, kGP, raw)) return false;
    const Descriptor descriptor(raw);
    return descriptor.is_system() && (is_tss(descriptor.type()) || descriptor.type() == kTaskGate);
}

TaskSwitch::Outcome TaskSwitch::finish(bool done) const noexcept {
    if (exited_) return Outcome::exited;
    if (done) return Outcome::done;
    return nested_ ? Outcome::nested_fault : Outcome::fault;
}

/// SDM 2A CALL and JMP, TASK-GATE and TASK-STATE-SEGMENT.
TaskSwitch::Outcome TaskSwitch::to_selector(std::uint16_t selector, std::uint64_t next_rip) {
    std::uint64_t raw = 0;
    if (!descriptor_at(selector, kGP, raw)) return finish(false);
    const Descriptor descriptor(raw);
    if (descriptor.dpl() < core_.cpl() || descriptor.dpl() < (selector & 3u))
        return finish(fail(kGP, selector));
    if (descriptor.type() == kTaskGate) {
        if (!descriptor.present()) return finish(fail(kNP, selector));
        selector = Gate(raw, 0).selector();
    }
    return finish(switch_to(selector, next_rip, core_.rflags()));
}

TaskSwitch::Outcome TaskSwitch::to_previous(std::uint64_t next_rip) {  // SDM 2A IRET, TASK-RETURN
    std::array<std::uint8_t, 2> link{};
    if (!access(core_.segment(SegmentName::tr).base, link, mmu::Access::read)) return finish(false);
    const std::uint64_t flags = core_.rflags() & ~rflags::kNT;
    return finish(switch_to(load<std::uint16_t>(link, 0), next_rip, flags));
}

TaskSwitch::Outcome TaskSwitch::to_gate(const Gate& gate, std::uint64_t next_rip,
                                        std::uint64_t flags) {
    return finish(switch_to(gate.selector(), next_rip, flags));
}

// --- the switch ---

bool TaskSwitch::switch_to(std::uint16_t selector, std::uint64_t next_rip, std::uint64_t flags) {
    if (!find_tss(selector)) return false;
    if (exits(selector, next_rip, flags)) return true;
    const Segment old = core_.segment(SegmentName::tr);
    Registers state;
    if (!read_new_state(state) || !prepare_writes(old.selector, old)) return false;
    // Every access below goes to pages that were just found to be there.
    const bool nests = source_ == TaskSource::call || source_ == TaskSource::gate;
    if (!nests && !set_busy(old.selector, false)) return false;
    if (!save_old_state(old, next_rip, flags)) return false;
    if (nests) {
        std::array<std::uint8_t, 2> link{};
        store<std::uint16_t>(link, 0, old.selector);
        if (!access(new_tss_.base, link, mmu::Access::write)) return false;
        state.eflags |= rflags::kNT;
    }
    if (source_ != TaskSource::iret && !set_busy(selector, true)) return false;
    new_tss_.access_rights |= kBusy;
    core_.set_segment(SegmentName::tr, new_tss_);
    load_registers(state);
    return load_segments(state);
}

/// The new TSS's descriptor (table 8-1, the first five rows).
bool TaskSwitch::find_tss(std::uint16_t selector) {
    const bool back = source_ == TaskSource::iret;
    const std::uint8_t wrong = back ? kTS : kGP;
    if ((selector & 4) != 0 || (selector & ~3) == 0) return fail(wrong, selector);
    std::uint64_t raw = 0;
    if (!descriptor_at(selector, wrong, raw)) return false;
    const Descriptor descriptor(raw);
    const bool busy = (descriptor.type() & kBusy) != 0;
    if (!descriptor.is_system() || !is_tss(descriptor.type()) || busy != back)
        return fail(wrong, selector);
    if (!descriptor.present()) return fail(kNP, selector);
    wide_ = (descriptor.type() & 8) != 0;
    if (descriptor.limit() < (wide_ ? kLimit32 : kLimit16)) return fail(kTS, selector);
    new_tss_ = descriptor.load(selector);
    new_tss_.access_rights = descriptor.access_rights();
    return true;
}

/// SDM 3C 26.4.2: after the checks so far, and before anything changes; APM 2 15.14.1.
bool TaskSwitch::exits(std::uint16_t selector, std::uint64_t next_rip, std::uint64_t flags) {
    Action action;
    action.kind = ActionKind::task_switch;
    action.number = static_cast<std::uint8_t>(source_);
    action.instruction_length = static_cast<std::uint8_t>(next_rip - core_.rip());
    action.value = selector | std::uint64_t{action.number} << 30;
    action.resume_flag = (flags & rflags::kRF) != 0;
    if (event_ != nullptr) action.event = *event_;
    exited_ = core_.exits(action, event_);
    return exited_;
}

bool TaskSwitch::read_new_state(Registers& state) {
    std::array<std::uint8_t, kLimit32 + 1> image{};
    const std::size_t size = (wide_ ? kLimit32 : kLimit16) + 1;
    if (!access(new_tss_.base, std::span(image).first(size), mmu::Access::read)) return false;
    if (wide_) {
        state.cr3 = load<std::uint32_t>(image, 0x1c);
        state.eip = load<std::uint32_t>(image, kState32);
        state.eflags = load<std::uint32_t>(image, kState32 + 4);
        for (std::size_t i = 0; i < 8; ++i)
            state.gpr[i] = load<std::uint32_t>(image, kState32 + 8 + 4 * i);
        for (std::size_t i = 0; i < 6; ++i)
            state.segments[i] = load<std::uint16_t>(image, kState32 + 0x28 + 4 * i);
        state.ldt = load<std::uint16_t>(image, 0x60);
        traps_ = (image[0x64] & 1) != 0;
        return true;
    }
    state.eip = load<std::uint16_t>(image, kState16);
    state.eflags = load<std::uint16_t>(image, kState16 + 2);
    // The upper halves are undefined (SDM 3A 8.6); FS and GS do not exist there.
    for (std::size_t i = 0; i < 8; ++i)
        state.gpr[i] = 0xffff0000 | load<std::uint16_t>(image, kState16 + 4 + 2 * i);
    for (std::size_t i = 0; i < 4; ++i)
        state.segments[i] = load<std::uint16_t>(image, kState16 + 0x14 + 2 * i);
    state.ldt = load<std::uint16_t>(image, 0x2a);
    return true;
}

/// SDM 3A 8.3, step 5: both TSSs and both descriptors can be written.
bool TaskSwitch::prepare_writes(std::uint16_t old_selector, const Segment& old) {
    const std::uint64_t gdt = core_.gdtr().base;
    const bool old_wide = (ar::TYPE::get(old.access_rights) & 8) != 0;
    return probe_write(old.base + (old_wide ? kState32 : kState16),
                       old_wide ? kStateSize32 : kStateSize16) &&
           probe_write(new_tss_.base, 2) && probe_write(gdt + (old_selector & ~7u), 8) &&
           probe_write(gdt + (new_tss_.selector & ~7u), 8);
}

bool TaskSwitch::save_old_state(const Segment& old, std::uint64_t next_rip, std::uint64_t flags) {
    std::array<std::uint8_t, kStateSize32> image{};
    const bool wide = (ar::TYPE::get(old.access_rights) & 8) != 0;
    if (wide) {
        store<std::uint32_t>(image, 0, next_rip);
        store<std::uint32_t>(image, 4, flags);
        for (unsigned i = 0; i < 8; ++i) store<std::uint32_t>(image, 8 + 4 * i, core_.gpr(i));
        for (unsigned i = 0; i < 6; ++i)
            store<std::uint32_t>(image, 0x28 + 4 * i, core_.segment(kSegments[i]).selector);
        return access(old.base + kState32, image, mmu::Access::write);
    }
    store<std::uint16_t>(image, 0, next_rip);
    store<std::uint16_t>(image, 2, flags);
    for (unsigned i = 0; i < 8; ++i) store<std::uint16_t>(image, 4 + 2 * i, core_.gpr(i));
    for (unsigned i = 0; i < 4; ++i)
        store<std::uint16_t>(image, 0x14 + 2 * i, core_.segment(kSegments[i]).selector);
    return access(old.base + kState16, std::span(image).first(kStateSize16), mmu::Access::write);
}

bool TaskSwitch::set_busy(std::uint16_t selector, bool busy) {
    const std::uint64_t type = core_.gdtr().base + (selector & ~7u) + 5;
    std::array<std::uint8_t, 1> byte{};
    if (!access(type, byte, mmu::Access::read)) return false;
    byte[0] = static_cast<std::uint8_t>(busy ? byte[0] | kBusy : byte[0] & ~kBusy);
    return access(type, byte, mmu::Access::write);
}

/// Everything but the segments' descriptors; they are without rights until these are loaded.
void TaskSwitch::load_registers(const Registers& state) {
    const std::uint64_t flags = (state.eflags & kFlagsValid) | rflags::kReserved1;
    const bool virtual_8086 = (flags & rflags::kVM) != 0;
    core_.set_cr(0, core_.cr(0) | cr0::kTS);
    if (wide_ && (core_.cr(0) & cr0::kPG)) {
        // DEVIATION: PDPTEs with reserved bits are not refused here: the new task's accesses fault.
        core_.set_cr(3, state.cr3);
        core_.reload_pdptes();
    }
    for (unsigned i = 0; i < 8; ++i) core_.set_gpr(i, state.gpr[i]);
    core_.set_rip(state.eip);
    core_.set_rflags(flags);
    core_.set_dr(7, core_.dr(7) & ~kLocalBreakpoints);
    core_.set_interrupt_shadow(false);
    core_.set_segment(SegmentName::ldtr, unusable(state.ldt));
    for (unsigned i = 0; i < 6; ++i) {
        const std::uint16_t selector = state.segments[i];
        Segment segment = virtual_8086 ? virtual_8086_segment(selector) : unusable(selector);
        if (!virtual_8086 && kSegments[i] == SegmentName::ss)
            segment.access_rights = static_cast<std::uint32_t>(
                ar::DPL::set(segment.access_rights, state.segments[1] & 3u));
        core_.set_segment(kSegments[i], segment);
    }
}

/// The rest of table 8-1, in the new task's context.
bool TaskSwitch::load_segments(const Registers& state) {
    if (!load_ldt(state.ldt)) return false;
    if (!(core_.rflags() & rflags::kVM)) {
        const auto& selectors = state.segments;
        const unsigned cpl = selectors[1] & 3u;
        if (!load_code(selectors[1]) || !load_stack(selectors[2], cpl)) return false;
        for (const unsigned i : {0u, 3u, 4u, 5u})
            if (!load_data(kSegments[i], selectors[i], cpl)) return false;
    }
    if (state.eip > core_.segment(SegmentName::cs).limit) return fail(kGP, 0);
    return true;
}

bool TaskSwitch::load_ldt(std::uint16_t selector) {
    if ((selector & ~3) == 0) return true;
    constexpr unsigned kLdt = 2;
    std::uint64_t raw = 0;
    if ((selector & 4) != 0) return fail(kTS, selector);
    if (!descriptor_at(selector, kTS, raw)) return false;
    const Descriptor descriptor(raw);
    if (!descriptor.is_system() || descriptor.type() != kLdt || !descriptor.present())
        return fail(kTS, selector);
    Segment segment = descriptor.load(selector);
    segment.access_rights = descriptor.access_rights();
    core_.set_segment(SegmentName::ldtr, segment);
    return true;
}

bool TaskSwitch::load_code(std::uint16_t selector) {
    if ((selector & ~3) == 0) return fail(kTS, selector);
    std::uint64_t raw = 0;
    if (!descriptor_at(selector, kTS, raw)) return false;
    const Descriptor code(raw);
    const unsigned cpl = selector & 3u;
    const bool right_level = code.is_conforming() ? code.dpl() <= cpl : code.dpl() == cpl;
    if (!code.is_code() || !right_level) return fail(kTS, selector);
    if (!code.present()) return fail(kNP, selector);
    core_.set_segment(SegmentName::cs, code.load(selector));
    return true;
}

bool TaskSwitch::load_stack(std::uint16_t selector, unsigned cpl) {
    if ((selector & ~3) == 0) return fail(kTS, selector);
    std::uint64_t raw = 0;
    if (!descriptor_at(selector, kTS, raw)) return false;
    const Descriptor stack(raw);
    if (stack.is_system() || stack.is_code() || !stack.read_write() || stack.dpl() != cpl ||
        (selector & 3u) != cpl)
        return fail(kTS, selector);
    if (!stack.present()) return fail(kSS, selector);
    core_.set_segment(SegmentName::ss, stack.load(selector));
    return true;
}

bool TaskSwitch::load_data(SegmentName name, std::uint16_t selector, unsigned cpl) {
    if ((selector & ~3) == 0) return true;
    std::uint64_t raw = 0;
    if (!descriptor_at(selector, kTS, raw)) return false;
    const Descriptor data(raw);
    if (data.is_system() || (data.is_code() && !data.read_write())) return fail(kTS, selector);
    const bool conforming = data.is_code() && data.is_conforming();
    if (!conforming && (data.dpl() < cpl || data.dpl() < (selector & 3u)))
        return fail(kTS, selector);
    if (!data.present()) return fail(kNP, selector);
    core_.set_segment(name, data.load(selector));
    return true;
}

// --- memory ---

bool TaskSwitch::descriptor_at(std::uint16_t selector, std::uint8_t vector, std::uint64_t& raw) {
    std::uint64_t base = core_.gdtr().base;
    std::uint32_t limit = core_.gdtr().limit;
    if (selector & 4) {
        const Segment ldt = core_.segment(SegmentName::ldtr);
        if (ar::UNUSABLE::test(ldt.access_rights)) return fail(vector, selector);
        base = ldt.base;
        limit = ldt.limit;
    }
    const std::uint32_t offset = selector & ~7u;
    if (offset + 7 > limit) return fail(vector, selector);
    std::array<std::uint8_t, 8> bytes{};
    if (!access(base + offset, bytes, mmu::Access::read)) return false;
    raw = load<std::uint64_t>(bytes, 0);
    return true;
}

bool TaskSwitch::access(std::uint64_t linear, std::span<std::uint8_t> bytes, mmu::Access kind) {
    linear &= 0xffffffff;
    switch (core_.access_linear(linear, bytes.data(), bytes.size(), kind, false, fault_)) {
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

/// Finds out whether a write would succeed; accessed and dirty bits are set already.
bool TaskSwitch::probe_write(std::uint64_t linear, std::size_t size) {
    std::array<std::uint8_t, kStateSize32> bytes{};
    const auto part = std::span(bytes).first(std::min(size, bytes.size()));
    return access(linear, part, mmu::Access::read) && access(linear, part, mmu::Access::write);
}

bool TaskSwitch::fail(std::uint8_t vector, std::uint16_t selector) {
    const bool external = event_ != nullptr && event_->type != EventType::software_interrupt &&
                          event_->type != EventType::software_exception;
    fault_ = Event::fault(vector, (selector & ~3u) | (external ? 1u : 0u));
    return false;
}

}  // namespace hvsim::cpu
