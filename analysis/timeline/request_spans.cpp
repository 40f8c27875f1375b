#include "analysis/timeline/request_spans.h"

#include <algorithm>

#include "analysis/timeline/argument.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;

constexpr std::uint64_t kHvCallSignalEvent = 0x5d;  // TLFS 6.0b, appendix A
constexpr std::uint64_t kCauseSynic = 6;            // interrupt_accepted: docs/tracing.md

}  // namespace

void Timeline::Requests::on_event(const sim::Event& event) {
    switch (event.kind) {
        case EventKind::kSynicEvent:
            event_receiver_ = event.subject;
            return;
        case EventKind::kHypercall:
            return on_hypercall(event);
        case EventKind::kVmbusSignal:
            return on_signal(event);
        case EventKind::kVmbusPacket:
            return argument<EventKind::kVmbusPacket, "to_guest">(event) != 0 ? answer_packet(event)
                                                                             : take_packet(event);
        case EventKind::kScsiRequest:
            return on_scsi_request(event);
        case EventKind::kScsiComplete:
            return on_scsi_complete(event);
        case EventKind::kInterruptAccepted:
            return on_accepted(event);
        case EventKind::kDiskIssue:
            return on_disk_issue(event);
        case EventKind::kDiskRequest:
            return on_disk_request(event);
        case EventKind::kDiskTransfer:
            return on_disk_transfer(event);
        case EventKind::kDiskComplete:
            return on_disk_complete(event);
        case EventKind::kInterrupt:
            return interrupt_arrived(event);
        default:
            return;
    }
}

/// A signal is an event flag of another partition's, set during the call.
void Timeline::Requests::on_hypercall(const sim::Event& event) {
    const sim::Subject receiver = event_receiver_;
    event_receiver_ = {};
    if (argument<EventKind::kHypercall, "code">(event) != kHvCallSignalEvent) return;
    if (receiver.partition == sim::kNoUnit || receiver.partition == event.subject.partition) return;
    ExitSpan* exit = processors_.open_exit(event.subject);
    const Signal signal{++signals_, exit != nullptr ? exit->begin : event.time, receiver.vp};
    if (exit != nullptr) exit->signal = signal.number;
    guests_[event.subject.partition].to_host = signal;
    guests_[receiver.partition].to_guest = signal;
}

void Timeline::Requests::on_signal(const sim::Event& event) {
    const auto guest = guests_.try_emplace(event.subject.partition).first;
    Channel& channel = guest->second.channels[argument<EventKind::kVmbusSignal, "relid">(event)];
    if (argument<EventKind::kVmbusSignal, "to_guest">(event) == 0) {
        channel.signal = guest->second.to_host;
        guest->second.to_host = {};
        channel.noticed = event.time;
        return;
    }
    const Signal signal = guest->second.to_guest;
    guest->second.to_guest = {};
    for (ChannelRequest& request : channel.waiting) {
        if (request.answer_signalled != sim::kNever) continue;
        request.answer_signal = signal.number;
        request.answer_signalled = event.time;
        channel.interrupted_vp = signal.vp;
    }
}

void Timeline::Requests::take_packet(const sim::Event& event) {
    Channel& channel = guests_[event.subject.partition]
                           .channels[argument<EventKind::kVmbusPacket, "relid">(event)];
    if (channel.open.size() == kMostOpen) {
        listener_.on_request(channel.open.front());
        channel.open.pop_front();
    }
    ChannelRequest& request = channel.open.emplace_back();
    request.partition = event.subject.partition;
    request.relid = argument<EventKind::kVmbusPacket, "relid">(event);
    request.transaction = argument<EventKind::kVmbusPacket, "transaction">(event);
    request.packet_bytes = argument<EventKind::kVmbusPacket, "bytes">(event);
    request.number = ++requests_;
    // The first packet after a signal is what it was about, the others came along.
    request.signal = channel.signal.number;
    request.signalled = channel.signal.exit;
    request.noticed = channel.noticed;
    channel.signal = {};
    channel.noticed = sim::kNever;
    request.taken = event.time;
    listener_.on_depth({request.partition, request.relid, event.time, channel.open.size()});
}

void Timeline::Requests::answer_packet(const sim::Event& event) {
    Channel& channel = guests_[event.subject.partition]
                           .channels[argument<EventKind::kVmbusPacket, "relid">(event)];
    give_answered(channel, false);
    const std::uint64_t transaction = argument<EventKind::kVmbusPacket, "transaction">(event);
    const auto request = std::find_if(channel.open.begin(), channel.open.end(),
                                      [&](const auto& r) { return r.transaction == transaction; });
    if (request == channel.open.end()) return;  // what the provider sends of itself
    request->answered = event.time;
    request->answer_bytes = argument<EventKind::kVmbusPacket, "bytes">(event);
    channel.waiting.push_back(*request);
    channel.open.erase(request);
    listener_.on_depth({event.subject.partition, argument<EventKind::kVmbusPacket, "relid">(event),
                        event.time, channel.open.size()});
}

/// The oldest open request of a transaction, in any channel of the partition, for which `wanted`.
template <typename Wanted>
ChannelRequest* Timeline::Requests::find(std::uint16_t partition, std::uint64_t transaction,
                                         Wanted wanted) {
    const auto guest = guests_.find(partition);
    if (guest == guests_.end()) return nullptr;
    for (auto& [relid, channel] : guest->second.channels)
        for (ChannelRequest& request : channel.open)
            if (request.transaction == transaction && wanted(request)) return &request;
    return nullptr;
}

void Timeline::Requests::on_scsi_request(const sim::Event& event) {
    const auto transaction = argument<EventKind::kScsiRequest, "transaction">(event);
    ChannelRequest* request =
        find(event.subject.partition, transaction, [](const ChannelRequest& r) { return !r.scsi; });
    if (request == nullptr) return;
    request->scsi = true;
    request->operation = argument<EventKind::kScsiRequest, "operation">(event);
    request->lba = argument<EventKind::kScsiRequest, "lba">(event);
    request->bytes = argument<EventKind::kScsiRequest, "bytes">(event);
    request->provider_begin = event.time;
}

void Timeline::Requests::on_scsi_complete(const sim::Event& event) {
    const auto transaction = argument<EventKind::kScsiComplete, "transaction">(event);
    ChannelRequest* request =
        find(event.subject.partition, transaction,
             [](const ChannelRequest& r) { return r.scsi && r.provider_end == sim::kNever; });
    if (request == nullptr) return;
    request->srb_status = argument<EventKind::kScsiComplete, "srb_status">(event);
    request->scsi_status = argument<EventKind::kScsiComplete, "scsi_status">(event);
    request->transferred = argument<EventKind::kScsiComplete, "bytes">(event);
    request->provider_end = event.time;
}

void Timeline::Requests::on_accepted(const sim::Event& event) {
    if (argument<EventKind::kInterruptAccepted, "cause">(event) != kCauseSynic) return;
    const auto guest = guests_.find(event.subject.partition);
    if (guest == guests_.end()) return;
    for (auto& [relid, channel] : guest->second.channels) {
        if (channel.waiting.empty() || channel.interrupted_vp != event.subject.vp) continue;
        for (ChannelRequest& request : channel.waiting)
            if (request.answer_signalled != sim::kNever) request.interrupted = event.time;
        give_answered(channel, false);
    }
}

/// Gives the requests whose way is over: interrupted, or answered without a signal.
void Timeline::Requests::give_answered(Channel& channel, bool all) {
    const auto over = [&](const ChannelRequest& request) {
        const bool awaits_interrupt =
            request.answer_signalled != sim::kNever && request.interrupted == sim::kNever;
        if (!all && awaits_interrupt && channel.waiting.size() < kMostOpen) return false;
        listener_.on_request(request);
        return true;
    };
    std::erase_if(channel.waiting, over);
}

void Timeline::Requests::on_disk_issue(const sim::Event& event) {
    const auto transaction = argument<EventKind::kDiskIssue, "transaction">(event);
    const ChannelRequest* request =
        find(event.subject.partition, transaction,
             [](const ChannelRequest& r) { return r.scsi && r.provider_end == sim::kNever; });
    if (request == nullptr) return;
    if (issued_.size() == kMostCommands) issued_.erase(issued_.begin());
    Command& command = issued_[argument<EventKind::kDiskIssue, "command_id">(event)];
    command = {};
    command.span.issued = event.time;
    command.span.request = request->number;
    command.span.signal = request->signal;
    command.partition = request->partition;
    command.relid = request->relid;
}

/// Null: it was not seen, or is over.
ChannelRequest* Timeline::Requests::request_of(const Command& command) {
    if (command.span.request == 0) return nullptr;
    std::deque<ChannelRequest>& open = guests_[command.partition].channels[command.relid].open;
    const auto request = std::find_if(open.begin(), open.end(), [&](const ChannelRequest& r) {
        return r.number == command.span.request;
    });
    return request == open.end() ? nullptr : &*request;
}

void Timeline::Requests::on_disk_request(const sim::Event& event) {
    if (commands_.size() == kMostCommands) {
        listener_.on_command(commands_.begin()->second.span);
        commands_.erase(commands_.begin());
    }
    const auto id = argument<EventKind::kDiskRequest, "command_id">(event);
    Command command;
    if (const auto issued = issued_.find(id); issued != issued_.end()) {
        command = issued->second;
        issued_.erase(issued);
    }
    command.span.command_id = id;
    command.span.opcode = argument<EventKind::kDiskRequest, "opcode">(event);
    command.span.lba = argument<EventKind::kDiskRequest, "lba">(event);
    command.span.blocks = argument<EventKind::kDiskRequest, "blocks">(event);
    command.span.number = ++disk_commands_;
    command.span.taken = event.time;
    if (ChannelRequest* request = request_of(command); request != nullptr) {
        if (request->commands++ == 0) request->disk_taken = event.time;
    }
    const auto [place, is_new] = commands_.try_emplace(id, command);
    listener_.on_depth({sim::kNoUnit, 0, event.time, commands_.size()});
    if (is_new) return;
    listener_.on_command(place->second.span);  // the controller was reset in between
    place->second = command;
}

void Timeline::Requests::on_disk_transfer(const sim::Event& event) {
    const auto found = commands_.find(argument<EventKind::kDiskTransfer, "command_id">(event));
    if (found == commands_.end()) return;
    found->second.span.transfer = event.time;
    found->second.span.bytes = argument<EventKind::kDiskTransfer, "bytes">(event);
}

void Timeline::Requests::on_disk_complete(const sim::Event& event) {
    const auto found = commands_.find(argument<EventKind::kDiskComplete, "command_id">(event));
    if (found == commands_.end()) return;
    Command command = found->second;
    commands_.erase(found);
    listener_.on_depth({sim::kNoUnit, 0, event.time, commands_.size()});
    command.span.status = argument<EventKind::kDiskComplete, "status">(event);
    command.span.completed = event.time;
    if (ChannelRequest* request = request_of(command); request != nullptr) {
        request->disk_transfer = command.span.transfer;
        request->disk_completed = event.time;
        request->disk_interrupt = sim::kNever;
    }
    if (completed_.size() == kMostOpen) {
        listener_.on_command(completed_.front().span);
        completed_.erase(completed_.begin());
    }
    completed_.push_back(command);
}

void Timeline::Requests::interrupt_arrived(const sim::Event& event) {
    for (Command& command : completed_) {
        command.span.interrupt = event.time;
        if (ChannelRequest* request = request_of(command); request != nullptr)
            request->disk_interrupt = event.time;
        listener_.on_command(command.span);
    }
    completed_.clear();
}

void Timeline::Requests::finish() {
    for (auto& [partition, guest] : guests_) {
        for (auto& [relid, channel] : guest.channels) {
            give_answered(channel, true);
            for (const ChannelRequest& request : channel.open) listener_.on_request(request);
        }
    }
    for (const Command& command : completed_) listener_.on_command(command.span);
    for (const auto& [id, command] : commands_) listener_.on_command(command.span);
    guests_.clear();
    issued_.clear();
    completed_.clear();
    commands_.clear();
}

}  // namespace hvsim::analysis
