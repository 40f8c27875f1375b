#include "app/machine/interrupt_bus.h"

#include "sim/error.h"

namespace hvsim::app {

void InterruptBus::set_apics(std::vector<apic::LocalApic*> apics) {
    router_ = std::make_unique<apic::InterruptRouter>(std::move(apics));
}

void InterruptBus::send(const apic::InterruptMessage& message, apic::InterruptSource source,
                        sim::Time now) {
    SIM_ASSERT(router_ != nullptr);
    const bool from_processor = source.kind == apic::InterruptSource::Kind::processor;
    const sim::Time arrival = from_processor ? now + ipi_latency_ : now;
    recorder_.record(from_processor ? sim::EventKind::kIpi : sim::EventKind::kInterrupt, now, {},
                     message.vector, from_processor ? static_cast<std::uint64_t>(message.delivery_mode)
                                                    : source.id,
                     from_processor ? message.destination : 0);
    router_->resolve(message, source, targets_);
    for (const std::uint32_t target : targets_) {
        router_->at(target).accept(message, arrival);
        if (on_arrival) on_arrival(target, arrival);
    }
}

void InterruptBus::broadcast_eoi(std::uint8_t vector, sim::Time now) {
    for (apic::IoApic* io_apic : io_apics_) io_apic->broadcast_eoi(vector, now);
}

}  // namespace hvsim::app
