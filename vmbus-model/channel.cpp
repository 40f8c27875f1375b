#include "vmbus-model/channel.h"

#include "sim/error.h"

namespace hvsim::vmbus {

Channel::Channel(Environment& environment, ChannelOwner& owner, ServiceProvider& provider,
                 OfferId id, const Offer& offer, std::uint16_t subchannel_index, OfferId primary)
    : environment_(environment),
      owner_(owner),
      provider_(provider),
      id_(id),
      offer_(offer),
      subchannel_index_(subchannel_index),
      primary_(primary) {}

std::uint32_t Channel::open(std::vector<std::uint64_t> pages, std::uint32_t downstream_page,
                            std::uint32_t ring_gpadl, std::uint32_t target_vp,
                            const std::array<std::uint8_t, 120>& user_data) {
    SIM_ASSERT(!in_use_ && !incoming_);
    const auto split = pages.begin() + static_cast<std::ptrdiff_t>(downstream_page);
    IncomingRing incoming(RingMemory(environment_.memory, {pages.begin(), split}));
    OutgoingRing outgoing(RingMemory(environment_.memory, {split, pages.end()}));
    if (incoming.attach() != RingFault::none || outgoing.attach() != RingFault::none)
        return spec::kStatusUnsuccessful;

    incoming_.emplace(std::move(incoming));
    outgoing_.emplace(std::move(outgoing));
    ring_gpadl_ = ring_gpadl;
    target_vp_ = target_vp;
    user_data_ = user_data;
    fault_ = RingFault::none;
    paused_ = waiting_for_space_ = false;
    work_pending_ = true;  // the guest may have written before it opened
    in_use_ = true;
    const std::uint32_t status = provider_.channel_opened(*this);
    if (status != spec::kStatusSuccess) {
        incoming_.reset();
        outgoing_.reset();
        in_use_ = false;
        return status;
    }
    statistics_.opens++;
    return status;
}

void Channel::close(CloseReason reason) {
    SIM_ASSERT(in_use_ && incoming_);
    incoming_.reset();
    outgoing_.reset();
    work_pending_ = paused_ = waiting_for_space_ = false;
    provider_.channel_closed(*this, reason);
}

void Channel::release() {
    SIM_ASSERT(in_use_ && !incoming_);
    in_use_ = false;
    owner_.channel_released(*this);
}

void Channel::resume() {
    if (!paused_) return;
    paused_ = false;
    work_pending_ = true;
}

void Channel::signalled() {
    statistics_.signals_from_guest++;
    environment_.record(sim::EventKind::kVmbusSignal, vp_of_event(), relid_, 0, 0, 0);
    bool not_empty = false;
    if (!waiting_for_space_ && running() && incoming_->look(not_empty) == RingFault::none &&
        !not_empty)
        statistics_.idle_signals++;
    work_pending_ = true;
}

void Channel::run(std::uint32_t budget) {
    if (!running()) {
        work_pending_ = false;
        return;
    }
    work_pending_ = false;
    if (waiting_for_space_) {
        waiting_for_space_ = false;
        provider_.ready_to_send(*this);
    }
    if (!paused_ && running() && drain(budget)) work_pending_ = true;
}

// The reader's loop; IncomingRing says in which order memory is touched. Returns whether the budget
// ran out: then the mask stays set, because the host reads on without being asked.
bool Channel::drain(std::uint32_t budget) {
    if (incoming_->set_mask(true) != RingFault::none) return fail(incoming_->fault()), false;
    for (;;) {
        switch (incoming_->peek(buffer_)) {
            case IncomingRing::Peek::fault:
                fail(incoming_->fault());
                return false;
            case IncomingRing::Peek::packet:
                if (budget == 0) return publish();
                --budget;
                if (!provider_.can_receive(*this)) {
                    paused_ = true;
                    statistics_.paused++;
                    publish();
                    return false;
                }
                if (!take_packet()) return false;
                break;
            case IncomingRing::Peek::empty: {
                if (!publish()) return false;
                bool not_empty = false;
                if (incoming_->set_mask(false) != RingFault::none ||
                    incoming_->look(not_empty) != RingFault::none)
                    return fail(incoming_->fault()), false;
                if (!not_empty) return false;
                if (incoming_->set_mask(true) != RingFault::none)
                    return fail(incoming_->fault()), false;
                break;
            }
        }
    }
}

/// Takes the packet in buffer_ from the ring. False when the channel failed.
bool Channel::take_packet() {
    const RingFault bad = parse_packet(buffer_, packet_);
    if (bad != RingFault::none) return fail(bad), false;
    incoming_->consume();
    environment_.charge(environment_.costs.packet);
    const std::uint64_t bytes = buffer_.size() + spec::kTrailerSize;
    statistics_.packets_from_guest++;
    statistics_.bytes_from_guest += bytes;
    environment_.record(sim::EventKind::kVmbusPacket, vp_of_event(), relid_, packet_.transaction_id,
                        bytes, 0);
    if (provider_.packet_received(*this, packet_) == PacketResult::invalid)
        fail(RingFault::protocol);
    return running();
}

bool Channel::publish() {
    bool signal = false;
    if (incoming_->publish(signal) != RingFault::none) return fail(incoming_->fault()), false;
    if (signal) {
        statistics_.space_signals_to_guest++;
        signal_guest();
    }
    return true;
}

void Channel::signal_guest() {
    if (target_vp_ == spec::kNoInterruptVp ||
        !environment_.port.signal_event(target_vp_, static_cast<std::uint16_t>(relid_))) {
        statistics_.signals_lost++;
        return;
    }
    environment_.record(sim::EventKind::kVmbusSignal, vp_of_event(), relid_, 1, 0, 0);
}

SendResult Channel::send(const OutgoingPacket& packet) {
    if (!running()) return SendResult::closed;
    const OutgoingRing::Write written = outgoing_->write(packet);
    switch (written) {
        case OutgoingRing::Write::fault:
            fail(outgoing_->fault());
            return SendResult::closed;
        case OutgoingRing::Write::full:
            statistics_.ring_full++;
            waiting_for_space_ = true;
            return SendResult::full;
        case OutgoingRing::Write::written:
        case OutgoingRing::Write::written_masked:
        case OutgoingRing::Write::written_signal:
            break;
    }
    environment_.charge(environment_.costs.completion);
    statistics_.packets_to_guest++;
    statistics_.bytes_to_guest += packet.ring_size();
    environment_.record(sim::EventKind::kVmbusPacket, vp_of_event(), relid_, packet.transaction_id,
                        packet.ring_size(), 1);
    if (written == OutgoingRing::Write::written_signal) {
        statistics_.signals_to_guest++;
        signal_guest();
    } else if (written == OutgoingRing::Write::written_masked) {
        statistics_.signals_suppressed_by_mask++;
    } else {
        statistics_.signals_suppressed_not_empty++;
    }
    return SendResult::sent;
}

void Channel::fail(RingFault fault) {
    if (fault_ != RingFault::none) return;
    fault_ = fault;
    statistics_.faults++;
    work_pending_ = paused_ = waiting_for_space_ = false;
    provider_.channel_failed(*this);
}

}  // namespace hvsim::vmbus
