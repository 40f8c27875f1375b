#pragma once
// The tracks of requests: VMBus channels, the disk controller, and the flow of one through all.
#include <map>
#include <vector>

#include "analysis/export/track_names.h"
#include "analysis/export/track_tree.h"

namespace hvsim::analysis {

/// Puts spans that overlap on different lanes. They come in the order of their ends.
class Lanes {
  public:
    /// Of a span; free lanes are taken from the first on.
    std::size_t place(sim::Time begin, sim::Time end);

  private:
    std::vector<sim::Time> ends_;  // of each lane's last span
};

/// The flow of a request: from the guest's signal on, where there was one.
constexpr std::uint64_t request_flow(std::uint64_t signal, std::uint64_t request) {
    return signal != 0 ? 2 * signal : 2 * request + 1;
}
/// The flow of a signal, by ExitSpan::signal.
constexpr std::uint64_t signal_flow(std::uint64_t signal) {
    return 2 * signal;
}

class RequestTracks {
  public:
    RequestTracks(TrackTree& tree, TrackNames& names, TrackSink& sink);

    void on_request(const ChannelRequest& request);
    void on_command(const DiskCommand& command, sim::Time last);
    void on_depth(const QueueDepth& depth);

  private:
    struct Stage {
        StringId name = StringId::none;
        sim::Time begin = 0;
        Flow flow;  // 0: none
    };
    /// One after the other within an open slice, each up to the next; those of no known begin are
    /// left out.
    void draw_stages(TrackId track, std::span<const Stage> stages, sim::Time end);

    TrackTree& tree_;
    TrackNames& names_;
    TrackSink& sink_;
    std::map<std::pair<std::uint16_t, std::uint64_t>, Lanes> channels_;
    Lanes disk_;
    struct Strings {
        StringId packet, hypercall, ring, provider, controller, dma, interrupt, completion, signal,
            guest_interrupt;
        StringId transaction, operation, lba, bytes, commands, srb_status, scsi_status, request,
            command_id, status, begin, duration;
    } strings_;
};

}  // namespace hvsim::analysis
