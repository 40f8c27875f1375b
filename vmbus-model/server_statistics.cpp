#include <fmt/format.h>

#include "vmbus-model/server.h"

namespace hvsim::vmbus {
namespace {

struct ChannelCounter {
    const char* name;
    std::uint64_t ChannelStatistics::*value;
    const char* unit;
    const char* description;
};

constexpr ChannelCounter kChannelCounters[] = {
    {"opens", &ChannelStatistics::opens, "count", "Times that the guest opened the channel"},
    {"packets_from_guest", &ChannelStatistics::packets_from_guest, "count", "Packets read"},
    {"bytes_from_guest", &ChannelStatistics::bytes_from_guest, "bytes", "Ring bytes read"},
    {"packets_to_guest", &ChannelStatistics::packets_to_guest, "count", "Packets written"},
    {"bytes_to_guest", &ChannelStatistics::bytes_to_guest, "bytes", "Ring bytes written"},
    {"signals_from_guest", &ChannelStatistics::signals_from_guest, "count",
     "HvCallSignalEvent by the guest"},
    {"idle_signals", &ChannelStatistics::idle_signals, "count",
     "Signals by the guest that found nothing to do"},
    {"signals_to_guest", &ChannelStatistics::signals_to_guest, "count",
     "Event flags set because the guest's ring was empty"},
    {"space_signals_to_guest", &ChannelStatistics::space_signals_to_guest, "count",
     "Event flags set because the guest waited for space"},
    {"signals_suppressed_by_mask", &ChannelStatistics::signals_suppressed_by_mask, "count",
     "Writes without signal: interrupt_mask was set"},
    {"signals_suppressed_not_empty", &ChannelStatistics::signals_suppressed_not_empty, "count",
     "Writes without signal: the guest was still reading"},
    {"signals_lost", &ChannelStatistics::signals_lost, "count",
     "Signals without a virtual processor to go to"},
    {"ring_full", &ChannelStatistics::ring_full, "count", "Writes that found no space"},
    {"paused", &ChannelStatistics::paused, "count", "Times that the provider was busy"},
    {"faults", &ChannelStatistics::faults, "count", "Times that the guest corrupted a ring"},
};

std::uint64_t at(const std::array<std::uint64_t, spec::kMessageTable.size()>& counts,
                 spec::MessageType type) {
    return counts[spec::message_row(static_cast<std::uint32_t>(type))];
}

}  // namespace

std::uint64_t VmbusServer::received(spec::MessageType type) const {
    return at(received_, type);
}
std::uint64_t VmbusServer::sent(spec::MessageType type) const {
    return at(sent_, type);
}
std::uint64_t VmbusServer::unexpected(spec::MessageType type) const {
    return at(unexpected_, type);
}

void VmbusServer::collect(sim::StatisticsSink& sink) const {
    for (std::size_t row = 0; row < spec::kMessageTable.size(); ++row) {
        const auto& message = spec::kMessageTable[row];
        if (message.direction == spec::Direction::to_guest) {
            sink.add(fmt::format("vmbus.sent.{}", message.name), sent_[row], "count",
                     "Messages to the guest");
            continue;
        }
        sink.add(fmt::format("vmbus.received.{}", message.name), received_[row], "count",
                 "Messages from the guest");
        sink.add(fmt::format("vmbus.unexpected.{}", message.name), unexpected_[row], "count",
                 "Messages that the state did not allow");
    }
    const auto version = static_cast<std::uint32_t>(version_);
    sink.add("vmbus.version.major", version >> 16, "count",
             "The protocol version that was agreed on last");
    sink.add("vmbus.version.minor", version & 0xffff, "count", "and its second number");
    sink.add("vmbus.unknown_messages", unknown_, "count",
             "Messages of no known type, or not of the version agreed on");
    sink.add("vmbus.truncated_messages", truncated_, "count", "Messages cut short");
    sink.add("vmbus.undeliverable_messages", undeliverable_, "count",
             "Messages to a virtual processor that does not exist");
    sink.add("vmbus.dropped_messages", dropped_, "count",
             "Messages that waited for buffers when the guest disconnected");
    sink.add("vmbus.busy", busy_, "count", "Messages held back: too many answers were waiting");
    sink.add("vmbus.unknown_signals", unknown_signals_, "count", "Signals for no open channel");
    sink.add("vmbus.out_of_relids", out_of_relids_, "count", "Offers put off: no relid was free");
    sink.add("vmbus.most_queued_messages", most_queued_, "count",
             "Most messages that waited for buffers at a time");
    for (const auto& [id, channel] : channels_)
        for (const ChannelCounter& counter : kChannelCounters)
            sink.add(fmt::format("vmbus.channel.{}.{}", id, counter.name),
                     channel->statistics().*counter.value, counter.unit, counter.description);
}

}  // namespace hvsim::vmbus
