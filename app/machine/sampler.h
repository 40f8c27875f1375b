#pragma once
// Counters of the machine's parts as events of the trace (sim/event.h, level sample): a curve for
// whoever reads it. They are read, never changed, so that a run is the same with and without them.
#include <vector>

#include "cpu/core.h"
#include "iommu/vtd/vtd_unit.h"
#include "sim/recorder.h"

namespace hvsim::app {

class Sampler {
  public:
    static constexpr sim::Duration kPeriod = sim::kMillisecond;

    explicit Sampler(sim::Recorder& recorder) : recorder_(recorder) {}

    /// Must outlive the samples; so must the unit.
    void add(cpu::Core& core) { cores_.push_back(&core); }
    void set_iommu(const iommu::vtd::VtdUnit& unit) { iommu_ = &unit; }

    /// Between two runs of processors: samples when the period is over.
    void on_step(sim::Time now) {
        if (now >= next_) sample(now);
    }
    void sample(sim::Time now);

  private:
    sim::Recorder& recorder_;
    std::vector<cpu::Core*> cores_;
    const iommu::vtd::VtdUnit* iommu_ = nullptr;
    sim::Time next_ = 0;
};

}  // namespace hvsim::app
