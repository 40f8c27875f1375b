#include "apic/local_apic.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/error.h"

namespace hvsim::apic {

using namespace spec;

LocalApic::LocalApic(const LocalApicConfig& config, InterruptFabric& fabric, EoiSink& eoi_sink)
    : config_(config),
      fabric_(fabric),
      eoi_sink_(eoi_sink),
      timer_(config.timer_hz, config.tsc_hz) {
    SIM_ASSERT(config.physical_address_bits >= 36 && config.physical_address_bits <= 52);
    reset();
}

ApicMode LocalApic::mode() const noexcept {
    if (!BaseEnable::test(state_.base)) return ApicMode::disabled;
    return BaseX2apicEnable::test(state_.base) ? ApicMode::x2apic : ApicMode::xapic;
}

void LocalApic::reset_registers() {
    state_.irr = state_.isr = state_.tmr = state_.auto_eoi = VectorSet{};
    state_.icr = 0;
    state_.lvt.fill(kLvtReset);
    state_.tpr = describe(Register::tpr).reset;
    state_.ldr = describe(Register::ldr).reset;
    state_.dfr = describe(Register::dfr).reset;
    state_.svr = describe(Register::svr).reset;
    state_.esr = state_.esr_errors = 0;
    state_.error_interrupt_armed = true;
    timer_.reset();
}

void LocalApic::reset() {
    const std::array<bool, 2> lint_level = state_.lint_level;  // pins belong to the board
    state_ = LocalApicState{};
    state_.lint_level = lint_level;
    state_.base = BaseEnable::set(kDefaultBase, 1);
    state_.base = BaseBootstrapProcessor::set(state_.base, config_.bootstrap_processor);
    state_.xapic_id = config_.id << 24;
    state_.wait_for_sipi = !config_.bootstrap_processor;
    reset_registers();
}

void LocalApic::init_reset() {
    reset_registers();
    state_.ext_int_pending = false;
    state_.wait_for_sipi = !is_bootstrap_processor();
}

// --- Priorities ---

std::uint8_t LocalApic::ppr() const noexcept {
    const std::uint32_t in_service = state_.isr.highest().value_or(0) & 0xf0u;
    // SDM 3A 11.8.3.1: TPR's sub-class counts unless a higher class is in service.
    return static_cast<std::uint8_t>((state_.tpr & 0xf0) >= in_service ? state_.tpr : in_service);
}

std::uint8_t LocalApic::apr() const noexcept {
    // SDM 3A 11.6.2.4.
    const std::uint32_t requested = state_.irr.highest().value_or(0) & 0xf0u;
    const std::uint32_t in_service = state_.isr.highest().value_or(0) & 0xf0u;
    const std::uint32_t task = state_.tpr & 0xf0;
    if (task >= requested && task > in_service) return static_cast<std::uint8_t>(state_.tpr);
    return static_cast<std::uint8_t>(std::max({task, in_service, requested}));
}

std::optional<std::uint8_t> LocalApic::highest_pending() const noexcept {
    const auto vector = state_.irr.highest();
    if (!vector || (*vector & 0xf0) <= (ppr() & 0xf0)) return std::nullopt;
    return vector;
}

// --- Delivery to this APIC ---

Acceptance LocalApic::accept(const InterruptMessage& message, sim::Time now, bool auto_eoi) {
    if (mode() == ApicMode::disabled) {
        ++statistics_.dropped;
        return Acceptance::dropped;
    }
    Acceptance result = Acceptance::dropped;
    const auto latch = [&result](bool& flag) {
        result = flag ? Acceptance::coalesced : Acceptance::accepted;
        flag = true;
    };
    switch (message.delivery_mode) {
        case DeliveryMode::fixed:
        case DeliveryMode::lowest_priority:
            // A deassertion has no meaning where levels travel as messages (SDM 3A 11.11.2).
            if (message.assert_level)
                return accept_vector(message.vector, message.trigger, message.cause, auto_eoi, now);
            break;
        case DeliveryMode::smi:
            latch(state_.smi_pending);
            break;
        case DeliveryMode::nmi:
            result = latch_nmi();
            break;
        case DeliveryMode::init:
            // INIT level deassert only synchronises arbitration ids of old processors.
            if (message.trigger == TriggerMode::edge || message.assert_level) {
                latch(state_.init_pending);
                state_.sipi_pending = false;
            }
            break;
        case DeliveryMode::doorbell:
            latch(state_.doorbell_pending);
            break;
        case DeliveryMode::startup:
            result = latch_sipi(message.vector);
            break;
        case DeliveryMode::ext_int:
            latch(state_.ext_int_pending);
            break;
        case DeliveryMode::reserved:
            break;
    }
    if (result == Acceptance::dropped) ++statistics_.dropped;
    return result;
}

Acceptance LocalApic::accept_vector(std::uint8_t vector, TriggerMode trigger, InterruptCause cause,
                                    bool auto_eoi, sim::Time now) {
    if (vector < 16) {
        ++statistics_.dropped;
        raise_error(kErrorReceiveIllegalVector, now);
        return Acceptance::dropped;
    }
    // A software-disabled APIC answers INIT, NMI, SMI and SIPI only (SDM 3A 11.4.7.2).
    if (!software_enabled()) {
        ++statistics_.dropped;
        return Acceptance::dropped;
    }
    const bool was_pending = state_.irr.test(vector);
    state_.irr.set(vector);
    state_.tmr.assign(vector, trigger == TriggerMode::level);
    state_.auto_eoi.assign(vector, auto_eoi);
    state_.causes[vector] = cause;
    ++(was_pending ? statistics_.coalesced : statistics_.accepted)[vector];
    return was_pending ? Acceptance::coalesced : Acceptance::accepted;
}

Acceptance LocalApic::latch_nmi() noexcept {
    // One NMI is kept while another is served. Two may arrive between two looks of the processor,
    // which a real one would have taken one after the other.
    const std::uint8_t limit = state_.nmi_in_service ? 1 : 2;
    if (state_.nmis_pending >= limit) return Acceptance::coalesced;
    ++state_.nmis_pending;
    return Acceptance::accepted;
}

Acceptance LocalApic::latch_sipi(std::uint8_t vector) noexcept {
    if (!state_.wait_for_sipi && !state_.init_pending) return Acceptance::dropped;
    if (state_.sipi_pending) return Acceptance::coalesced;
    state_.sipi_pending = true;
    state_.sipi_vector = vector;
    return Acceptance::accepted;
}

bool LocalApic::is_destination(const InterruptMessage& message) const noexcept {
    const ApicMode current = mode();
    if (current == ApicMode::disabled) return false;
    const std::uint32_t destination = message.destination;
    const std::uint32_t everybody = message.width == DestinationWidth::x2apic ? 0xffffffffu : 0xffu;
    if (message.destination_mode == DestinationMode::physical) {
        if (destination == everybody) return true;
        return destination == (current == ApicMode::x2apic ? config_.id : xapic_id());
    }
    if (current == ApicMode::x2apic) {
        // SDM 3A 11.12.10.1: cluster in the high half, members in the low half.
        if (destination == everybody) return true;
        const std::uint32_t own = x2apic_ldr(config_.id);
        return own >> 16 == destination >> 16 && (own & destination & 0xffff) != 0;
    }
    if (message.width == DestinationWidth::x2apic && destination == everybody) return true;
    if (destination > 0xff) return false;
    const std::uint32_t own = state_.ldr >> 24;
    switch (state_.dfr >> 28) {
        case 0xf:
            return (own & destination) != 0;  // flat model, SDM 3A 11.6.2.2
        case 0x0:                             // cluster model
            return destination == 0xff ||
                   (own >> 4 == destination >> 4 && (own & destination & 0xf) != 0);
        default:
            return false;
    }
}

// --- Local sources ---

void LocalApic::deliver_local(LvtEntry entry, TriggerMode trigger, sim::Time now) {
    const std::uint32_t reg = lvt(entry);
    if (mode() == ApicMode::disabled || LvtMask::test(reg)) return;
    // Timer and error entries have no delivery mode: fixed (SDM 3A figure 11-8).
    InterruptMessage message;
    message.vector = static_cast<std::uint8_t>(LvtVector::get(reg));
    message.delivery_mode = entry == LvtEntry::timer || entry == LvtEntry::error
                                ? DeliveryMode::fixed
                                : static_cast<DeliveryMode>(LvtDeliveryMode::get(reg));
    message.trigger = trigger;
    message.cause = entry == LvtEntry::timer ? InterruptCause::timer : InterruptCause::local;
    if (message.delivery_mode == DeliveryMode::ext_int) return;  // a level: ext_int_requested()
    if (message.delivery_mode == DeliveryMode::lowest_priority ||
        message.delivery_mode == DeliveryMode::startup)
        return;                                                             // reserved in the LVT
    if (entry == LvtEntry::performance) lvt(entry) = LvtMask::set(reg, 1);  // SDM 3B 19.6.3.5.8
    const Acceptance result = accept(message, now);
    if (trigger == TriggerMode::level && message.delivery_mode == DeliveryMode::fixed &&
        result != Acceptance::dropped)
        lvt(entry) = LvtRemoteIrr::set(lvt(entry), 1);
}

void LocalApic::trigger_lvt(LvtEntry entry, sim::Time now) {
    SIM_ASSERT(entry != LvtEntry::lint0 && entry != LvtEntry::lint1);
    deliver_local(entry, TriggerMode::edge, now);
}

bool LocalApic::lint_asserted(unsigned pin) const noexcept {
    const std::uint32_t reg = lvt(pin == 0 ? LvtEntry::lint0 : LvtEntry::lint1);
    return state_.lint_level[pin] != LvtActiveLow::test(reg);
}

void LocalApic::set_lint(unsigned pin, bool level, sim::Time now) {
    SIM_ASSERT(pin < 2);
    const bool was_asserted = lint_asserted(pin);
    const bool was_high = state_.lint_level[pin];
    state_.lint_level[pin] = level;
    if (mode() == ApicMode::disabled) {
        // The pins are INTR and NMI of a processor without APIC (SDM 3A 11.4.3).
        if (pin == 1 && level && !was_high) latch_nmi();
        return;
    }
    update_lint(pin, was_asserted, now);
}

void LocalApic::update_lint(unsigned pin, bool was_asserted, sim::Time now) {
    const LvtEntry entry = pin == 0 ? LvtEntry::lint0 : LvtEntry::lint1;
    const std::uint32_t reg = lvt(entry);
    if (!lint_asserted(pin)) return;
    // The trigger bit counts for fixed delivery only (SDM 3A 11.5.1).
    const bool level = LvtLevelTriggered::test(reg) && LvtDeliveryMode::get(reg) == 0;
    if (level) {
        if (!LvtRemoteIrr::test(reg)) deliver_local(entry, TriggerMode::level, now);
    } else if (!was_asserted) {
        deliver_local(entry, TriggerMode::edge, now);
    }
}

bool LocalApic::ext_int_requested() const noexcept {
    if (mode() == ApicMode::disabled) return state_.lint_level[0];
    if (state_.ext_int_pending) return true;
    for (unsigned pin = 0; pin < 2; ++pin) {
        const std::uint32_t reg = lvt(pin == 0 ? LvtEntry::lint0 : LvtEntry::lint1);
        if (LvtDeliveryMode::get(reg) == static_cast<std::uint64_t>(DeliveryMode::ext_int) &&
            !LvtMask::test(reg) && lint_asserted(pin))
            return true;
    }
    return false;
}

void LocalApic::raise_error(std::uint32_t errors, sim::Time now) {
    ++statistics_.errors;
    state_.esr_errors |= errors;
    // One error interrupt until ESR is written (SDM 3A 11.5.3); so an illegal vector in the error
    // entry itself ends here.
    if (!state_.error_interrupt_armed) return;
    state_.error_interrupt_armed = false;
    deliver_local(LvtEntry::error, TriggerMode::edge, now);
}

// --- IPIs ---

void LocalApic::send_ipi(std::uint64_t icr, sim::Time now) {
    const DestinationWidth width =
        mode() == ApicMode::x2apic ? DestinationWidth::x2apic : DestinationWidth::xapic;
    const InterruptMessage message = decode_icr(icr, width);
    switch (message.delivery_mode) {
        case DeliveryMode::fixed:
        case DeliveryMode::lowest_priority:
            if (message.vector < 16) {
                std::uint32_t errors = kErrorSendIllegalVector;
                if (message.shorthand == Shorthand::self) errors |= kErrorReceiveIllegalVector;
                return raise_error(errors, now);
            }
            break;
        case DeliveryMode::init:
        case DeliveryMode::startup:
            // INIT level deassert is not supported (SDM 3A 11.6.1). INIT and SIPI to oneself by
            // shorthand are invalid combinations (tables 11-3, 11-4).
            if (!message.assert_level) return;
            if (message.shorthand == Shorthand::self || message.shorthand == Shorthand::all) return;
            break;
        case DeliveryMode::smi:
        case DeliveryMode::nmi:
            break;
        case DeliveryMode::reserved:
        case DeliveryMode::ext_int:
            return;  // reserved in the ICR
        case DeliveryMode::doorbell:
            return;  // no encoding of the ICR
    }
    ++statistics_.ipis_sent;
    // NMI, SMI and lowest priority to "self" are undefined by the tables; here they are delivered.
    if (message.shorthand == Shorthand::self) {
        InterruptMessage own = message;
        own.cause = InterruptCause::ipi;
        accept(own, now);
    } else {
        fabric_.send(message, {InterruptSource::Kind::processor, config_.id}, now);
    }
}

void LocalApic::send_doorbell(std::uint32_t destination, sim::Time now) {
    InterruptMessage message;
    message.destination = destination;
    message.width = DestinationWidth::x2apic;
    message.delivery_mode = DeliveryMode::doorbell;
    fabric_.send(message, {InterruptSource::Kind::processor, config_.id}, now);
}

void LocalApic::self_ipi(std::uint8_t vector, sim::Time now) {
    if (vector < 16) return raise_error(kErrorSendIllegalVector | kErrorReceiveIllegalVector, now);
    accept_vector(vector, TriggerMode::edge, InterruptCause::ipi, false, now);
}

// --- Delivery to the processor ---

std::uint8_t LocalApic::acknowledge(sim::Time now) {
    const auto vector = highest_pending();
    if (!vector) {
        ++statistics_.spurious;
        return static_cast<std::uint8_t>(SvrVector::get(state_.svr));  // SDM 3A 11.9
    }
    ++statistics_.acknowledged[*vector];
    state_.irr.clear(*vector);
    if (state_.auto_eoi.test(*vector)) {
        state_.auto_eoi.clear(*vector);
        end_vector(*vector, now);
    } else {
        state_.isr.set(*vector);
    }
    return *vector;
}

void LocalApic::eoi(sim::Time now) {
    ++statistics_.eois;
    const auto vector = state_.isr.highest();
    if (!vector) return;
    state_.isr.clear(*vector);
    end_vector(*vector, now);
}

void LocalApic::end_vector(std::uint8_t vector, sim::Time now) {
    if (!state_.tmr.test(vector)) return;
    for (const LvtEntry entry : {LvtEntry::lint0, LvtEntry::lint1}) {
        std::uint32_t& reg = lvt(entry);
        if (!LvtRemoteIrr::test(reg) || LvtVector::get(reg) != vector) continue;
        reg = LvtRemoteIrr::set(reg, 0);
        update_lint(entry == LvtEntry::lint0 ? 0 : 1, true, now);
    }
    if (SvrSuppressEoiBroadcast::test(state_.svr)) return;  // directed EOI, SDM 3A 11.8.5
    ++statistics_.eoi_broadcasts;
    eoi_sink_.broadcast_eoi(vector, now);
}

bool LocalApic::any_level_or_lower_pending() const noexcept {
    const auto vector = state_.isr.highest();
    return state_.irr.any() || (vector && state_.tmr.test(*vector));
}

bool LocalApic::take_nmi() noexcept {
    if (state_.nmis_pending == 0) return false;
    --state_.nmis_pending;
    state_.nmi_in_service = true;
    ++statistics_.nmis;
    return true;
}

bool LocalApic::take_smi() noexcept {
    return std::exchange(state_.smi_pending, false);
}

bool LocalApic::take_init() noexcept {
    return std::exchange(state_.init_pending, false);
}

std::optional<std::uint8_t> LocalApic::take_sipi() noexcept {
    if (!state_.sipi_pending || !state_.wait_for_sipi) return std::nullopt;
    state_.sipi_pending = false;
    state_.wait_for_sipi = false;
    return state_.sipi_vector;
}

// --- Time, state, statistics ---

sim::Time LocalApic::next_deadline() const noexcept {
    return timer_.next_deadline();
}

void LocalApic::advance_to(sim::Time now) {
    const std::uint64_t expirations = timer_.advance_to(now);
    if (expirations == 0) return;
    statistics_.timer_expirations += expirations;
    // Periods that passed together make one pending bit, as they would on a busy processor.
    deliver_local(LvtEntry::timer, TriggerMode::edge, now);
}

void LocalApic::set_tsc_offset(std::uint64_t offset, sim::Time now) {
    advance_to(now);
    timer_.set_tsc_offset(offset, now);
    advance_to(now);
}

LocalApicState LocalApic::state() const {
    LocalApicState state = state_;
    state.timer = timer_.state();
    return state;
}

void LocalApic::restore(const LocalApicState& state) {
    state_ = state;
    timer_.restore(state.timer);
    state_.timer = ApicTimerState{};
}

void LocalApic::collect(sim::StatisticsSink& sink, std::string_view prefix) const {
    const std::string name(prefix);
    const auto add = [&](const char* leaf, std::uint64_t value, const char* description) {
        sink.add(name + leaf, value, "count", description);
    };
    add("ipis_sent", statistics_.ipis_sent, "interrupts sent through ICR and self-IPI register");
    add("eois", statistics_.eois, "end-of-interrupt commands");
    add("eoi_broadcasts", statistics_.eoi_broadcasts, "EOIs of level-triggered vectors passed on");
    add("nmis", statistics_.nmis, "non-maskable interrupts taken by the processor");
    add("timer_expirations", statistics_.timer_expirations, "timer deadlines reached");
    add("spurious", statistics_.spurious, "acknowledges answered with the spurious vector");
    add("dropped", statistics_.dropped, "messages not accepted");
    add("errors", statistics_.errors, "errors recorded for ESR");
    const auto add_vectors = [&](const char* leaf, const std::array<std::uint64_t, 256>& counts,
                                 const char* description) {
        for (unsigned vector = 0; vector < 256; ++vector)
            if (counts[vector] != 0)
                sink.add(name + leaf + "." + std::to_string(vector), counts[vector], "count",
                         description);
    };
    add_vectors("accepted", statistics_.accepted, "requests of this vector that became pending");
    add_vectors("coalesced", statistics_.coalesced, "requests of this vector already pending");
    add_vectors("acknowledged", statistics_.acknowledged, "deliveries of this vector");
}

}  // namespace hvsim::apic
