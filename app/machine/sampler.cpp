#include "app/machine/sampler.h"

#include <algorithm>

namespace hvsim::app {

/// A processor that has run ahead of the dispatcher has counted up to its own time.
void Sampler::sample(sim::Time now) {
    next_ = (now / kPeriod + 1) * kPeriod;
    if (!recorder_.wants_samples()) return;
    for (cpu::Core* core : cores_) {
        const cpu::Core::Counters& counters = core->counters();
        recorder_.record(sim::EventKind::kProcessorSample, std::max(now, core->now()),
                         core->subject(), core->instructions(), core->code_bytes(), counters.walks,
                         counters.walk_steps);
    }
    if (iommu_ == nullptr) return;
    const iommu::vtd::VtdCounters& counters = iommu_->counters();
    recorder_.record(sim::EventKind::kIommuSample, now, {}, counters.translations,
                     counters.iotlb_hits, counters.context_hits, counters.memory_references);
}

}  // namespace hvsim::app
