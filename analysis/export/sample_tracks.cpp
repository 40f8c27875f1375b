#include "analysis/export/sample_tracks.h"

#include "analysis/timeline/argument.h"
#include "analysis/timeline/processor_spans.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;

/// Between two samples; a later one never counts less.
template <EventKind kind, ArgumentName name>
std::uint64_t difference(const sim::Event& from, const sim::Event& to) {
    const std::uint64_t before = argument<kind, name>(from), after = argument<kind, name>(to);
    return after > before ? after - before : 0;
}

}  // namespace

void SampleTracks::on_sample(const sim::Event& event) {
    if (event.kind == EventKind::kIommuSample) {
        if (last_iommu_ && event.time <= last_iommu_->time) return;
        if (last_iommu_) draw_iommu(*last_iommu_, event);
        last_iommu_ = event;
        return;
    }
    const auto [place, is_new] = last_.try_emplace(processor_key(event.subject), event);
    if (is_new || event.time <= place->second.time) return;
    draw_processor(place->second, event);
    place->second = event;
}

/// A rate holds from the first sample on.
void SampleTracks::draw_processor(const sim::Event& from, const sim::Event& to) {
    constexpr auto kKind = EventKind::kProcessorSample;
    const std::uint64_t instructions = difference<kKind, "instructions">(from, to);
    const auto per_second = static_cast<std::int64_t>(static_cast<sim::Uint128>(instructions) *
                                                      sim::kSecond / (to.time - from.time));
    sink_.counter(tree_.counter(to.subject, 0, "instructions", "instructions/s",
                                "Instructions executed per second of virtual time"),
                  from.time, per_second);
    if (instructions == 0) return;
    const std::uint64_t walks = difference<kKind, "walks">(from, to);
    const double rate = walks < instructions ? 100.0 - 100.0 * static_cast<double>(walks) /
                                                           static_cast<double>(instructions)
                                             : 0.0;
    sink_.counter(tree_.counter(to.subject, 1, "TLB hit rate", "%",
                                "Of the instructions executed, how many needed no page walk: the "
                                "accesses of all have at least this hit rate"),
                  from.time, rate);
}

void SampleTracks::draw_iommu(const sim::Event& from, const sim::Event& to) {
    constexpr auto kKind = EventKind::kIommuSample;
    const std::uint64_t all = difference<kKind, "translations">(from, to);
    const auto per_second = static_cast<std::int64_t>(static_cast<sim::Uint128>(all) *
                                                      sim::kSecond / (to.time - from.time));
    sink_.counter(tree_.iommu_counter(0, "IOMMU translations", "translations/s",
                                      "DMA requests translated per second of virtual time"),
                  from.time, per_second);
    if (all == 0) return;
    const std::uint64_t hits = difference<kKind, "iotlb_hits">(from, to);
    sink_.counter(tree_.iommu_counter(1, "IOTLB hit rate", "%",
                                      "Of the IOMMU's translations, how many were in the IOTLB"),
                  from.time, 100.0 * static_cast<double>(hits) / static_cast<double>(all));
}

}  // namespace hvsim::analysis
