#include "hypervisor-model/host/logical_processor.h"

#include <algorithm>

#include "cpu/descriptor.h"
#include "hypervisor-model/partition.h"
#include "sim/error.h"

namespace hvsim::hv {

std::string_view vp_run_reason_name(VpRunReason reason) noexcept {
    static constexpr std::array<std::string_view, 11> kNames{
        "woken",   "resumed", "halted", "idle",  "intercept", "suspended",
        "no_sipi", "root",    "slice",  "spins", "refused"};
    const auto index = static_cast<std::size_t>(reason);
    return index < kNames.size() ? kNames[index] : std::string_view{};
}

LogicalProcessor::LogicalProcessor(std::uint32_t id, apic::LocalApic& apic, HostServices& host,
                                   sim::Duration slice)
    : id_(id), apic_(apic), host_(host), slice_(slice) {}

sim::Time LogicalProcessor::now() const noexcept {
    return in_guest_ || handling_exit_ ? current_->backend->core().now() : now_;
}

void LogicalProcessor::add(VpRecord& record) {
    const auto place = std::find_if(records_.begin(), records_.end(), [&](const VpRecord* other) {
        return record.root && !other->root;
    });
    records_.insert(place, &record);
    watch_for_spinning();
    notice(now_);
}

/// Only who shares the processor with others has somebody to give it to. (The root partition takes
/// it without being given it.)
void LogicalProcessor::watch_for_spinning() {
    const auto is_guest = [](const VpRecord* record) { return !record->root; };
    const bool shared = std::count_if(records_.begin(), records_.end(), is_guest) > 1;
    for (VpRecord* record : records_)
        record->backend->exit_when_spinning(shared && is_guest(record));
}

void LogicalProcessor::remove(const VpRecord& record) {
    std::erase(records_, &record);
    watch_for_spinning();
    next_ = 0;
    if (last_ == &record) last_ = nullptr;
    if (current_ == &record) {
        current_ = nullptr;
        in_guest_ = false;
    }
}

void LogicalProcessor::notice(sim::Time at) {
    notice_ = std::min(notice_, at);
}

void LogicalProcessor::shorten(sim::Time deadline) {
    until_ = std::min(until_, deadline);
    if (in_guest_) current_->backend->core().shorten_deadline(deadline);
}

void LogicalProcessor::charge(sim::Duration cost) {
    if (in_guest_ || handling_exit_)
        current_->backend->core().charge(cost);
    else
        now_ += cost;
}

// --- time and timers ---

sim::Time LogicalProcessor::next_virtual_deadline() const {
    sim::Time deadline = sim::kNever;
    for (const VpRecord* record : records_)
        deadline = std::min(deadline, record->vp->next_deadline());
    return deadline;
}

void LogicalProcessor::advance_timers(sim::Time now) {
    for (VpRecord* record : records_)
        if (record->vp->next_deadline() <= now) record->vp->advance_to(now);
}

sim::Time LogicalProcessor::wake_time() const {
    if (!idle_) return now_;
    const sim::Time deadline = std::min({next_virtual_deadline(), apic_.next_deadline(), notice_});
    return deadline == sim::kNever ? sim::kNever : std::max(deadline, now_);
}

/// The processor's own timer interrupts the guest when the hypervisor has something to do.
void LogicalProcessor::arm_timer(const VpRecord&) {
    const sim::Time deadline = std::min(next_virtual_deadline(), slice_end_);
    if (deadline == armed_) return;
    armed_ = deadline;
    const sim::Time now = this->now();
    const apic::LocalApicConfig& config = apic_.config();
    bool done = true;
    if (config.tsc_deadline) {
        const std::uint64_t tsc =
            deadline == sim::kNever ? 0 : sim::ticks_at(deadline, config.tsc_hz) + 1;
        done = apic_.write_msr(apic::spec::kMsrTscDeadline, tsc, now);
    } else {
        std::uint64_t count = 0;
        if (deadline != sim::kNever) {
            const sim::Duration ahead = deadline > now ? deadline - now : 0;
            count =
                std::clamp<std::uint64_t>(sim::ticks_at(ahead, config.timer_hz) + 1, 1, 0xffffffff);
        }
        done = apic_.write_msr(0x838, count, now);  // initial count
    }
    SIM_ASSERT(done);
}

void LogicalProcessor::interrupt(std::uint8_t vector, sim::Time now) {
    counters_.interrupts++;
    sim::Subject processor;
    processor.lp = static_cast<std::uint16_t>(id_);
    host_.recorder().record(sim::EventKind::kInterruptAccepted, now, processor, vector,
                            static_cast<std::uint64_t>(apic_.cause(vector)));
    apic_.eoi(now);
    if (vector == kTimerVector) {
        armed_ = sim::kNever;
        return;  // due timers are looked at before every entry
    }
    if (vector == kIommuFaultVector) return host_.iommu_fault_interrupt(*this);
    if (vector >= kFirstDeviceVector && vector <= kLastDeviceVector)
        host_.device_interrupt(vector, now);
}

void LogicalProcessor::take_interrupts() {
    apic_.advance_to(now());
    while (apic_.highest_pending()) {
        const std::uint8_t vector = apic_.acknowledge(now());
        if (handling_exit_)
            current_->backend->core().charge(host_.timing().hypervisor_interrupt);
        else
            now_ += host_.timing().hypervisor_interrupt;
        interrupt(vector, now());
    }
}

// --- scheduling ---

void LogicalProcessor::note_ready(sim::Time now) {
    for (VpRecord* record : records_) {
        const bool ready = record->vp->runnable(now);
        if (ready && !record->ready) record->ready_since = now;
        record->ready = ready;
    }
}

VpRecord* LogicalProcessor::pick() {
    for (VpRecord* record : records_)
        if (record->root && record->vp->runnable(now_)) return record;
    for (std::size_t i = 0; i < records_.size(); ++i) {
        VpRecord* record = records_[(next_ + i) % records_.size()];
        if (record->root || !record->vp->runnable(now_)) continue;
        next_ = (next_ + i + 1) % records_.size();
        return record;
    }
    return nullptr;
}

/// When a slice that begins now ends: never for one that has nobody to share with.
sim::Time LogicalProcessor::slice_end(const VpRecord& record, sim::Time now) const {
    for (const VpRecord* other : records_)
        if (other != &record && other->root == record.root) return now + slice_;
    return sim::kNever;
}

/// Whether another virtual processor has to run now, and why.
bool LogicalProcessor::must_yield(const VpRecord& record, VpRunReason& reason) {
    const sim::Time now = this->now();
    const bool slice_over = now >= slice_end_;
    for (const VpRecord* other : records_) {
        if (other == &record || !other->vp->runnable(now)) continue;
        const bool to_root = other->root && !record.root;
        if (!to_root && (!slice_over || other->root != record.root)) continue;
        reason = to_root ? VpRunReason::root : yields_ ? VpRunReason::spinning : VpRunReason::slice;
        return true;
    }
    return false;
}

bool LogicalProcessor::may_run(const VpRecord& record, VpRunReason& reason) {
    const VirtualProcessor& vp = *record.vp;
    if (vp.runnable(now())) return !must_yield(record, reason);
    if (vp.intercept_suspend())
        reason = VpRunReason::intercept;
    else if (vp.explicit_suspend() || !vp.partition().active() || vp.partition().suspended())
        reason = VpRunReason::suspended;
    else if (vp.waits_for_sipi())
        reason = VpRunReason::no_sipi;
    else
        reason = vp.idle() ? VpRunReason::idle : VpRunReason::halted;
    return false;
}

/// The current virtual processor waits for another one, which may need this processor to go on.
void LogicalProcessor::yield() {
    slice_end_ = now();
    yields_ = true;
}

void LogicalProcessor::note_start(VpRecord& record, sim::Duration waited) {
    cpu::ExecutionCore& core = record.backend->core();
    const bool gave_way = record.stopped == VpRunReason::root ||
                          record.stopped == VpRunReason::slice ||
                          record.stopped == VpRunReason::spinning;
    const VpRunReason reason = gave_way ? VpRunReason::resumed : VpRunReason::woken;
    record.started = core.now();
    core.recorder().record(sim::EventKind::kVpRun, core.now(), core.subject(), 1,
                           static_cast<std::uint64_t>(reason), waited);
}

void LogicalProcessor::note_stop(VpRecord& record, VpRunReason reason) {
    cpu::ExecutionCore& core = record.backend->core();
    record.stopped = reason;
    core.recorder().record(sim::EventKind::kVpRun, core.now(), core.subject(), 0,
                           static_cast<std::uint64_t>(reason), core.now() - record.started);
}

void LogicalProcessor::run(sim::Time until) {
    // Rounds that hardly move time must not shut out those who may end the simulation.
    constexpr unsigned kMostRounds = 4096;
    until_ = until;
    executing_ = true;
    for (unsigned round = 0; now_ < until_ && round < kMostRounds; ++round) {
        if (idle_) {
            const sim::Time wake = wake_time();
            if (wake >= until_) break;
            counters_.idle += wake - now_;
            now_ = wake;
            idle_ = false;
        }
        notice_ = sim::kNever;
        if (in_guest_) {
            execute(*current_);
            continue;
        }
        take_interrupts();
        advance_timers(now_);
        note_ready(now_);
        VpRecord* next = pick();
        if (next != nullptr) {
            execute(*next);
            continue;
        }
        idle_ = true;
    }
    executing_ = false;
}

void LogicalProcessor::execute(VpRecord& record) {
    cpu::ExecutionCore& core = record.backend->core();
    current_ = &record;
    core.set_now(now_);
    const sim::Time begin = now_;
    if (!in_guest_) {
        if (last_ != &record) {
            counters_.switches++;
            core.subject().lp = static_cast<std::uint16_t>(id_);
            record.backend->load(apic_);
            core.charge(host_.timing().hypervisor_context_switch);
            last_ = &record;
        }
        const sim::Duration waited = record.ready ? now_ - record.ready_since : 0;
        record.waiting += waited;
        record.ready = false;
        slice_end_ = slice_end(record, now_);
        note_start(record, waited);
        handling_exit_ = true;
        const bool entered = enter(record);
        handling_exit_ = false;
        counters_.hypervisor += core.now() - begin;
        if (!entered) {
            now_ = std::max(core.now(), now_ + 1);
            return;
        }
    }
    const sim::Time start = core.now();
    const sim::Duration handled = counters_.hypervisor;
    core.run(start, until_);
    now_ = core.now();
    record.vp->add_run_time(now_ - start);
    counters_.guest += now_ - start - (counters_.hypervisor - handled);
}

// --- entry ---

/// INIT and SIPI that wait for the virtual processor (SDM 3A 9.4).
void LogicalProcessor::start_from_signals(VpRecord& record) {
    VirtualProcessor& vp = *record.vp;
    if (vp.init_pending()) vp.apply_init(now());
    if (vp.waits_for_sipi() && vp.sipi_pending())
        if (const auto vector = vp.take_sipi()) vp.apply_sipi(*vector);
}

void LogicalProcessor::deliver_events(VpRecord& record) {
    VirtualProcessor& vp = *record.vp;
    VpBackend& backend = *record.backend;
    if (backend.has_pending_injection()) return;
    const bool shadow = backend.interrupt_shadow();
    const bool blocked = backend.core().nmi_blocked();
    if (!blocked) vp.nmi_unblocked();
    const bool nmi = vp.nmi_pending() && !blocked && !shadow && vp.take_nmi();
    if (nmi) backend.inject({InjectedEvent::Type::nmi, 2, false, 0, 0});
    const bool pending = vp.pending_vector().has_value();
    const bool open = !nmi && (backend.rflags() & cpu::rflags::kIF) != 0 && !shadow;
    if (pending && open) {
        const std::uint8_t vector = vp.accept_interrupt(now());
        backend.core().charge(host_.timing().hypervisor_event_injection);
        backend.inject({InjectedEvent::Type::external_interrupt, vector, false, 0, 0});
    }
    // One that is still deliverable, as behind a vector with auto-EOI, comes after the injected
    // one.
    backend.request_interrupt_window(vp.pending_vector().has_value());
    backend.request_nmi_window(vp.nmi_pending());
}

bool LogicalProcessor::enter(VpRecord& record) {
    VirtualProcessor& vp = *record.vp;
    const sim::Time now = this->now();
    advance_timers(now);
    start_from_signals(record);
    VpRunReason reason{};
    const bool stays = may_run(record, reason);
    yields_ = false;
    if (!stays) {
        note_stop(record, reason);
        return false;
    }
    if (now >= slice_end_) slice_end_ = slice_end(record, now);  // nobody else wants to run
    vp.leave_halt();
    deliver_events(record);
    vp.prepare_entry(now);
    arm_timer(record);
    record.backend->set_tsc_offset(vp.tsc_offset());
    const EntryReport report = record.backend->enter();
    if (!report.entered) {
        host_.entry_failed(vp, report);
        vp.set_explicit_suspend(true, now);
        note_stop(record, VpRunReason::refused);
        return false;
    }
    in_guest_ = true;
    return true;
}

// --- exits ---

bool LogicalProcessor::on_vm_exit(cpu::ExecutionCore& core) {
    VpRecord& record = *current_;
    const sim::Time start = core.now();
    in_guest_ = false;
    handling_exit_ = true;
    const ExitInfo exit = record.backend->exit_info();
    record.vp->after_exit(start);
    handle(record, exit);
    const bool entered = enter(record);
    handling_exit_ = false;
    ExitCounter& counter =
        counters_
            .exits[std::min<std::size_t>(exit.raw_reason & 0xffff, counters_.exits.size() - 1)];
    counter.count++;
    counter.cost += core.now() - start;
    counters_.hypervisor += core.now() - start;
    return entered;
}

// --- the virtual processor's xAPIC page ---

std::uint64_t LogicalProcessor::mmio_read(std::uint64_t physical, unsigned size) {
    current_->backend->core().charge(host_.timing().hypervisor_apic);
    return current_->vp->mmio_apic_read(static_cast<std::uint32_t>(physical & 0xfff), size, now());
}

void LogicalProcessor::mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) {
    VirtualProcessor& vp = *current_->vp;
    current_->backend->core().charge(host_.timing().hypervisor_apic);
    vp.mmio_apic_write(static_cast<std::uint32_t>(physical & 0xfff), size, value, now());
    // What the write made deliverable, or due, is looked at by an exit of its own.
    const bool due = vp.pending_vector() || next_virtual_deadline() < armed_ || !vp.runnable(now());
    if (due) {
        apic::InterruptMessage message;
        message.vector = kRescheduleVector;
        message.cause = apic::InterruptCause::hypervisor;
        apic_.accept(message, now());
        current_->backend->core().poll_soon();
    }
}

}  // namespace hvsim::hv
