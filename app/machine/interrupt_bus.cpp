#include "app/machine/interrupt_bus.h"

#include "sim/error.h"

namespace hvsim::app {

void InterruptBus::set_apics(std::vector<apic::LocalApic*> apics) {
    router_ = std::make_unique<apic::InterruptRouter>(std::move(apics));
}

void InterruptBus::send(const apic::InterruptMessage& message, apic::InterruptSource source,
                        sim::Time now) {
    const bool from_processor = source.kind == apic::InterruptSource::Kind::processor;
    if (from_processor)
        recorder_.record(sim::EventKind::kIpi, now, {}, message.vector,
                         static_cast<std::uint64_t>(message.delivery_mode), message.destination);
    if (from_processor && is_to_itself(message, source)) return arrive({message, source}, now);
    const sim::Time arrival = now + (from_processor ? latencies_.ipi : latencies_.msi);
    under_way_.emplace(Arrival{arrival, sent_++}, Message{message, source});
    if (on_departure) on_departure();
}

bool InterruptBus::is_to_itself(const apic::InterruptMessage& message,
                                apic::InterruptSource source) {
    SIM_ASSERT(router_ != nullptr);
    router_->resolve(message, source, targets_);
    return targets_.size() == 1 && router_->at(targets_.front()).id() == source.id;
}

void InterruptBus::advance_to(sim::Time now) {
    while (next_deadline() <= now && !under_way_.empty()) {
        const auto first = under_way_.extract(under_way_.begin());
        arrive(first.mapped(), first.key().first);
    }
}

/// The local APICs' state at the arrival decides who takes the message.
void InterruptBus::arrive(const Message& message, sim::Time at) {
    SIM_ASSERT(router_ != nullptr);
    if (message.source.kind != apic::InterruptSource::Kind::processor)
        recorder_.record(sim::EventKind::kInterrupt, at, {}, message.message.vector,
                         message.source.id);
    router_->resolve(message.message, message.source, targets_);
    apic::InterruptMessage arriving = message.message;
    arriving.cause = apic::cause_of(message.source);
    for (const std::uint32_t target : targets_) {
        router_->at(target).accept(arriving, at);
        if (on_arrival) on_arrival(target, at);
    }
}

void InterruptBus::broadcast_eoi(std::uint8_t vector, sim::Time now) {
    for (apic::IoApic* io_apic : io_apics_) io_apic->broadcast_eoi(vector, now);
}

}  // namespace hvsim::app
