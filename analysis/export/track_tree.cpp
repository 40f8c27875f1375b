#include "analysis/export/track_tree.h"

#include <fmt/format.h>

#include "analysis/timeline/processor_spans.h"

namespace hvsim::analysis {
namespace {

// Ranks within a group: processors with their counters, then channels, then the rest.
constexpr std::int32_t kRanksOfProcessor = 8, kChannelRanks = 1 << 20, kLastRanks = 1 << 21;

/// Channels by number; those of foreign numbers stand somewhere among them.
std::int32_t channel_rank(std::uint64_t relid) {
    return kChannelRanks + 2 * static_cast<std::int32_t>(relid & 0xffff);
}

/// TLFS 4.1: the root partition is the first one; hvsim gives its virtual machines the numbers
/// behind it, in the scenario's order.
constexpr std::uint16_t kRootPartition = 1;

}  // namespace

TrackTree::TrackTree(const TraceSource& source, TrackSink& sink) : source_(source), sink_(sink) {}

std::string TrackTree::processor_name(const sim::Subject& subject) {
    if (subject.partition == sim::kNoUnit) return fmt::format("lp{}", subject.lp);
    return fmt::format("p{} vp{}", subject.partition, subject.vp);
}

std::string TrackTree::partition_name(std::uint16_t partition) const {
    if (partition == kRootPartition) return "Partition 1: root";
    const auto vm = static_cast<std::uint64_t>(partition) - kRootPartition - 1;
    const std::string_view name = source_.names().find(sim::EventKind::kPowerState, 1, vm);
    return name.empty() ? fmt::format("Partition {}", partition)
                        : fmt::format("Partition {}: {}", partition, name);
}

std::uint64_t TrackTree::group_of(std::uint16_t partition) {
    return partition == sim::kNoUnit ? static_cast<std::uint64_t>(Group::processors)
                                     : static_cast<std::uint64_t>(Group::partitions) + partition;
}

TrackId TrackTree::add(const Key& key, std::string_view name, std::int32_t rank,
                       std::string_view description, std::string_view unit) {
    if (const auto known = tracks_.find(key); known != tracks_.end()) return known->second;
    if (tracks_.size() >= kMostTracks) {
        if (more_ == TrackId::none) more_ = sink_.add_track({.name = "More", .rank = kLastRanks});
        return more_;
    }
    Track track{TrackKind::slices, TrackId::none, name, description, unit, rank};
    if (key.role == Role::group)
        track.kind = TrackKind::group;
    else
        track.parent = group(key.group);
    if (!unit.empty()) track.kind = TrackKind::counter;
    return tracks_.emplace(key, sink_.add_track(track)).first->second;
}

TrackId TrackTree::group(std::uint64_t number) {
    const Key key{number, Role::group};
    if (const auto known = tracks_.find(key); known != tracks_.end()) return known->second;
    const auto rank = static_cast<std::int32_t>(number);
    switch (static_cast<Group>(number)) {
        case Group::processors:
            return add(key, "Logical processors", rank, "The processors of the simulated server");
        case Group::devices:
            return add(key, "Board", rank, "Devices of the simulated server");
        default:
            return add(key, partition_name(static_cast<std::uint16_t>(number - 1)), rank, "");
    }
}

TrackId TrackTree::lp(std::uint16_t lp) {
    if (lp < lps_.size() && lps_[lp] != TrackId::none) return lps_[lp];
    if (lp >= lps_.size()) lps_.resize(lp + std::size_t{1});
    const Key key{group_of(sim::kNoUnit), Role::processor, lp};
    lps_[lp] = add(key, fmt::format("LP {}", lp), lp * kRanksOfProcessor,
                   "Which virtual processor runs; below, whether its code runs or the hypervisor "
                   "works for it, and on what exit");
    return lps_[lp];
}

TrackId TrackTree::vp(const sim::Subject& subject) {
    const std::uint64_t processor = processor_key(subject);
    if (processor == newest_vp_key_) return newest_vp_;
    newest_vp_key_ = processor;
    if (subject.partition == sim::kNoUnit) {
        const Key key{group_of(sim::kNoUnit), Role::events, subject.lp};
        newest_vp_ = add(key, fmt::format("LP {} exits", subject.lp),
                         subject.lp * kRanksOfProcessor + 1, "VM exits of this processor's guests");
    } else {
        const Key key{group_of(subject.partition), Role::processor, subject.vp};
        newest_vp_ = add(key, fmt::format("VP {}", subject.vp), subject.vp * kRanksOfProcessor,
                         "From each VM exit to the entry that follows it; what was delivered");
    }
    return newest_vp_;
}

TrackId TrackTree::events(const sim::Subject& subject) {
    if (subject.partition != sim::kNoUnit) {
        if (subject.vp != sim::kNoUnit) return vp(subject);
        return add({group_of(subject.partition), Role::events}, "Events", kLastRanks, "");
    }
    if (subject.lp != sim::kNoUnit) return lp(subject.lp);
    return add({static_cast<std::uint64_t>(Group::devices), Role::events}, "Events", kLastRanks,
               "");
}

TrackId TrackTree::console(std::uint16_t partition) {
    return add({group_of(partition), Role::console}, "Console", kLastRanks + 1,
               "Lines of the serial console, where their last byte was written");
}

TrackId TrackTree::channel_lane(std::uint16_t partition, std::uint64_t relid, std::size_t lane) {
    const Key key{group_of(partition), Role::channel, relid, lane};
    if (const auto known = tracks_.find(key); known != tracks_.end()) return known->second;
    return add(key, fmt::format("Channel {}", relid), channel_rank(relid),
               "Requests of the guest on this VMBus channel and their stages");
}

TrackId TrackTree::channel_depth(std::uint16_t partition, std::uint64_t relid) {
    const Key key{group_of(partition), Role::depth, relid};
    if (const auto known = tracks_.find(key); known != tracks_.end()) return known->second;
    return add(key, fmt::format("Channel {} queue depth", relid), channel_rank(relid) + 1,
               "Requests taken from the ring and not yet answered", "requests");
}

TrackId TrackTree::disk_lane(std::size_t lane) {
    return add({static_cast<std::uint64_t>(Group::devices), Role::channel, 0, lane},
               "Disk controller", 0, "Commands of the NVMe controller, and their DMA");
}

TrackId TrackTree::disk_depth() {
    return add({static_cast<std::uint64_t>(Group::devices), Role::depth},
               "Disk controller queue depth", 1, "Commands taken and not yet completed",
               "commands");
}

TrackId TrackTree::counter(const sim::Subject& subject, unsigned number, std::string_view name,
                           std::string_view unit, std::string_view description) {
    const bool host = subject.partition == sim::kNoUnit;
    const std::uint16_t processor = host ? subject.lp : subject.vp;
    const Key key{group_of(subject.partition), Role::counter, processor, number};
    if (const auto known = tracks_.find(key); known != tracks_.end()) return known->second;
    return add(key, fmt::format("{} {} {}", host ? "LP" : "VP", processor, name),
               processor * kRanksOfProcessor + 2 + static_cast<std::int32_t>(number), description,
               unit);
}

TrackId TrackTree::iommu_counter(unsigned number, std::string_view name, std::string_view unit,
                                 std::string_view description) {
    return add({static_cast<std::uint64_t>(Group::devices), Role::counter, 0, number}, name,
               2 + static_cast<std::int32_t>(number), description, unit);
}

}  // namespace hvsim::analysis
