#include "hypervisor-model/virtual_processor.h"

#include <algorithm>
#include <cstring>

#include "hypervisor-model/hypervisor.h"
#include "sim/error.h"

namespace hvsim::hv {
namespace {

apic::LocalApicConfig apic_config(const Hypervisor& hypervisor, const Partition& partition,
                                  VpIndex index, std::uint32_t apic_id) {
    return {.id = apic_id,
            .bootstrap_processor = index == 0,
            .x2apic = partition.features().x2apic,
            .physical_address_bits = hypervisor.config().physical_address_bits,
            .timer_hz = hypervisor.config().apic_timer_hz,
            .tsc_hz = hypervisor.config().tsc_hz};
}

apic::InterruptMessage fixed_edge(std::uint8_t vector, apic::InterruptCause cause) {
    apic::InterruptMessage message;
    message.vector = vector;
    message.cause = cause;
    return message;
}

constexpr std::uint64_t kInterruptFlag = 1u << 9;

}  // namespace

VirtualProcessor::VirtualProcessor(Hypervisor& hypervisor, Partition& partition, VpIndex index,
                                   std::uint32_t apic_id, const VpPages& pages, sim::Time created)
    : hypervisor_(hypervisor),
      partition_(partition),
      index_(index),
      pages_(pages),
      apic_(apic_config(hypervisor, partition, index, apic_id), partition, partition),
      synic_(hypervisor.ram(), *this) {
    timer_deadlines_.fill(sim::kNever);
    synic_.set_pages(pages.simp << sim::kPageShift, pages.siefp << sim::kPageShift);
    apic_.set_tsc_offset(tsc_offset(), created);
}

VirtualProcessor::~VirtualProcessor() = default;

sim::Subject VirtualProcessor::subject() const noexcept {
    sim::Subject who = partition_.subject();
    who.vp = static_cast<std::uint16_t>(index_);
    who.lp = home_;
    return who;
}

VpContext& VirtualProcessor::context() const {
    SIM_ASSERT(context_ != nullptr);
    return *context_;
}

// --- Run state ---

void VirtualProcessor::set_explicit_suspend(bool value, sim::Time now) {
    explicit_suspend_ = value;
    if (!value) hypervisor_.services().waker.wake(*this, now);
}

void VirtualProcessor::set_intercept_suspend(bool value, sim::Time now) {
    intercept_suspend_ = value;
    if (!value) hypervisor_.services().waker.wake(*this, now);
}

bool VirtualProcessor::runnable(sim::Time) const {
    if (!partition_.active() || partition_.suspended() || explicit_suspend_ || intercept_suspend_)
        return false;
    if (init_pending()) return true;
    if (waits_for_sipi()) return sipi_pending();
    return (!idle_ && !context().halted()) || has_wake_event();
}

// DEVIATION: SMIs and ExtINT requests are kept by the APIC, but there is neither SMM nor an 8259
// here that would end them; they wake nobody, or a guest that asks for one could never halt again.
bool VirtualProcessor::has_wake_event() const {
    if (nmi_pending() || init_pending() || context().has_pending_injection()) return true;
    if (!pending_vector()) return false;
    // GUEST_IDLE ends by any interrupt, HLT by one that can be taken (TLFS 10.1.4, SDM 2A HLT).
    return idle_ || (context().rflags() & kInterruptFlag) != 0;
}

void VirtualProcessor::leave_halt() {
    if (!has_wake_event()) return;
    idle_ = false;
    context().set_halted(false);
}

// --- Time ---

sim::Time VirtualProcessor::next_deadline() const {
    sim::Time earliest = apic_.next_deadline();
    for (unsigned i = 0; i < kStimerCount; ++i) {
        if (timer_deadlines_[i] >= earliest) continue;
        // A lazy timer does not wake a processor (TLFS 12.3).
        if (timers_[i].lazy() && at_rest()) continue;
        earliest = timer_deadlines_[i];
    }
    return earliest;
}

void VirtualProcessor::advance_to(sim::Time now) {
    apic_.advance_to(now);
    for (unsigned i = 0; i < kStimerCount; ++i)
        if (timer_deadlines_[i] <= now && !(timers_[i].lazy() && at_rest())) expire_timer(i, now);
}

void VirtualProcessor::update_deadline(unsigned index) {
    const SyntheticTimer& timer = timers_[index];
    timer_deadlines_[index] = timer.armed() ? partition_.time().time_of(timer.due()) : sim::kNever;
}

void VirtualProcessor::expire_timer(unsigned index, sim::Time now) {
    SyntheticTimer& timer = timers_[index];
    const SyntheticTimer::Expiration expiration = timer.expire(partition_.time().at(now));
    update_deadline(index);
    switch (expiration) {
        case SyntheticTimer::Expiration::none:
            break;
        case SyntheticTimer::Expiration::interrupt:
            hypervisor_.recorder().record(sim::EventKind::kSynicTimer, now, subject(), index,
                                          timer.last_expiration(), timer.vector());
            ++counters_.by_timer;
            receive(fixed_edge(timer.vector(), apic::InterruptCause::synthetic_timer), now);
            break;
        case SyntheticTimer::Expiration::message:
            synic_.post_timer(timer.sint(), index, now);
            break;
    }
}

std::uint64_t VirtualProcessor::tsc_offset() const {
    return partition_.time().tsc_offset() + tsc_adjust_;
}

std::uint64_t VirtualProcessor::tsc(sim::Time now) const {
    return partition_.time().tsc(now) + tsc_adjust_;
}

void VirtualProcessor::write_tsc(std::uint64_t value, sim::Time now) {
    tsc_adjust_ += value - tsc(now);
    apic_.set_tsc_offset(tsc_offset(), now);
    // The reference TSC page speaks of one TSC for all: from here on guests read the MSR.
    if (tsc_adjust_ != 0) partition_.processor_changed_tsc();
}

void VirtualProcessor::clock_changed(sim::Time now) {
    apic_.set_tsc_offset(tsc_offset(), now);
    for (unsigned i = 0; i < kStimerCount; ++i) update_deadline(i);
    hypervisor_.services().waker.wake(*this, now);
}

// --- Interrupts ---

apic::Acceptance VirtualProcessor::receive(const apic::InterruptMessage& message, sim::Time now,
                                           bool auto_eoi) {
    const apic::Acceptance result = apic_.accept(message, now, auto_eoi);
    if (result != apic::Acceptance::dropped) hypervisor_.services().waker.wake(*this, now);
    return result;
}

std::uint8_t VirtualProcessor::accept_interrupt(sim::Time now) {
    after_exit(now);
    if (eoi_offered_) {
        // The offer was for the vector in service until now, not for the new one.
        set_assist_bits(assist_bits() & ~vp_assist::kNoEoiRequired);
        eoi_offered_ = false;
    }
    const bool deliverable = apic_.highest_pending().has_value();
    const std::uint8_t vector = apic_.acknowledge(now);
    ++counters_.accepted[vector];
    if (deliverable && apic_.isr_vector() != vector) ++counters_.auto_eois;
    hypervisor_.recorder().record(sim::EventKind::kInterruptAccepted, now, subject(), vector,
                                  static_cast<std::uint64_t>(apic_.cause(vector)));
    return vector;
}

void VirtualProcessor::end_of_interrupt(sim::Time now) {
    ++counters_.eoi_writes;
    finish_interrupt(now);
}

void VirtualProcessor::finish_interrupt(sim::Time now) {
    if (eoi_offered_) {
        set_assist_bits(assist_bits() & ~vp_assist::kNoEoiRequired);
        eoi_offered_ = false;
    }
    ending_interrupt_ = true;
    apic_.eoi(now);
    ending_interrupt_ = false;
    synic_.retry(now);
}

std::uint32_t VirtualProcessor::assist_bits() const {
    std::uint32_t bits = 0;
    hypervisor_.ram().read((pages_.assist << sim::kPageShift) + vp_assist::kApicAssist, bits);
    return bits;
}

void VirtualProcessor::set_assist_bits(std::uint32_t value) {
    hypervisor_.ram().write((pages_.assist << sim::kPageShift) + vp_assist::kApicAssist, value);
}

void VirtualProcessor::prepare_entry(sim::Time) {
    if (!msr::enabled(assist_msr_) || !partition_.features().eoi_assist) return;
    // Nothing may hang on the EOI: no level-triggered vector, no interrupt and no message waiting.
    const bool offer =
        apic_.isr_vector() && !apic_.any_level_or_lower_pending() && !synic_.anything_queued();
    if (offer == eoi_offered_) return;
    const std::uint32_t bits = assist_bits() & ~vp_assist::kNoEoiRequired;
    set_assist_bits(offer ? bits | vp_assist::kNoEoiRequired : bits);
    eoi_offered_ = offer;
}

void VirtualProcessor::after_exit(sim::Time now) {
    if (!eoi_offered_ || (assist_bits() & vp_assist::kNoEoiRequired) != 0) return;
    eoi_offered_ = false;
    ++counters_.eoi_assists;
    finish_interrupt(now);
}

// --- APIC window ---

std::uint64_t VirtualProcessor::mmio_apic_read(std::uint32_t offset, unsigned size, sim::Time now) {
    ++counters_.xapic_accesses;
    return apic_.mmio_read(offset, size, now);
}

void VirtualProcessor::mmio_apic_write(std::uint32_t offset, unsigned size, std::uint64_t value,
                                       sim::Time now) {
    constexpr std::uint32_t kEoiOffset = 0xb0;
    ++counters_.xapic_accesses;
    if (offset == kEoiOffset && size == 4 && apic_.mode() == apic::ApicMode::xapic) {
        end_of_interrupt(now);
        return;
    }
    apic_.mmio_write(offset, size, value, now);
}

// --- Overlay pages ---

bool VirtualProcessor::change_overlay(std::uint64_t& current, std::uint64_t value,
                                      std::uint64_t system_page) {
    const bool was = msr::enabled(current);
    const bool is = msr::enabled(value);
    GpaSpace& space = partition_.gpa_space();
    if (!was || !is || msr::page_number(current) != msr::page_number(value)) {
        if (is &&
            space.add_overlay(msr::page_number(value), system_page,
                              {.read = true, .write = true, .execute = false}) != HvStatus::success)
            return false;
        if (was) space.remove_overlay(msr::page_number(current), system_page);
    }
    if (is && !was) hypervisor_.ram().fill(system_page << sim::kPageShift, sim::kPageSize, 0);
    current = value;
    return true;
}

bool VirtualProcessor::write_assist_page(std::uint64_t value) {
    using Reserved = sim::Bits<11, 1>;
    if (Reserved::test(value) || !change_overlay(assist_msr_, value, pages_.assist)) return false;
    if (!msr::enabled(value)) eoi_offered_ = false;
    return true;
}

bool VirtualProcessor::write_simp(std::uint64_t value, sim::Time now) {
    std::uint64_t current = synic_.simp();
    if (!change_overlay(current, value, pages_.simp)) return false;
    synic_.set_simp(value, now);
    return true;
}

bool VirtualProcessor::write_siefp(std::uint64_t value, sim::Time now) {
    std::uint64_t current = synic_.siefp();
    if (!change_overlay(current, value, pages_.siefp)) return false;
    synic_.set_siefp(value, now);
    return true;
}

void VirtualProcessor::remove_overlays() {
    GpaSpace& space = partition_.gpa_space();
    if (msr::enabled(assist_msr_))
        space.remove_overlay(msr::page_number(assist_msr_), pages_.assist);
    if (msr::enabled(synic_.simp()))
        space.remove_overlay(msr::page_number(synic_.simp()), pages_.simp);
    if (msr::enabled(synic_.siefp()))
        space.remove_overlay(msr::page_number(synic_.siefp()), pages_.siefp);
    assist_msr_ = 0;
    eoi_offered_ = false;
}

// --- Timers ---

bool VirtualProcessor::write_timer_config(unsigned timer, std::uint64_t value, sim::Time now) {
    SyntheticTimer& target = timers_.at(timer);
    if (!SyntheticTimer::valid_config(value, partition_.has_feature(cpuid::kDirectTimers)))
        return false;
    if (target.message_waiting()) synic_.cancel_timer(timer);
    target.write_config(value, partition_.time().at(now));
    expire_timer(timer, now);
    return true;
}

void VirtualProcessor::write_timer_count(unsigned timer, std::uint64_t value, sim::Time now) {
    SyntheticTimer& target = timers_.at(timer);
    if (target.message_waiting()) synic_.cancel_timer(timer);
    target.write_count(value, partition_.time().at(now));
    expire_timer(timer, now);
}

// --- SynicClient ---

void VirtualProcessor::raise_sint(unsigned, std::uint8_t vector, sim::Time now) {
    ++counters_.by_sint;
    receive(fixed_edge(vector, apic::InterruptCause::synic), now, synic_.auto_eoi(vector));
}

void VirtualProcessor::message_delivered(unsigned sint, const MessageSlot& message, PortId port,
                                         sim::Time now) {
    if (port != 0)
        if (Port* source = partition_.port(port); source != nullptr && source->waiting != 0)
            --source->waiting;
    hypervisor_.recorder().record(sim::EventKind::kSynicMessage, now, subject(), sint, message.type,
                                  message.sender, message.payload_size);
}

MessageSlot VirtualProcessor::take_timer_message(unsigned timer, sim::Time now) {
    ++counters_.timer_messages;
    SyntheticTimer& source = timers_.at(timer);
    const unsigned sint = source.sint();
    const TimerMessagePayload payload{.timer_index = timer,
                                      .expiration_time = source.message_taken(),
                                      .delivery_time = partition_.time().at(now)};
    hypervisor_.recorder().record(sim::EventKind::kSynicTimer, now, subject(), timer,
                                  payload.expiration_time,
                                  msr::Sint::Vector::get(synic_.sint(sint)));
    MessageSlot message;
    message.type = static_cast<std::uint32_t>(MessageType::timer_expired);
    message.payload_size = sizeof(payload);
    std::memcpy(message.payload.data(), &payload, sizeof(payload));
    return message;
}

}  // namespace hvsim::hv
