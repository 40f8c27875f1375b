#include "apic/interrupt_router.h"

namespace hvsim::apic {

bool InterruptRouter::is_target(const LocalApic& apic, const InterruptMessage& message,
                                InterruptSource source) const noexcept {
    const bool own = source.kind == InterruptSource::Kind::processor && source.id == apic.id();
    switch (message.shorthand) {
        case Shorthand::none:
            return apic.is_destination(message);
        case Shorthand::self:
            return own;
        case Shorthand::all:
            return apic.mode() != ApicMode::disabled;
        case Shorthand::all_but_self:
            return !own && apic.mode() != ApicMode::disabled;
    }
    return false;
}

void InterruptRouter::resolve(const InterruptMessage& message, InterruptSource source,
                              std::vector<std::uint32_t>& targets) const {
    targets.clear();
    for (std::uint32_t i = 0; i < apics_.size(); ++i)
        if (is_target(*apics_[i], message, source)) targets.push_back(i);
    if (!message.is_arbitrated()) return;
    std::optional<std::uint32_t> best;
    for (const std::uint32_t i : targets)
        if (apics_[i]->software_enabled() && (!best || apics_[i]->apr() < apics_[*best]->apr()))
            best = i;
    targets.clear();
    if (best) targets.push_back(*best);
}

unsigned InterruptRouter::deliver(const InterruptMessage& message, InterruptSource source,
                                  sim::Time now) {
    std::vector<std::uint32_t> targets;
    resolve(message, source, targets);
    InterruptMessage arriving = message;
    arriving.cause = cause_of(source);
    unsigned taken = 0;
    for (const std::uint32_t i : targets)
        if (apics_[i]->accept(arriving, now) != Acceptance::dropped) ++taken;
    return taken;
}

}  // namespace hvsim::apic
