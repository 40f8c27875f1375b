// Breakpoints and single-stepping (SDM 3B 18.2, 18.3). Data breakpoints are watchpoints of the
// engine; the page of an execution breakpoint is one that the engine may not fetch from but an
// instruction at a time, with a look at RIP before each.
#include <algorithm>
#include <utility>

#include "cpu/core.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"

namespace hvsim::cpu {
namespace {

constexpr std::uint64_t kBtf = 2;  // IA32_DEBUGCTL.BTF, DebugCtl.BTF

/// MOV to SS and POP SS hold debug exceptions off until behind the next instruction (SDM 3A 6.8.3).
bool loads_stack_segment(std::span<const std::uint8_t> bytes, CodeMode mode) {
    std::size_t at = 0;
    while (at < bytes.size() && (bytes[at] == 0x66 || bytes[at] == 0x67 || bytes[at] == 0x2e ||
                                 (bytes[at] & 0xe7) == 0x26 || (bytes[at] & 0xfe) == 0x64 ||
                                 (mode.long64 && (bytes[at] & 0xf0) == 0x40)))
        ++at;
    if (at >= bytes.size()) return false;
    if (bytes[at] == 0x17) return !mode.long64;
    return bytes[at] == 0x8e && at + 1 < bytes.size() && (bytes[at + 1] >> 3 & 7) == 2;
}

}  // namespace

void Core::set_dr(unsigned index, std::uint64_t value) {
    engine_->set_dr(index, value);
    if (index == 6)
        dr6_ = value;
    else
        update_breakpoints();
}

/// Tells the engine what DR0 to DR3, DR7 and CR4.DE now mean. A world switch comes here for DR7.
void Core::update_breakpoints() {
    const std::uint64_t control = engine_->dr(7);
    if ((control & dr7::kEnables) == 0 && !any_breakpoint_) return;
    forget_breakpoint_pages();
    any_breakpoint_ = (control & dr7::kEnables) != 0;
    code_breakpoints_ = false;
    engine::Watchpoints watched{};
    for (unsigned i = 0; i < breakpoints_.size(); ++i) {
        const Breakpoint b = breakpoints_[i] = breakpoint(i, engine_->dr(i), control);
        const bool reads = b.kind == Breakpoint::Kind::access;
        if (reads || b.kind == Breakpoint::Kind::write)
            watched[i] = {b.address, b.bytes, reads, true, b.enabled};
        code_breakpoints_ |= b.enabled && b.kind == Breakpoint::Kind::execute;
    }
    engine_->set_watchpoints(watched);
    forget_breakpoint_pages();
}

/// The next fetch from there asks again.
void Core::forget_breakpoint_pages() {
    if (!code_breakpoints_) return;
    for (const Breakpoint& b : breakpoints_)
        if (b.enabled && b.kind == Breakpoint::Kind::execute) engine_->flush_tlb_page(b.address);
}

bool Core::is_breakpoint_page(std::uint64_t linear) const noexcept {
    return std::any_of(breakpoints_.begin(), breakpoints_.end(), [linear](const Breakpoint& b) {
        return b.enabled && b.kind == Breakpoint::Kind::execute &&
               sim::page_base(b.address) == sim::page_base(linear);
    });
}

std::uint64_t Core::linear_rip() const {
    const std::uint64_t offset = rip();
    if (code_mode().long64) return offset;
    return (segment(SegmentName::cs).base + offset) & 0xffffffff;
}

std::size_t Core::peek_instruction(std::uint64_t linear, std::span<std::uint8_t> out) {
    const std::size_t in_page = std::min<std::size_t>(out.size(), 4096 - (linear & 0xfff));
    return peek_linear(linear, out.first(in_page), mmu::Access::execute) ? in_page : 0;
}

/// What made the engine run one instruction alone was its shadow flag: sets it as the instruction
/// would have.
void Core::renew_shadow() {
    std::array<std::uint8_t, 8> bytes{};
    const auto instruction = std::span(bytes).first(peek_instruction(stepped_from_, bytes));
    constexpr std::uint8_t kSti = 0xfb;
    const bool opened = !(stepped_flags_ & rflags::kIF) && (rflags() & rflags::kIF);
    stack_shadow_ = loads_stack_segment(instruction, code_mode());
    if (stack_shadow_ || (opened && !instruction.empty() && instruction[0] == kSti))
        set_interrupt_shadow(true);
}

/// DR6.B0 to B3 of the breakpoints that `matches`, if one of them is enabled. SDM 3B 18.2.3: the
/// bits of others are set beside it.
template <typename Matches>
std::uint64_t Core::breakpoint_hits(Matches matches) const {
    std::uint64_t hits = 0;
    bool enabled = false;
    for (unsigned i = 0; i < breakpoints_.size(); ++i) {
        if (!matches(breakpoints_[i])) continue;
        hits |= std::uint64_t{1} << i;
        enabled |= breakpoints_[i].enabled;
    }
    return enabled ? hits : 0;
}

/// Delivers the #DB of a breakpoint at RIP; behind MOV SS Intel's processors hold it off (SDM 3A
/// 6.8.3), and it does not come again. An instruction of the handler runs before the next one:
/// a handler with a breakpoint of its own makes no endless loop.
void Core::process_breakpoint() {
    if (!code_breakpoints_ || activity_ != ActivityState::active || (rflags() & rflags::kRF))
        return;
    const std::uint64_t linear = linear_rip();
    const std::uint64_t hits = breakpoint_hits([linear](const Breakpoint& b) {
        return b.kind == Breakpoint::Kind::execute && b.address == linear;
    });
    const bool held_off = stack_shadow_ && interrupt_shadow() && model_->vendor == Vendor::intel;
    if (hits == 0 || held_off) return;
    Event event = Event::fault(kDB);
    event.address = hits;
    deliver(event);
}

/// An operand of the instruction that the core performs.
void Core::note_access(std::uint64_t linear, std::size_t size, bool write) {
    if (!any_breakpoint_) return;
    debug_bits_ |= breakpoint_hits([&](const Breakpoint& b) {
        return (b.kind == Breakpoint::Kind::access ||
                (write && b.kind == Breakpoint::Kind::write)) &&
               b.overlaps(linear, size);
    });
}

/// Likewise a port. SDM 3B 18.2.4: R/W = 10 is a port's only with CR4.DE.
void Core::note_port(std::uint16_t port, unsigned size) {
    if (!any_breakpoint_ || !(cr4_ & cr4::kDE)) return;
    debug_bits_ |= breakpoint_hits([&](const Breakpoint& b) {
        return b.kind == Breakpoint::Kind::port && b.overlaps(port, size);
    });
}

/// The instruction that the core performed has completed, or an iteration of it.
void Core::trap_if_due(std::uint64_t flags) {
    std::uint64_t bits = std::exchange(debug_bits_, 0);
    if ((flags & rflags::kTF) && !traps_branches_only()) bits |= dr6::kBS;
    if (bits != 0) debug_trap(bits);
}

/// The engine reports accesses to what is watched, or a single step with such accesses.
void Core::on_debug_trap(const engine::Intercept& intercept) {
    std::uint64_t bits = intercept.watch.met;
    const bool single_step = intercept.code != engine::InterceptCode::watchpoint;
    if (single_step && (!traps_branches_only() || took_branch_)) bits |= dr6::kBS;
    if (bits & dr6::kBreakpoints) {
        const bool long64 = code_mode().long64;
        stepped_from_ = (long64 ? 0 : segment(SegmentName::cs).base) + intercept.watch.rip;
        renew_shadow();
        if (stack_shadow_) {
            held_debug_bits_ |= bits;
            holds_debug_ = true;
            return;
        }
        // SDM 3B 18.3.1.1: between two iterations the return has RF set.
        if (rip() == intercept.watch.rip) set_rflags(rflags() | rflags::kRF);
    }
    if (bits != 0) debug_trap(bits);
}

void Core::debug_trap(std::uint64_t bits) {
    engine_->set_dr(6, dr6_);  // the engine has changed its own
    bits |= std::exchange(held_debug_bits_, 0);
    if (extension_ != nullptr && guest_ != nullptr && guest_->defers_debug_trap(bits)) return;
    activity_ = ActivityState::active;
    Event trap = Event::fault(kDB);
    trap.address = bits;
    deliver(trap);
}

/// What a #DB for these reasons leaves behind (SDM 3B 18.2.3, 18.2.4, 18.4.1).
void Core::enter_debug_exception(std::uint64_t bits) {
    set_dr(6, (dr6_ & ~dr6::kBreakpoints) | bits);
    const std::uint64_t control = engine_->dr(7);
    if (control & dr7::kGD) set_dr(7, control & ~dr7::kGD);
    if (traps_branches_only()) set_branch_traps(false);
}

/// TF traps taken branches alone.
bool Core::traps_branches_only() const noexcept {
    return ((model_->vendor == Vendor::intel ? debugctl() : last_branches_.debug_control) & kBtf) !=
           0;
}

void Core::set_branch_traps(bool on) noexcept {
    const std::uint64_t bit = on ? kBtf : 0;
    if (model_->vendor == Vendor::intel)
        set_debugctl((debugctl() & ~kBtf) | bit);
    else
        last_branches_.debug_control = (last_branches_.debug_control & ~kBtf) | bit;
}

}  // namespace hvsim::cpu
