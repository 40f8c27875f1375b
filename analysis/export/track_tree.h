#pragma once
// Which tracks a timeline has and how they are grouped; each is made when it is first asked for.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/export/track_sink.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {

class TrackTree {
  public:
    TrackTree(const TraceSource& source, TrackSink& sink);

    TrackId lp(std::uint16_t lp);
    /// Exits of a virtual processor, or of what a logical one runs by itself, and what is delivered
    /// to it.
    TrackId vp(const sim::Subject& subject);
    /// Where an event of that subject stands: its virtual or logical processor, its partition, the
    /// board.
    TrackId events(const sim::Subject& subject);
    TrackId console(std::uint16_t partition);
    /// Lanes for requests that overlap; a viewer shows those of one name together.
    TrackId channel_lane(std::uint16_t partition, std::uint64_t relid, std::size_t lane);
    TrackId disk_lane(std::size_t lane);
    /// Counters of a processor, of the IOMMU; `number` tells those of one of them apart.
    TrackId counter(const sim::Subject& subject, unsigned number, std::string_view name,
                    std::string_view unit, std::string_view description);
    TrackId iommu_counter(unsigned number, std::string_view name, std::string_view unit,
                          std::string_view description);
    TrackId channel_depth(std::uint16_t partition, std::uint64_t relid);
    TrackId disk_depth();
    /// "p2 vp0"; "lp3" without a partition.
    static std::string processor_name(const sim::Subject& subject);

  private:
    enum class Group : std::uint32_t { processors = 0, partitions = 1, devices = 0x20000 };
    enum class Role : std::uint8_t { group, processor, counter, channel, depth, console, events };
    struct Key {
        std::uint64_t group = 0;
        Role role = Role::group;
        std::uint64_t number = 0;
        std::uint64_t lane = 0;
        auto operator<=>(const Key&) const = default;
    };
    /// Some of the numbers are a guest's or a foreign file's: what comes beyond this shares a
    /// track.
    static constexpr std::size_t kMostTracks = 65536;

    static std::uint64_t group_of(std::uint16_t partition);
    TrackId group(std::uint64_t number);
    TrackId add(const Key& key, std::string_view name, std::int32_t rank,
                std::string_view description, std::string_view unit = {});
    std::string partition_name(std::uint16_t partition) const;

    const TraceSource& source_;
    TrackSink& sink_;
    std::map<Key, TrackId> tracks_;
    TrackId more_ = TrackId::none;
    std::vector<TrackId> lps_;  // by number
    std::uint64_t newest_vp_key_ = ~std::uint64_t{0};
    TrackId newest_vp_ = TrackId::none;
};

}  // namespace hvsim::analysis
