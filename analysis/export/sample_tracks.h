#pragma once
// Counters from the trace's samples: rates between one sample and the next.
#include <map>

#include "analysis/export/track_tree.h"

namespace hvsim::analysis {

class SampleTracks {
  public:
    SampleTracks(TrackTree& tree, TrackSink& sink) : tree_(tree), sink_(sink) {}

    /// kProcessorSample or kIommuSample.
    void on_sample(const sim::Event& event);

  private:
    void draw_processor(const sim::Event& from, const sim::Event& to);
    void draw_iommu(const sim::Event& from, const sim::Event& to);

    TrackTree& tree_;
    TrackSink& sink_;
    std::map<std::uint64_t, sim::Event> last_;  // of each processor, by processor_key
    std::optional<sim::Event> last_iommu_;
};

}  // namespace hvsim::analysis
