#include "hypervisor-model/synic.h"

#include <algorithm>

#include "sim/bits.h"

namespace hvsim::hv {

void Synic::reset() {
    scontrol_ = simp_ = siefp_ = 0;
    sints_.fill(msr::Sint::kReset);
    for (std::deque<Queued>& queue : queues_) queue.clear();
    queued_ = 0;
    kept_flags_.clear();
    auto_eoi_.reset();
}

void Synic::set_scontrol(std::uint64_t value, sim::Time now) {
    scontrol_ = value;
    retry(now);
    signal_kept(now);
}

void Synic::set_siefp(std::uint64_t value, sim::Time now) {
    siefp_ = value;
    signal_kept(now);
}

void Synic::signal_kept(sim::Time now) {
    if (!msr::enabled(scontrol_) || !msr::enabled(siefp_)) return;
    for (const auto& [sint, flag] : std::exchange(kept_flags_, {})) signal(sint, flag, now);
}

void Synic::set_simp(std::uint64_t value, sim::Time now) {
    simp_ = value;
    retry(now);
}

bool Synic::set_sint(unsigned index, std::uint64_t value, sim::Time now) {
    constexpr std::uint64_t kDefined = msr::Sint::Vector::kMask | msr::Sint::kMasked |
                                       msr::Sint::kAutoEoi | msr::Sint::kPolling |
                                       msr::Sint::kAsIntercept | msr::Sint::kProxy;
    if ((value & ~kDefined) != 0) return false;
    const bool quiet = (value & (msr::Sint::kMasked | msr::Sint::kPolling)) != 0;
    if (msr::Sint::Vector::get(value) < 16 && !quiet) return false;
    sints_[index] = value;
    auto_eoi_.reset();
    for (const std::uint64_t sint : sints_)
        if ((sint & msr::Sint::kAutoEoi) != 0 && (sint & msr::Sint::kMasked) == 0)
            auto_eoi_.set(msr::Sint::Vector::get(sint));
    try_deliver(index, now);
    return true;
}

void Synic::post(unsigned sint, const MessageSlot& message, PortId port, sim::Time now) {
    queues_[sint].push_back({message, port, std::nullopt});
    ++queued_;
    try_deliver(sint, now);
}

void Synic::post_timer(unsigned sint, unsigned timer, sim::Time now) {
    queues_[sint].push_back({{}, 0, static_cast<std::uint8_t>(timer)});
    ++queued_;
    try_deliver(sint, now);
}

void Synic::cancel_timer(unsigned timer) {
    for (std::deque<Queued>& queue : queues_)
        queued_ -= std::erase_if(queue, [&](const Queued& entry) { return entry.timer == timer; });
}

void Synic::drop_port(PortId port) {
    for (std::deque<Queued>& queue : queues_)
        queued_ -= std::erase_if(
            queue, [&](const Queued& entry) { return !entry.timer && entry.port == port; });
}

std::vector<PortId> Synic::waiting_ports() const {
    std::vector<PortId> ports;
    for (const std::deque<Queued>& queue : queues_)
        for (const Queued& entry : queue)
            if (entry.port != 0) ports.push_back(entry.port);
    return ports;
}

bool Synic::messages_enabled(unsigned sint) const noexcept {
    return msr::enabled(scontrol_) && msr::enabled(simp_) &&
           (sints_[sint] & msr::Sint::kMasked) == 0;
}

// TLFS 11.8: a message goes only into an empty slot; while the slot is taken its "message pending"
// flag asks the guest for an EOM. SINT masked or SynIC off: the messages wait.
void Synic::try_deliver(unsigned sint, sim::Time now) {
    std::deque<Queued>& queue = queues_[sint];
    if (queue.empty() || !messages_enabled(sint)) return;
    const std::uint64_t address = slot_address(sint);
    MessageSlot slot;
    ram_.read(address, slot);
    if (slot.type != 0) {
        ram_.write(address + offsetof(MessageSlot, flags),
                   static_cast<std::uint8_t>(slot.flags | kMessagePending));
        ++counters_.messages_delayed;
        return;
    }
    const Queued entry = queue.front();
    queue.pop_front();
    --queued_;
    slot = entry.timer ? client_.take_timer_message(*entry.timer, now) : entry.message;
    slot.flags = queue.empty() ? 0 : kMessagePending;
    ram_.write(address, slot);
    ++counters_.messages;
    client_.message_delivered(sint, slot, entry.port, now);
    interrupt(sint, now);
}

Synic::Signal Synic::signal(unsigned sint, unsigned flag, sim::Time now) {
    if (!msr::enabled(scontrol_) || !msr::enabled(siefp_)) {
        kept_flags_.emplace(sint, flag);
        ++counters_.events_kept;
        return Signal::kept;
    }
    const std::uint64_t address = siefp_page_ + std::uint64_t{sint} * kEventFlagsBytes + flag / 8;
    std::uint8_t byte = 0;
    ram_.read(address, byte);
    if (sim::bit(byte, flag % 8)) {
        ++counters_.events_already_set;
        return Signal::already_set;
    }
    ram_.write(address, static_cast<std::uint8_t>(byte | 1u << flag % 8));
    ++counters_.events;
    // A masked SINT keeps the flag; the guest finds it when it looks.
    if ((sints_[sint] & msr::Sint::kMasked) == 0) interrupt(sint, now);
    return Signal::newly_set;
}

void Synic::interrupt(unsigned sint, sim::Time now) {
    const std::uint64_t value = sints_[sint];
    if ((value & msr::Sint::kPolling) != 0) return;
    client_.raise_sint(sint, static_cast<std::uint8_t>(msr::Sint::Vector::get(value)), now);
}

void Synic::retry(sim::Time now) {
    if (queued_ == 0) return;
    for (unsigned sint = 0; sint < kSintCount; ++sint) try_deliver(sint, now);
}

}  // namespace hvsim::hv
