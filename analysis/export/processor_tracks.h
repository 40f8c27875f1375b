#pragma once
// The tracks of processors: which virtual processor runs on a logical one, exits, what is
// delivered.
#include <string>
#include <vector>

#include "analysis/export/track_names.h"
#include "analysis/export/track_tree.h"

namespace hvsim::analysis {

class ProcessorTracks {
  public:
    ProcessorTracks(TrackTree& tree, TrackNames& names, TrackSink& sink);

    void on_processor(const ProcessorSpan& span);
    void on_exit(const ExitSpan& span);
    /// An event that no span tells of. `flows`: requests that end with it.
    void on_instant(const sim::Event& event, std::span<const Flow> flows);
    void finish();

  private:
    /// The slice around all spans of one virtual processor that follow each other.
    struct Running {
        std::uint64_t key = 0;  // processor_key + 1; 0: none
        sim::Time end = 0;
    };
    void change(std::uint16_t lp, std::uint64_t key, const sim::Subject& runs, sim::Time begin);

    TrackTree& tree_;
    TrackNames& names_;
    TrackSink& sink_;
    std::vector<Running> running_;  // by logical processor
    std::vector<sim::Time> ends_;   // of the last exit on each track, by TrackId
    StringId guest_, switching_, idle_;
    StringId cost_, begin_, duration_, rip_, guest_physical_, qualification_;
};

}  // namespace hvsim::analysis
