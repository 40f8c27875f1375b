#include "cpu/core.h"

#include <algorithm>
#include <cstring>

#include "cpu/delivery.h"
#include "cpu/descriptor.h"
#include "cpu/instructions.h"
#include "cpu/msr_file.h"
#include "sim/error.h"

namespace hvsim::cpu {
namespace {

constexpr auto kSingleStep = static_cast<engine::InterceptCode>(
    static_cast<std::uint32_t>(engine::InterceptCode::exception) + kDB);

}  // namespace

Core::Core(engine::EngineGroup& engines, sim::Ram& ram, Bus& bus, SharedClock& clock,
           const sim::TimingProfile& timing, sim::Recorder& recorder, const CoreConfig& config,
           apic::LocalApic* apic)
    : engines_(engines),
      engine_(std::make_unique<engine::Engine>(engines, static_cast<engine::EngineClient&>(*this))),
      ram_(ram),
      bus_(bus),
      clock_(clock),
      timing_(timing),
      recorder_(recorder),
      model_(config.model),
      apic_(apic),
      apic_id_(config.apic_id),
      processor_count_(config.processor_count),
      subject_(config.subject),
      ps_per_byte_(timing.clock_ps_per_code_byte) {
    SIM_ASSERT(model_ != nullptr && ps_per_byte_ != 0);
    physical_.ram = &ram_;
    physical_.maxphyaddr = model_->physical_address_bits;
    msrs_ = std::make_unique<MsrFile>(*model_, config.virtualization);
    virtualization_ = config.virtualization;
    nx_ = config.nx;
    slat_ = config.slat;
    set_optional_intercepts({});
    reset(false);
}

Core::~Core() = default;

// --- time ---

void Core::set_now(sim::Time now) noexcept {
    base_ = now - engine_->code_bytes() * ps_per_byte_;  // wraps consistently with now()
    update_limit();
}

void Core::charge(sim::Duration cost) noexcept {
    base_ += cost;
    if (running_ && !handling_) update_limit();
}

void Core::advance_local_time(sim::Time time) noexcept {
    if (time > now()) set_now(time);
}

void Core::shorten_deadline(sim::Time deadline) noexcept {
    if (deadline >= deadline_) return;
    deadline_ = deadline;
    if (running_ && !handling_) update_limit();
}

void Core::update_limit() noexcept {
    const std::uint64_t bytes = engine_->code_bytes();
    const sim::Time current = base_ + bytes * ps_per_byte_;
    sim::Time target = deadline_;
    if (apic_ != nullptr) target = std::min(target, apic_->next_deadline());
    if (extension_ != nullptr) target = std::min(target, guest_deadline());
    if (poll_ || current >= target) {
        engine_->set_limit(bytes);
    } else if (target == sim::kNever) {
        engine_->set_limit(sim::kNever);
    } else {
        engine_->set_limit(bytes + (target - current + ps_per_byte_ - 1) / ps_per_byte_);
    }
}

/// Takes what the local APIC has for the guest, and lets its timer fire when it is due.
void Core::advance_apic() {
    if (apic_ == nullptr) return;
    if (apic_->take_doorbell() && guest_ != nullptr) guest_->take_doorbell();
    if (apic_->next_deadline() > now()) return;
    counters_.greatest_overshoot =
        std::max(counters_.greatest_overshoot, now() - apic_->next_deadline());
    apic_->advance_to(now());
    poll_ = true;
}

void Core::poll_soon() noexcept {
    poll_ = true;
    if (running_ && !handling_) update_limit();
}

void Core::request_stop() noexcept {
    stop_ = CoreStop::requested;
    stop_requested_ = true;
    poll_soon();
}

sim::Time Core::tsc_time() {
    const sim::Time given = clock_.read(now());
    advance_local_time(given);
    return given;
}

std::uint64_t Core::host_tsc() {
    return sim::ticks_at(tsc_time(), timing_.clock_tsc_hz) + tsc_offset_;
}

std::uint64_t Core::tsc() {
    const std::uint64_t ticks = host_tsc();
    return guest_ != nullptr ? guest_->guest_tsc(ticks) : ticks;
}

// --- running ---

CoreStop Core::run(sim::Time now, sim::Time deadline) {
    deadline_ = deadline;
    stop_requested_ = false;
    left_guest_ = false;
    set_now(now);
    running_ = true;
    handling_ = false;
    CoreStop result = CoreStop::deadline;
    for (;;) {
        if (!process_events()) {
            result = stop_;
            break;
        }
        if (this->now() >= deadline_) {
            result = CoreStop::deadline;
            break;
        }
        prepare_instruction();
        update_limit();
        engine_->run();
        pass_boundary(false);
        if (stop_requested_ || left_guest_) {
            result = stop_;
            break;
        }
    }
    running_ = false;
    // An NMI that arrives from now on is the next one, not one beside that in service.
    if (apic_ != nullptr && !nmi_blocked()) apic_->nmi_unblocked();
    return result;
}

void Core::on_limit() {
    pass_boundary(true);
    if (stop_requested_ || left_guest_ || now() >= deadline_) return;
    // The next instruction is to be looked at.
    if (last_branches_.enabled() || held_debug_bits_ != 0) return;
    advance_apic();
    if (poll_) {
        if (due_event() != Due::nothing) return;
        if (awaits_event()) {
            engine_->set_limit(engine_->code_bytes() + 1);
            return;
        }
        poll_ = false;
    }
    update_limit();
}

// --- virtualization ---

void Core::set_guest_mode(GuestMode* mode) noexcept {
    guest_ = mode;
}

void Core::inject(const Event& event) {
    injection_ = event;
    injection_pending_ = true;
    poll_soon();
}

void Core::assist(std::uint64_t guest_physical, engine::MmioHandler& handler) {
    assist_handler_ = &handler;
    assist_physical_ = guest_physical & ~std::uint64_t{0xfff};
}

void Core::run_assist() {
    engine::MmioHandler& handler = *assist_handler_;
    assist_handler_ = nullptr;
    engine_->run_assisted(assist_linear_, assist_physical_, handler);
}

void Core::invalidate_nested() {
    nested_tlb_.invalidate_all();
    flush_tlb();
}

bool Core::exits(const Action& action, const Event* vectoring) {
    if (guest_ == nullptr || !guest_->intercepts(action)) return false;
    // What MOV SS holds off stays with the guest.
    const std::uint64_t held = take_held_debug_bits();
    if (held != 0 && extension_ != nullptr) guest_->defers_debug_trap(held);
    if (!guest_->exit(action, vectoring)) {
        left_guest_ = true;
        stop_ = CoreStop::left_guest;
        engine_->request_stop();
    }
    return true;
}

void Core::shutdown() {
    Action action;
    action.kind = ActionKind::triple_fault;
    if (exits(action)) return;
    enter_shutdown();
}

void Core::enter_shutdown() {
    activity_ = ActivityState::shutdown;
    stop_ = CoreStop::shutdown;
    stop_requested_ = true;
    engine_->request_stop();
}

void Core::deliver(Event event, bool intercept_it) {
    std::optional<Event> first;
    for (;;) {
        if (event.is_exception()) {
            Action action;
            action.kind = ActionKind::exception;
            action.event = event;
            if (intercept_it && exits(action, first ? &*first : nullptr)) return;
            counters_.exceptions++;
        }
        if (event.vector == kPF && event.type == EventType::hardware_exception)
            set_cr(2, event.address);
        if (event.type == EventType::hardware_exception) held_debug_bits_ = 0;
        if (event.vector == kDB && event.type == EventType::hardware_exception &&
            event.address != 0)
            enter_debug_exception(event.address);
        Delivery delivery(*this);
        const std::uint64_t at = rip();
        switch (delivery.deliver(event)) {
            case Delivery::Outcome::delivered:
                set_interrupt_shadow(false);
                last_branches_.record_event(at, rip(), event.vector == kDB);
                if (event.is_exception() || event.type == EventType::software_interrupt)
                    charge(timing_.interrupt_delivery);
                if (event.is_exception())
                    recorder_.record(sim::EventKind::kException, now(), subject_, event.vector,
                                     event.error_code, at, event.address);
                if (delivery.task_traps()) debug_trap(kTaskTrap);
                return;
            case Delivery::Outcome::exited:
                return;
            case Delivery::Outcome::nested_fault: {
                Action action;
                action.kind = ActionKind::nested_page_fault;
                action.linear = nested_linear_;
                action.fault = &nested_fault_;
                exits(action, &event);
                return;
            }
            case Delivery::Outcome::fault:
                break;
        }
        intercept_it = true;
        switch (combine(event.vector, event.type, delivery.fault().vector)) {
            case Combination::shutdown:
                shutdown();
                return;
            case Combination::double_fault:
                first = event;
                event = Event::fault(kDF, 0);
                break;
            case Combination::serial:
                first = event;
                event = delivery.fault();
                break;
        }
    }
}

// --- intercepts ---

void Core::on_intercept(const engine::Intercept& intercept) {
    engine::Engine* const engine = engine_.get();
    const bool system_call = intercept.code == engine::InterceptCode::syscall ||
                             intercept.code == engine::InterceptCode::sysenter;
    const bool completed =
        intercept.code == engine::InterceptCode::watchpoint || intercept.code == kSingleStep;
    debug_bits_ = 0;
    if (!system_call && !completed) branch_.kind = BranchKind::none;  // it has not happened
    handling_ = true;
    if (completed) {
        pass_boundary(true);
        on_debug_trap(intercept);
    } else if (intercept.code == engine::InterceptCode::page_fault)
        handle_page_fault(intercept);
    else
        Instructions(*this).handle(intercept);
    // An access that a handler serves has yet to happen.
    if (assist_handler_ == nullptr) pass_boundary(false);
    const bool goes_on = engine_.get() == engine && process_events() && engine_.get() == engine;
    handling_ = false;
    if (!goes_on) {
        engine->request_stop();  // run() goes on, with the other side's engine where they changed
        return;
    }
    prepare_instruction();
    update_limit();
    // Events that follow each other without an instruction between them (of a handler that cannot
    // be fetched) come to no block boundary, where the limit is looked at.
    const std::uint64_t executed = engine_->code_bytes();
    if (executed == intercepted_at_ && now() >= deadline_) engine_->request_stop();
    intercepted_at_ = executed;
}

void Core::handle_page_fault(const engine::Intercept& intercept) {
    // The library may give only the page: the instruction's operand is then not looked for, the
    // page's first byte stands for it.
    const std::uint64_t linear = intercept.fault.linear;
    const std::uint64_t offset = intercept.fault.exact ? linear & 0xfff : 0;
    switch (refusal_.kind) {
        case Refusal::Kind::page_fault:
            deliver(Event::page_fault(linear, refusal_.error_code));
            return;
        case Refusal::Kind::non_canonical: {
            if (intercept.fault.access == engine::Access::execute) undo_branch(intercept);
            std::array<std::uint8_t, 15> bytes{};
            const bool stack =
                intercept.fault.access != engine::Access::execute &&
                accesses_stack(std::span(bytes).first(peek_code(bytes)), *this, linear);
            raise(stack ? kSS : kGP);
            return;
        }
        case Refusal::Kind::nested: {
            // The fault of a walk is at the entry's own address.
            if (nested_fault_.is_final_access()) nested_fault_.guest_physical |= offset;
            assist_linear_ = linear & ~std::uint64_t{0xfff};
            Action action;
            action.kind = ActionKind::nested_page_fault;
            action.linear = linear;
            action.fault = &nested_fault_;
            SIM_ASSERT(exits(action));
            return;
        }
        case Refusal::Kind::guest_apic:
            access_guest_apic(intercept);
            return;
        case Refusal::Kind::device:
            assist_linear_ = linear & ~std::uint64_t{0xfff};
            assist(refusal_.physical, *this);
            return;
        case Refusal::Kind::code_breakpoint:
            step_next_ = true;
            return;
    }
}

CodeMode Core::code_mode() const {
    return {engine_->in_64bit_code(), engine_->in_32bit_code()};
}

std::optional<Instruction> Core::fetch_instruction() {
    std::array<std::uint8_t, 15> bytes{};
    const CodeMode mode = code_mode();
    const std::uint64_t linear =
        mode.long64 ? rip() : (segment(SegmentName::cs).base + rip()) & 0xffffffff;
    const std::size_t in_page = std::min<std::size_t>(bytes.size(), 4096 - (linear & 0xfff));
    std::size_t size = 0;
    if (peek_linear(linear, std::span(bytes).first(in_page), mmu::Access::execute)) size = in_page;
    if (size == in_page && size < bytes.size()) {
        // Most instructions end in the page: the next one is read only when they do not.
        if (const auto instruction = decode(std::span(bytes).first(size), mode)) return instruction;
        if (peek_linear(linear + in_page, std::span(bytes).subspan(in_page), mmu::Access::execute))
            size = bytes.size();
    }
    return decode(std::span(bytes).first(size), mode);
}

void Core::count_performed(unsigned length) {
    ++counters_.performed;
    counters_.performed_bytes += length;
    charge(length * ps_per_byte_);
}

void Core::complete_instruction(unsigned length) {
    count_performed(length);
    std::uint64_t next = rip() + length;
    if (!code_mode().long64) next &= 0xffffffff;
    set_rip(next);
    set_interrupt_shadow(false);
    const std::uint64_t flags = engine_->system_flags();
    if (flags & rflags::kRF) set_rflags(rflags() & ~rflags::kRF);
    trap_if_due(flags);
}

}  // namespace hvsim::cpu
